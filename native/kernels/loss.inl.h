// Losses of rows with their gradients. Categorical ones are in crossentropy.inl.h and focal.inl.h,
// likelihoods in likelihood.inl.h; here are those that are a mean over columns of a function of one
// prediction and one target, and the cosine.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/crossentropy.inl.h"
#include "kernels/focal.inl.h"
#include "kernels/kernels.h"
#include "kernels/likelihood.inl.h"
#include "kernels/softplus.inl.h"
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
// `rest` is 1 - t, both times their class's weight.
OSTINATO_INLINE Term binary_probabilities_term(Vf p, Vf t, Vf rest) {
  const Vf q = set1(1.0f) - p;
  const Vf value = t * log(clamp_probability(p)) + rest * log(clamp_probability(q));
  return {-value, rest * clamped_log_derivative(q) - t * clamped_log_derivative(p)};
}

// The binary loss with weights of the two classes: w1 t softplus(-x) + w0 (1 - t) softplus(x).
struct WeightedBinary {
  Vf w0, w1;
  OSTINATO_INLINE Term operator()(Vf x, Vf t) const {
    const Vf of_one = w1 * t, of_zero = w0 * (set1(1.0f) - t);
    const Vf value = of_one * softplus(-x) + of_zero * softplus(x);
    return {value, of_zero * sigmoid(x) - of_one * sigmoid(-x)};
  }
};

// Times m^gamma, m being the probability of what is wrong, t (1 - p) + (1 - t) p. With b the plain
// loss the derivative is m^gamma (gamma (1 - 2t) p (1 - p) / m b + b').
struct BinaryFocal {
  Vf w0, w1, gamma;
  OSTINATO_INLINE Term operator()(Vf x, Vf t) const {
    const Vf one = set1(1.0f);
    const Vf rest = one - t, p = sigmoid(x), q = sigmoid(-x);
    const Vf plain = t * softplus(-x) + rest * softplus(x);
    const Vf wrong = max(set1(kLeastRest), t * q + rest * p);
    const Vf power = (w1 * t + w0 * rest) * exp(gamma * log(wrong));
    const Vf change = gamma * (rest - t) * (p * q / wrong) * plain;
    return {power * plain, power * (change + (rest * p - t * q))};
  }
};

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

// 1 - cos(x, t). Norms below 1e-8 count as 1e-8, as in PyTorch's cosine_similarity.
inline float cosine_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* x = args.x + row * args.x_ld;
  const float* t = args.targets + row * args.targets_ld;
  Vf products = zero(), squares_x = zero(), squares_t = zero();
  for_columns(args.cols, [&](int64_t j, auto lanes) {
    const Vf xj = lanes.load(x + j), tj = lanes.load(t + j);
    products = fma(xj, tj, products);
    squares_x = fma(xj, xj, squares_x);
    squares_t = fma(tj, tj, squares_t);
  });
  constexpr double kLeast = 1e-8;
  const double norm_x = std::sqrt(static_cast<double>(reduce_add(squares_x)));
  const double norm_t = std::sqrt(static_cast<double>(reduce_add(squares_t)));
  const double length_x = norm_x < kLeast ? kLeast : norm_x;
  const double length_t = norm_t < kLeast ? kLeast : norm_t;
  const double cosine = static_cast<double>(reduce_add(products)) / (length_x * length_t);
  if (dx != nullptr) {
    const Vf of_t = set1(static_cast<float>(-scale / (length_x * length_t)));
    const double pull = norm_x < kLeast ? 0.0 : cosine * scale / (length_x * length_x);
    const Vf of_x = set1(static_cast<float>(pull));
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(dx + j, fma(of_x, lanes.load(x + j), of_t * lanes.load(t + j)));
    });
  }
  return static_cast<float>(1.0 - cosine);
}

// The pinball loss of R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46(1), 1978:
// with e = t - x, q e where it is positive and (q - 1) e where not; the mean over all predictions.
inline float quantile_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* t = args.targets + row * args.targets_ld;
  const int64_t features = args.cols / args.quantile_count;
  const auto n = static_cast<float>(args.cols);
  const Vf factor = set1(scale / n);
  Vf sums = zero();
  for (int64_t i = 0; i < args.quantile_count; ++i) {
    const float* x = args.x + row * args.x_ld + i * features;
    const Vf above = set1(args.quantiles[i]), below = set1(args.quantiles[i] - 1.0f);
    for_columns(features, [&](int64_t j, auto lanes) {
      const Vf error = lanes.load(t + j) - lanes.load(x + j);
      // At 0 and for NaN the error itself.
      const Vf slope = select(gt(error, zero()), above, select(lt(error, zero()), below, error));
      sums = sums + lanes.keep(slope * error, zero());
      if (dx != nullptr) lanes.store(dx + i * features + j, -slope * factor);
    });
  }
  return reduce_add(sums) / n;
}

inline float binary_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  const float* weights = args.class_weights;
  const Vf w0 = set1(weights == nullptr ? 1.0f : weights[0]);
  const Vf w1 = set1(weights == nullptr ? 1.0f : weights[1]);
  const Vf rest = set1(1.0f - args.smoothing), half = set1(0.5f * args.smoothing);
  if (args.kind == LossKind::kBinaryFocal) {
    return mean_row(args, row, scale, dx, BinaryFocal{w0, w1, set1(args.gamma)});
  }
  const bool smooth = args.smoothing != 0.0f;
  if (!args.from_logits) {
    return mean_row(args, row, scale, dx, [=](Vf x, Vf t) {
      const Vf target = smooth ? fma(rest, t, half) : t;
      return binary_probabilities_term(x, w1 * target, w0 * (set1(1.0f) - target));
    });
  }
  if (weights == nullptr && !smooth) {
    return mean_row(args, row, scale, dx, [](Vf x, Vf t) { return binary_logits_term(x, t); });
  }
  return mean_row(args, row, scale, dx, [=](Vf x, Vf t) {
    return WeightedBinary{w0, w1}(x, smooth ? fma(rest, t, half) : t);
  });
}

inline float loss_row(const LossArgs& args, int64_t row, float scale, float* dx) {
  switch (args.kind) {
    case LossKind::kSparseCategoricalCrossentropy:
      mark_correct(args, row);
      return sparse_row(args, row, scale, dx);
    case LossKind::kCategoricalCrossentropy:
    case LossKind::kKlDivergence:
      mark_correct(args, row);
      return dense_row(args, row, scale, dx);
    case LossKind::kSparseCategoricalFocal:
    case LossKind::kCategoricalFocal:
      mark_correct(args, row);
      return categorical_focal_row(args, row, scale, dx);
    case LossKind::kBinaryCrossentropy:
    case LossKind::kBinaryFocal:
      return binary_row(args, row, scale, dx);
    case LossKind::kCosine:
      return cosine_row(args, row, scale, dx);
    case LossKind::kQuantile:
      return quantile_row(args, row, scale, dx);
    case LossKind::kGaussian:
      return likelihood_row<2>(args, row, scale, dx, gaussian);
    case LossKind::kStudentT:
      return likelihood_row<3>(args, row, scale, dx, student_t);
    case LossKind::kNegativeBinomial:
      return likelihood_row<2>(args, row, scale, dx, negative_binomial);
    case LossKind::kCtc:
      break;
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
