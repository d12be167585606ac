// Losses of rows with their gradients. Categorical ones are in crossentropy.inl.h; here are those
// that are a mean over columns of a function of one prediction and one target.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/crossentropy.inl.h"
#include "kernels/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// An element's loss and its derivative with respect to the prediction.
struct Term {
  Vf value, derivative;
};

// -t log p - (1 - t) log(1 - p) with p = sigmoid(x), as max(x, 0) - x t + log(1 + e^-|x|), which
// no x overflows.
OSTINATO_INLINE Term binary_logits_term(Vf x, Vf t) {
  const Vf one = set1(1.0f);
  const Vf e = exp(-abs(x));
  const Vf w = one + e;
  // What w lost of e in rounding comes back to first order, so that the loss of a sure and right
  // prediction keeps its digits instead of being 0.
  const Vf log_w = log(w) + (e - (w - one)) / w;
  return {fnma(x, t, max(zero(), x)) + log_w, sigmoid(x) - t};
}

// The same from probabilities. 1 - p is exact from p = 1/2 on, so it has a clamp of its own.
OSTINATO_INLINE Term binary_probabilities_term(Vf p, Vf t) {
  const Vf q = set1(1.0f) - p, rest = set1(1.0f) - t;
  const Vf value = t * log(clamp_probability(p)) + rest * log(clamp_probability(q));
  return {-value, rest * clamped_log_derivative(q) - t * clamped_log_derivative(p)};
}

OSTINATO_INLINE Term squared_term(Vf x, Vf t) {
  const Vf error = x - t;
  return {error * error, error + error};
}

OSTINATO_INLINE Term absolute_term(Vf x, Vf t) {
  const Vf error = x - t;
  // At 0 and for NaN the error itself.
  const Vf sign =
      select(gt(error, zero()), set1(1.0f), select(lt(error, zero()), set1(-1.0f), error));
  return {abs(error), sign};
}

// P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics
// 35(1), 1964. With c the error clamped to +-delta both branches are c (error - c / 2).
OSTINATO_INLINE Term huber_term(Vf x, Vf t, Vf delta) {
  const Vf error = x - t;
  const Vf clamped = min(delta, max(-delta, error));  // the error second: NaN passes
  return {clamped * fnma(set1(0.5f), clamped, error), clamped};
}

// The mean over columns of term(x, t).
template <class TermOf>
OSTINATO_INLINE float mean_row(const LossArgs& args, int64_t row, float scale, float* dx,
                               const TermOf& term_of) {
  const float* x = args.x + row * args.x_ld;
  const float* t = args.targets + row * args.targets_ld;
  const auto n = static_cast<float>(args.cols);
  const Vf factor = set1(scale / n);
  Vf sums = zero();
  for_columns(args.cols, [&](int64_t j, auto lanes) {
    const Term term = term_of(lanes.load(x + j), lanes.load(t + j));
    sums = sums + lanes.keep(term.value, zero());
    if (dx != nullptr) lanes.store(dx + j, term.derivative * factor);
  });
  return reduce_add(sums) / n;
}

inline float loss_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  switch (args.kind) {
    case LossKind::kSparseCategoricalCrossentropy:
    case LossKind::kCategoricalCrossentropy:
      return categorical_row(args, row, scale, dx);
    case LossKind::kBinaryCrossentropy:
      return args.from_logits ? mean_row(args, row, scale, dx,
                                         [](Vf x, Vf t) { return binary_logits_term(x, t); })
                              : mean_row(args, row, scale, dx, [](Vf x, Vf t) {
                                  return binary_probabilities_term(x, t);
                                });
    case LossKind::kMeanSquaredError:
      return mean_row(args, row, scale, dx, [](Vf x, Vf t) { return squared_term(x, t); });
    case LossKind::kMeanAbsoluteError:
      return mean_row(args, row, scale, dx, [](Vf x, Vf t) { return absolute_term(x, t); });
    case LossKind::kHuber:
      return mean_row(args, row, scale, dx,
                      [delta = set1(args.delta)](Vf x, Vf t) { return huber_term(x, t, delta); });
  }
  return 0.0f;
}

inline void loss(const LossArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    float* dx = args.dx == nullptr ? nullptr : args.dx + row * args.dx_ld;
    const float scale = dx == nullptr ? 0.0f : args.scale[row];
    // A row that does not count must not spoil the gradient by a NaN (a missing target, say): 0
    // times it would.
    const bool counts = scale != 0.0f;
    args.loss[row] = loss_row(args, row, scale, counts ? dx : nullptr);
    if (dx == nullptr || counts) continue;
    for_columns(args.cols, [&](int64_t j, auto lanes) { lanes.store(dx + j, zero()); });
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
