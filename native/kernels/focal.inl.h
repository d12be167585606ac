// Focal losses: cross-entropies whose easy rows count less, by (1 - p)^gamma with p the probability
// of what is right (T.-Y. Lin et al., "Focal loss for dense object detection", arXiv:1708.02002).
// From logits.
#pragma once

#include "kernels/crossentropy.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Keeps the logarithm of 1 - p finite where p is 1; what it multiplies is 0 there.
inline constexpr float kLeastRest = 1e-30f;

// sum_j -t_j (1 - p_j)^gamma log p_j with p = softmax(x) and t the weighted targets. With
// a_j = t_j (gamma (1 - p_j)^(gamma - 1) p_j log p_j - (1 - p_j)^gamma), the gradient is
// scale (a - p sum_j a_j). Everything is computed from x twice, so that dx may be x.
template <class TargetAt>
inline float focal_row(const LossArgs& args, const float* x, const TargetAt& target_at, float scale,
                       float* dx) {
  const SoftmaxSums sums = softmax_sums(x, nullptr, args.cols);
  const Vf shift = set1(sums.largest), log_total = log(set1(sums.total));
  const Vf gamma = set1(args.gamma);
  struct Column {
    Vf p, value, a;
  };
  const auto column = [&](int64_t j, auto lanes) {
    const Vf log_p = (lanes.load(x + j) - shift) - log_total;
    const Vf p = exp(log_p), t = target_at(j, lanes);
    const Vf rest = max(set1(kLeastRest), set1(1.0f) - p);
    const Vf power = exp(gamma * log(rest));
    // p log p is 0 for a class that the model has ruled out, which costs nothing unless it is
    // right.
    const Vf p_log_p = select(eq(p, zero()), zero(), p * log_p);
    const Vf value = select(eq(t, zero()), zero(), t * power * log_p);
    return Column{p, value, t * power * (gamma * p_log_p / rest - set1(1.0f))};
  };
  Vf values = zero(), slopes = zero();
  for_columns(args.cols, [&](int64_t j, auto lanes) {
    const Column c = column(j, lanes);
    values = values - lanes.keep(c.value, zero());
    slopes = slopes + lanes.keep(c.a, zero());
  });
  // NaN of another column must not hide behind a target of 0.
  const float value = reduce_add(values) + (sums.largest - sums.largest);
  if (dx != nullptr) {
    const Vf total = set1(reduce_add(slopes)), factor = set1(scale);
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Column c = column(j, lanes);
      lanes.store(dx + j, factor * fnma(c.p, total, c.a));
    });
  }
  return value;
}

inline float categorical_focal_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* x = args.x + row * args.x_ld;
  const float* weights = args.class_weights;
  const auto weight = [=](int64_t j, auto lanes) {
    return weights == nullptr ? set1(1.0f) : lanes.load(weights + j);
  };
  if (is_sparse(args.kind)) {
    alignas(64) float lane[Vf::kWidth];
    for (int i = 0; i < Vf::kWidth; ++i) lane[i] = static_cast<float>(i);
    const Vf lanes_of_vector = load(lane);
    const int32_t label = args.labels[row];
    const auto one_hot = [=](int64_t j, auto lanes) {
      const Vf distance = lanes_of_vector - set1(static_cast<float>(label - j));
      return select(eq(distance, zero()), weight(j, lanes), zero());
    };
    return focal_row(args, x, one_hot, scale, dx);
  }
  const float* t = args.targets + row * args.targets_ld;
  const auto dense = [=](int64_t j, auto lanes) { return weight(j, lanes) * lanes.load(t + j); };
  return focal_row(args, x, dense, scale, dx);
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
