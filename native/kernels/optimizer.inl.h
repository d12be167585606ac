// Optimisers: one update of parameters from their gradients. The equations and their sources:
//   SGD with momentum as PyTorch states it, Nesterov's as in I. Sutskever et al., ICML 2013
//   RMSprop  T. Tieleman, G. Hinton, Coursera "Neural networks for machine learning", lecture 6.5
//   Adam     D. P. Kingma, J. Ba, arXiv:1412.6980; decoupled decay: I. Loshchilov, F. Hutter,
//            arXiv:1711.05101
//   Adagrad  J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011
//   NAdam    T. Dozat, ICLR workshop, 2016
//   RAdam    L. Liu et al., arXiv:1908.03265
//   Lion     X. Chen et al., arXiv:2302.06675
//   Schedule-free AdamW  A. Defazio et al., arXiv:2405.15682
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// The gradient after scaling and clamping. NaN passes the clamp as the second operand.
struct Clipping {
  Vf scale, limit;
  bool clamps;
  explicit OSTINATO_INLINE Clipping(const OptimizerArgs& args)
      : scale(set1(args.gradient_scale)),
        limit(set1(args.clip_value)),
        clamps(args.clip_value > 0.0f) {}
  OSTINATO_INLINE Vf operator()(Vf g) const {
    g = g * scale;
    return clamps ? min(limit, max(-limit, g)) : g;
  }
};

inline void sgd(const OptimizerArgs& args) {
  const Clipping clip(args);
  const Vf rate = set1(args.learning_rate), decay = set1(args.weight_decay);
  const Vf momentum = set1(args.momentum);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf p = lanes.load(args.p + j);
    const Vf g = fma(decay, p, clip(lanes.load(args.g + j)));
    Vf step = g;
    if (args.m != nullptr) {
      const Vf m = fma(momentum, lanes.load(args.m + j), g);
      lanes.store(args.m + j, m);
      step = args.nesterov ? fma(momentum, m, g) : m;
    }
    lanes.store(args.p + j, fnma(rate, step, p));
  });
}

inline void rmsprop(const OptimizerArgs& args) {
  const Clipping clip(args);
  const Vf rate = set1(args.learning_rate), decay = set1(args.weight_decay);
  const Vf momentum = set1(args.momentum), epsilon = set1(args.epsilon);
  const Vf rho = set1(args.rho), rest = set1(1.0f - args.rho);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf p = lanes.load(args.p + j);
    const Vf g = fma(decay, p, clip(lanes.load(args.g + j)));
    const Vf v = fma(rho, lanes.load(args.v + j), rest * g * g);
    lanes.store(args.v + j, v);
    Vf step = g / (sqrt(v) + epsilon);
    if (args.m != nullptr) {
      step = fma(momentum, lanes.load(args.m + j), step);
      lanes.store(args.m + j, step);
    }
    lanes.store(args.p + j, fnma(rate, step, p));
  });
}

// What decoupled weight decay leaves of a parameter.
OSTINATO_INLINE Vf kept(const OptimizerArgs& args) {
  const double rate = args.learning_rate;
  return set1(static_cast<float>(1.0 - rate * static_cast<double>(args.weight_decay)));
}

// The two moments of Adam, stored and returned.
struct RunningMoments {
  Vf beta1, rest1, beta2, rest2;
  struct Pair {
    Vf m, v;
  };
  explicit OSTINATO_INLINE RunningMoments(const OptimizerArgs& args)
      : beta1(set1(args.beta1)),
        rest1(set1(1.0f - args.beta1)),
        beta2(set1(args.beta2)),
        rest2(set1(1.0f - args.beta2)) {}
  template <class Lanes>
  OSTINATO_INLINE Pair update(const OptimizerArgs& args, int64_t j, Lanes lanes, Vf g) const {
    const Vf m = fma(beta1, lanes.load(args.m + j), rest1 * g);
    const Vf v = fma(beta2, lanes.load(args.v + j), rest2 * g * g);
    lanes.store(args.m + j, m);
    lanes.store(args.v + j, v);
    return {m, v};
  }
};

inline void adam(const OptimizerArgs& args) {
  const Clipping clip(args);
  const RunningMoments moments(args);
  const double rate = args.learning_rate;
  const Vf keep = kept(args), epsilon = set1(args.epsilon);
  const Vf step = set1(static_cast<float>(rate / static_cast<double>(args.bias1)));
  const Vf variance_scale = set1(1.0f / args.bias2);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const auto [m, v] = moments.update(args, j, lanes, clip(lanes.load(args.g + j)));
    const Vf direction = m / (sqrt(v * variance_scale) + epsilon);
    lanes.store(args.p + j, fnma(step, direction, lanes.load(args.p + j) * keep));
  });
}

