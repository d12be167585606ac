// Optimisers: one update of parameters from their gradients. The equations and their sources:
//   SGD with momentum as PyTorch states it, Nesterov's as in I. Sutskever et al., ICML 2013
//   RMSprop  T. Tieleman, G. Hinton, Coursera "Neural networks for machine learning", lecture 6.5
//   Adam     D. P. Kingma, J. Ba, arXiv:1412.6980; decoupled decay: I. Loshchilov, F. Hutter,
//            arXiv:1711.05101
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

inline void adam(const OptimizerArgs& args) {
  const Clipping clip(args);
  const double rate = args.learning_rate;
  const Vf keep = set1(static_cast<float>(1.0 - rate * static_cast<double>(args.weight_decay)));
  const Vf step = set1(static_cast<float>(rate / static_cast<double>(args.bias1)));
  const Vf variance_scale = set1(1.0f / args.bias2);
  const Vf beta1 = set1(args.beta1), rest1 = set1(1.0f - args.beta1);
  const Vf beta2 = set1(args.beta2), rest2 = set1(1.0f - args.beta2);
  const Vf epsilon = set1(args.epsilon);
  for_columns(args.n, [&](int64_t j, auto lanes) {
    const Vf g = clip(lanes.load(args.g + j));
    const Vf m = fma(beta1, lanes.load(args.m + j), rest1 * g);
    const Vf v = fma(beta2, lanes.load(args.v + j), rest2 * g * g);
    lanes.store(args.m + j, m);
    lanes.store(args.v + j, v);
    const Vf direction = m / (sqrt(v * variance_scale) + epsilon);
    lanes.store(args.p + j, fnma(step, direction, lanes.load(args.p + j) * keep));
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
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
