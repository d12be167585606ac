// Categorical cross-entropy of a row with its gradient, from logits (softmax fused) or from
// probabilities. Everything that a row's gradient needs is read before dx, which may be x, is
// written.
#pragma once

#include <cmath>

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Where probabilities are clamped inside a logarithm, as Keras does.
inline constexpr float kMinProbability = 1e-7f;
inline constexpr float kMaxProbability = 1.0f - 1e-7f;

OSTINATO_INLINE Vf clamp_probability(Vf p) {
  return min(set1(kMaxProbability), max(set1(kMinProbability), p));  // p second: NaN passes
}

// d log(clamp(p)) / dp: 1 / p, and 0 where the clamp holds.
OSTINATO_INLINE Vf clamped_log_derivative(Vf p) {
  const Mask clamped = lt(p, set1(kMinProbability)) | gt(p, set1(kMaxProbability));
  return select(clamped, zero(), set1(1.0f) / p);
}

// The parts of a softmax cross-entropy that need all columns of a row.
struct SoftmaxSums {
  float largest;  // maximum logit, NaN if any logit is
  float total;    // sum of exp(x - largest)
};

// Writes exp(x - largest) to `e` unless it is null.
inline SoftmaxSums softmax_sums(const float* x, float* e, int64_t cols) {
  const float largest = row_max(x, cols);
  const Vf shift = set1(largest);
  Vf sums = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf value = exp(lanes.load(x + j) - shift);
    if (e != nullptr) lanes.store(e + j, value);
    sums = sums + lanes.keep(value, zero());
  });
  return {largest, reduce_add(sums)};
}

// Returns log(sum_j exp x_j) - x[label], as log(total) + (largest - x[label]): two terms that are
// never negative, so nothing cancels. The gradient is scale (softmax(x) - one_hot(label)).
inline float sparse_logits_row(const float* x, int32_t label, float scale, float* dx,
                               int64_t cols) {
  const float at_label = x[label];
  const SoftmaxSums sums = softmax_sums(x, dx, cols);
  if (dx != nullptr) {
    const Vf factor = set1(scale / sums.total);
    for_columns(cols,
                [&](int64_t j, auto lanes) { lanes.store(dx + j, lanes.load(dx + j) * factor); });
    dx[label] -= scale;
  }
  const double log_total = std::log(static_cast<double>(sums.total));
  return static_cast<float>(log_total + (static_cast<double>(sums.largest) - at_label));
}

inline float sparse_probabilities_row(const float* x, int32_t label, float scale, float* dx,
                                      int64_t cols) {
  const Vf p = set1(x[label]);
  if (dx != nullptr) {
    float derivative[Vf::kWidth];
    store(derivative, clamped_log_derivative(p));
    for_columns(cols, [&](int64_t j, auto lanes) { lanes.store(dx + j, zero()); });
    dx[label] = -scale * derivative[0];
  }
  float clamped[Vf::kWidth];
  store(clamped, clamp_probability(p));
  return static_cast<float>(-std::log(static_cast<double>(clamped[0])));
}

// A target distribution by parts: `at(j, lanes)` of all columns, and `extra` more at one label.
template <class TargetAt>
struct BlendedTarget {
  TargetAt at;
  int64_t label = -1;  // none
  float extra = 0.0f;
};
template <class TargetAt>
BlendedTarget(TargetAt) -> BlendedTarget<TargetAt>;
template <class TargetAt>
BlendedTarget(TargetAt, int64_t, float) -> BlendedTarget<TargetAt>;

// Returns sum_j t_j (log(total) + largest - x_j); the gradient is scale (T softmax(x) - t) with T
// the sum of the targets. A target of 0 costs nothing even where the logit is -inf (a class that
// the model has ruled out).
template <class Target>
inline float blended_logits_row(const float* x, const Target& target, float scale, float* dx,
                                int64_t cols) {
  const float largest = row_max(x, cols);
  const float at_label = target.label < 0 ? 0.0f : x[target.label];
  const Vf shift = set1(largest);
  const Vf minus_inf = set1(-__builtin_inff());
  Vf sums = zero(), targets = zero(), distances = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf xj = lanes.load(x + j);
    const Vf tj = lanes.keep(target.at(j, lanes), zero());
    const Vf e = exp(xj - shift);
    if (dx != nullptr) lanes.store(dx + j, e);
    sums = sums + lanes.keep(e, zero());
    targets = targets + tj;
    const Mask ruled_out = eq(tj, zero()) & eq(xj, minus_inf);
    distances = distances + lanes.keep(select(ruled_out, zero(), tj * (shift - xj)), zero());
  });
  const float total = reduce_add(sums), target_total = reduce_add(targets) + target.extra;
  if (dx != nullptr) {
    const Vf factor = set1(target_total * scale / total);
    const Vf minus_scale = set1(-scale);
    for_columns(cols, [&](int64_t j, auto lanes) {
      lanes.store(dx + j, fma(minus_scale, target.at(j, lanes), lanes.load(dx + j) * factor));
    });
    if (target.label >= 0) dx[target.label] -= scale * target.extra;
  }
  double distance = static_cast<double>(reduce_add(distances));
  if (target.label >= 0) {
    distance += static_cast<double>(target.extra) * (static_cast<double>(largest) - at_label);
  }
  return static_cast<float>(target_total * std::log(static_cast<double>(total)) + distance);
}

