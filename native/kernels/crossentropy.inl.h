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

// Returns sum_j t_j (log(total) + largest - x_j); the gradient is scale (T softmax(x) - t) with T
// the sum of the targets. A target of 0 costs nothing even where the logit is -inf (a class that
// the model has ruled out).
inline float dense_logits_row(const float* x, const float* t, float scale, float* dx,
                              int64_t cols) {
  const float largest = row_max(x, cols);
  const Vf shift = set1(largest);
  const Vf minus_inf = set1(-__builtin_inff());
  Vf sums = zero(), targets = zero(), distances = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf xj = lanes.load(x + j);
    const Vf tj = lanes.load(t + j);
    const Vf e = exp(xj - shift);
    if (dx != nullptr) lanes.store(dx + j, e);
    sums = sums + lanes.keep(e, zero());
    targets = targets + tj;
    const Mask ruled_out = eq(tj, zero()) & eq(xj, minus_inf);
    distances = distances + lanes.keep(select(ruled_out, zero(), tj * (shift - xj)), zero());
  });
  const float total = reduce_add(sums), target_total = reduce_add(targets);
  if (dx != nullptr) {
    const Vf factor = set1(target_total * scale / total);
    const Vf minus_scale = set1(-scale);
    for_columns(cols, [&](int64_t j, auto lanes) {
      lanes.store(dx + j, fma(minus_scale, lanes.load(t + j), lanes.load(dx + j) * factor));
    });
  }
  return static_cast<float>(target_total * std::log(static_cast<double>(total)) +
                            static_cast<double>(reduce_add(distances)));
}

inline float dense_probabilities_row(const float* x, const float* t, float scale, float* dx,
                                     int64_t cols) {
  const Vf minus_scale = set1(-scale);
  Vf sums = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf p = lanes.load(x + j);
    const Vf tj = lanes.load(t + j);
    sums = fnma(tj, log(clamp_probability(p)), sums);
    if (dx != nullptr) {
      lanes.store(dx + j, minus_scale * tj * lanes.keep(clamped_log_derivative(p), zero()));
    }
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

inline float categorical_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* x = args.x + row * args.x_ld;
  const bool sparse = args.kind == LossKind::kSparseCategoricalCrossentropy;
  const float* t = sparse ? nullptr : args.targets + row * args.targets_ld;
  if (args.correct != nullptr) {
    const int64_t label = sparse ? args.labels[row] : dense_label(t, args.cols);
    args.correct[row] = label < args.cols && is_first_max(x, args.cols, label) ? 1 : 0;
  }
  if (sparse) {
    return args.from_logits ? sparse_logits_row(x, args.labels[row], scale, dx, args.cols)
                            : sparse_probabilities_row(x, args.labels[row], scale, dx, args.cols);
  }
  return args.from_logits ? dense_logits_row(x, t, scale, dx, args.cols)
                          : dense_probabilities_row(x, t, scale, dx, args.cols);
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
