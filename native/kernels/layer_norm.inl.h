// Layer normalisation (J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization",
// arXiv:1607.06450): each row is normalised over its columns, then scaled and shifted.
#pragma once

#include <cmath>

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

struct Moments {
  float mean, rstd;
};

// Mean and 1 / sqrt(variance + epsilon) of `count` elements of x; each(body) calls body(j, lanes)
// for those at j = 0, …, as for_columns does. The second pass sums deviations from the rounded
// mean; their own mean corrects both results (T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms
// for computing the sample variance", The American Statistician 37(3), 1983), which matters where
// the mean is large beside the deviation.
template <class Each>
OSTINATO_INLINE Moments moments_of(const float* x, int64_t count, float epsilon, const Each& each) {
  Vf sums = zero();
  each([&](int64_t j, auto lanes) { sums = sums + lanes.load(x + j); });
  const float first_mean = reduce_add(sums) / static_cast<float>(count);
  const Vf center = set1(first_mean);
  Vf deviations = zero(), squares = zero();
  each([&](int64_t j, auto lanes) {
    const Vf d = lanes.keep(lanes.load(x + j) - center, zero());
    deviations = deviations + d;
    squares = fma(d, d, squares);
  });
  const double n = static_cast<double>(count);
  const double shift = reduce_add(deviations) / n;
  const double variance = reduce_add(squares) / n - shift * shift;
  // Rounding must not make it negative; NaN is not below zero and stays.
  const double clamped = variance < 0.0 ? 0.0 : variance;
  return {static_cast<float>(first_mean + shift),
          static_cast<float>(1.0 / std::sqrt(clamped + static_cast<double>(epsilon)))};
}

inline Moments row_moments(const float* x, int64_t cols, float epsilon) {
  return moments_of(x, cols, epsilon, [&](const auto& body) { for_columns(cols, body); });
}

inline void layer_norm(const LayerNormArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    const Moments moments = row_moments(x, args.cols, args.epsilon);
    args.mean[row] = moments.mean;
    args.rstd[row] = moments.rstd;
    const Vf mean = set1(moments.mean), rstd = set1(moments.rstd);
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf normalized = (lanes.load(x + j) - mean) * rstd;
      const Vf shift = args.beta != nullptr ? lanes.load(args.beta + j) : zero();
      lanes.store(y + j, fma(normalized, lanes.load(args.gamma + j), shift));
    });
  }
}

// With d = dy gamma: dx = rstd (d - mean(d) - xhat mean(d xhat)). dx may be dy or x itself.
inline void layer_norm_grad(const LayerNormGradArgs& args) noexcept {
  if (args.dx == nullptr) return;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    const float* dy = args.dy + row * args.dy_ld;
    float* dx = args.dx + row * args.dx_ld;
    const Vf mean = set1(args.mean[row]), rstd = set1(args.rstd[row]);
    Vf sums = zero(), products = zero();
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf d = lanes.load(dy + j) * lanes.load(args.gamma + j);
      const Vf normalized = (lanes.load(x + j) - mean) * rstd;
      sums = sums + d;
      products = fma(d, lanes.keep(normalized, zero()), products);
    });
    const auto n = static_cast<float>(args.cols);
    const Vf mean_d = set1(reduce_add(sums) / n);
    const Vf mean_product = set1(reduce_add(products) / n);
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf d = lanes.load(dy + j) * lanes.load(args.gamma + j);
      const Vf normalized = (lanes.load(x + j) - mean) * rstd;
      lanes.store(dx + j, rstd * fnma(normalized, mean_product, d - mean_d));
    });
  }
}

// Sums of `kVectors` vectors of columns from column `begin` on, each one chain in the rows' order.
template <int kVectors, class Lanes>
OSTINATO_INLINE void sum_param_gradients(const LayerNormParamGradArgs& args, int64_t begin,
                                         Lanes lanes) {
  Vf gamma[kVectors], beta[kVectors];
  for (int v = 0; v < kVectors; ++v) gamma[v] = beta[v] = zero();
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld + begin;
    const float* dy = args.dy + row * args.dy_ld + begin;
    const Vf mean = set1(args.mean[row]), rstd = set1(args.rstd[row]);
    for (int v = 0; v < kVectors; ++v) {
      const Vf d = lanes.load(dy + v * Vf::kWidth);
      const Vf normalized = (lanes.load(x + v * Vf::kWidth) - mean) * rstd;
      gamma[v] = fma(d, normalized, gamma[v]);
      beta[v] = beta[v] + d;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    float* dgamma = args.dgamma + begin + v * Vf::kWidth;
    lanes.store(dgamma, lanes.load(dgamma) + gamma[v]);
    if (args.dbeta == nullptr) continue;
    float* dbeta = args.dbeta + begin + v * Vf::kWidth;
    lanes.store(dbeta, lanes.load(dbeta) + beta[v]);
  }
}

inline void layer_norm_param_grad(const LayerNormParamGradArgs& args) noexcept {
  constexpr int kVectors = 4;  // several cache lines of each row at a time
  int64_t j = args.begin;
  for (; j + kVectors * Vf::kWidth <= args.end; j += kVectors * Vf::kWidth) {
    sum_param_gradients<kVectors>(args, j, WholeVector{});
  }
  for (; j + Vf::kWidth <= args.end; j += Vf::kWidth) {
    sum_param_gradients<1>(args, j, WholeVector{});
  }
  if (j < args.end) sum_param_gradients<1>(args, j, FirstLanes{static_cast<int>(args.end - j)});
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