template <class Target>
inline float blended_probabilities_row(const float* x, const Target& target, float scale, float* dx,
                                       int64_t cols) {
  float value = 0.0f, slope = 0.0f;
  if (target.label >= 0) {
    const Vf p = set1(x[target.label]);
    float lane[Vf::kWidth];
    store(lane, log(clamp_probability(p)));
    value = -target.extra * lane[0];
    store(lane, clamped_log_derivative(p));
    slope = -scale * target.extra * lane[0];
  }
  const Vf minus_scale = set1(-scale);
  Vf sums = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf p = lanes.load(x + j);
    const Vf tj = lanes.keep(target.at(j, lanes), zero());
    sums = fnma(tj, log(clamp_probability(p)), sums);
    if (dx != nullptr) {
      lanes.store(dx + j, minus_scale * tj * lanes.keep(clamped_log_derivative(p), zero()));
    }
  });
  if (dx != nullptr && target.label >= 0) dx[target.label] += slope;
  return reduce_add(sums) + value;
}

template <class Target>
inline float blended_row(const LossArgs& args, const float* x, const Target& target, float scale,
                         float* dx) {
  return args.from_logits ? blended_logits_row(x, target, scale, dx, args.cols)
                          : blended_probabilities_row(x, target, scale, dx, args.cols);
}

// sum_j t_j log t_j, where 0 log 0 = 0.
inline float negative_entropy(const float* t, int64_t cols) {
  Vf sums = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf tj = lanes.load(t + j);
    sums = sums + select(eq(tj, zero()), zero(), tj * log(tj));
  });
  return reduce_add(sums);
}

// Whether the first maximum of a row is its label. Never so in a row that holds NaN.
inline bool is_first_max(const float* x, int64_t cols, int64_t label) {
  return first_equal(x, cols, row_max(x, cols)) == label;
}

// The first maximum of the targets; `cols` if they hold NaN.
inline int64_t dense_label(const float* t, int64_t cols) {
  return first_equal(t, cols, row_max(t, cols));
}

inline bool is_sparse(LossKind kind) {
  return kind == LossKind::kSparseCategoricalCrossentropy ||
         kind == LossKind::kSparseCategoricalFocal;
}

inline void mark_correct(const LossArgs& args, int64_t row) {
  if (args.correct == nullptr) return;
  const float* x = args.x + row * args.x_ld;
  const int64_t label = is_sparse(args.kind)
                            ? args.labels[row]
                            : dense_label(args.targets + row * args.targets_ld, args.cols);
  args.correct[row] = label < args.cols && is_first_max(x, args.cols, label) ? 1 : 0;
}

inline float sparse_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* x = args.x + row * args.x_ld;
  const int32_t label = args.labels[row];
  const float* weights = args.class_weights;
  const float weight = weights == nullptr ? 1.0f : weights[label];
  if (args.smoothing == 0.0f) {
    return weight * (args.from_logits
                         ? sparse_logits_row(x, label, scale * weight, dx, args.cols)
                         : sparse_probabilities_row(x, label, scale * weight, dx, args.cols));
  }
  const Vf share = set1(args.smoothing / static_cast<float>(args.cols));
  const float rest = (1.0f - args.smoothing) * weight;
  if (weights == nullptr) {
    return blended_row(args, x, BlendedTarget{[=](int64_t, auto) { return share; }, label, rest},
                       scale, dx);
  }
  const auto weighted = [=](int64_t j, auto lanes) { return share * lanes.load(weights + j); };
  return blended_row(args, x, BlendedTarget{weighted, label, rest}, scale, dx);
}

inline float dense_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* x = args.x + row * args.x_ld;
  const float* t = args.targets + row * args.targets_ld;
  const float* weights = args.class_weights;
  const Vf share = set1(args.smoothing / static_cast<float>(args.cols));
  const Vf rest = set1(1.0f - args.smoothing);
  if (weights != nullptr) {
    const auto weighted = [=](int64_t j, auto lanes) {
      return lanes.load(weights + j) * fma(rest, lanes.load(t + j), share);
    };
    return blended_row(args, x, BlendedTarget{weighted}, scale, dx);
  }
  if (args.smoothing != 0.0f) {
    const auto smooth = [=](int64_t j, auto lanes) { return fma(rest, lanes.load(t + j), share); };
    return blended_row(args, x, BlendedTarget{smooth}, scale, dx);
  }
  const auto plain = [=](int64_t j, auto lanes) { return lanes.load(t + j); };
  const float value = blended_row(args, x, BlendedTarget{plain}, scale, dx);
  return args.kind == LossKind::kKlDivergence ? value + negative_entropy(t, args.cols) : value;
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