inline void adagrad(const OptimizerArgs& args) {
  const Clipping clip(args);
  const Vf rate = set1(args.learning_rate), decay = set1(args.weight_decay);
  const Vf epsilon = set1(args.epsilon);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf p = lanes.load(args.p + j);
    const Vf g = fma(decay, p, clip(lanes.load(args.g + j)));
    const Vf v = fma(g, g, lanes.load(args.v + j));
    lanes.store(args.v + j, v);
    lanes.store(args.p + j, fnma(rate, g / (sqrt(v) + epsilon), p));
  });
}

inline void nadam(const OptimizerArgs& args) {
  const Clipping clip(args);
  const RunningMoments moments(args);
  const Vf keep = kept(args), rate = set1(args.learning_rate), epsilon = set1(args.epsilon);
  const Vf variance_scale = set1(1.0f / args.bias2);
  const Vf of_gradient = set1(args.gradient_part), of_momentum = set1(args.momentum_part);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf g = clip(lanes.load(args.g + j));
    const auto [m, v] = moments.update(args, j, lanes, g);
    const Vf direction =
        fma(of_gradient, g, of_momentum * m) / (sqrt(v * variance_scale) + epsilon);
    lanes.store(args.p + j, fnma(rate, direction, lanes.load(args.p + j) * keep));
  });
}

inline void radam(const OptimizerArgs& args) {
  const Clipping clip(args);
  const RunningMoments moments(args);
  const bool rectified = args.rectification > 0.0f;
  const double rate = args.learning_rate;
  const Vf keep = kept(args), epsilon = set1(args.epsilon);
  const Vf step = set1(static_cast<float>(rate / static_cast<double>(args.bias1)));
  const Vf rectification = set1(args.rectification);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const auto [m, v] = moments.update(args, j, lanes, clip(lanes.load(args.g + j)));
    const Vf direction = rectified ? m * (rectification / (sqrt(v) + epsilon)) : m;
    lanes.store(args.p + j, fnma(step, direction, lanes.load(args.p + j) * keep));
  });
}

inline void lion(const OptimizerArgs& args) {
  const Clipping clip(args);
  const Vf keep = kept(args), rate = set1(args.learning_rate);
  const Vf beta1 = set1(args.beta1), rest1 = set1(1.0f - args.beta1);
  const Vf beta2 = set1(args.beta2), rest2 = set1(1.0f - args.beta2);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf g = clip(lanes.load(args.g + j));
    const Vf m = lanes.load(args.m + j);
    const Vf mixed = fma(beta1, m, rest1 * g);
    // At 0 and for NaN the number itself.
    const Vf sign =
        select(gt(mixed, zero()), set1(1.0f), select(lt(mixed, zero()), set1(-1.0f), mixed));
    lanes.store(args.m + j, fma(beta2, m, rest2 * g));
    lanes.store(args.p + j, fnma(rate, sign, lanes.load(args.p + j) * keep));
  });
}

inline void schedule_free_adam(const OptimizerArgs& args) {
  const Clipping clip(args);
  const Vf rate = set1(args.learning_rate), decay = set1(args.weight_decay);
  const Vf beta2 = set1(args.beta2), rest2 = set1(1.0f - args.beta2);
  const Vf epsilon = set1(args.epsilon), variance_scale = set1(1.0f / args.bias2);
  const Vf mixing = set1(args.mixing);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf g = clip(lanes.load(args.g + j));
    const Vf v = fma(beta2, lanes.load(args.v + j), rest2 * g * g);
    const Vf direction =
        fma(decay, lanes.load(args.p + j), g / (sqrt(v * variance_scale) + epsilon));
    const Vf z = fnma(rate, direction, lanes.load(args.m + j));
    const Vf x = lanes.load(args.x + j);
    lanes.store(args.v + j, v);
    lanes.store(args.m + j, z);
    lanes.store(args.p + j, fma(mixing, z - x, x));
  });
}

inline void optimize(const OptimizerArgs& args) noexcept {
  switch (args.kind) {
    case OptimizerKind::kSgd:
      return sgd(args);
    case OptimizerKind::kRmsprop:
      return rmsprop(args);
    case OptimizerKind::kAdam:
      return adam(args);
    case OptimizerKind::kAdagrad:
      return adagrad(args);
    case OptimizerKind::kNadam:
      return nadam(args);
    case OptimizerKind::kRadam:
      return radam(args);
    case OptimizerKind::kLion:
      return lion(args);
    case OptimizerKind::kScheduleFreeAdam:
      return schedule_free_adam(args);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
