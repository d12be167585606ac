// RMS normalisation (B. Zhang, R. Sennrich, "Root mean square layer normalization",
// arXiv:1910.07467): each row is divided by the root of the mean of its squares, then scaled.
#pragma once

#include <cmath>

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline void rms_norm(const RmsNormArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    Vf squares = zero();
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf value = lanes.load(x + j);
      squares = fma(value, value, squares);
    });
    const double mean = reduce_add(squares) / static_cast<double>(args.cols);
    args.rstd[row] = static_cast<float>(1.0 / std::sqrt(mean + static_cast<double>(args.epsilon)));
    const Vf rstd = set1(args.rstd[row]);
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(y + j, lanes.load(x + j) * rstd * lanes.load(args.gamma + j));
    });
  }
}

// With d = dy gamma and xhat = x rstd: dx = rstd (d - xhat mean(d xhat)).
inline void rms_norm_grad(const RmsNormGradArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    const float* dy = args.dy + row * args.dy_ld;
    float* dx = args.dx + row * args.dx_ld;
    const Vf rstd = set1(args.rstd[row]);
    Vf products = zero();
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf d = lanes.load(dy + j) * lanes.load(args.gamma + j);
      products = fma(d, lanes.load(x + j) * rstd, products);
    });
    const Vf mean = set1(reduce_add(products) / static_cast<float>(args.cols));
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf d = lanes.load(dy + j) * lanes.load(args.gamma + j);
      lanes.store(dx + j, rstd * fnma(lanes.load(x + j) * rstd, mean, d));
    });
  }
}

// A column's sum is one chain in the rows' order, whatever the range.
inline void rms_norm_param_grad(const RmsNormParamGradArgs& args) noexcept {
  for_columns(args.end - args.begin, [&](int64_t offset, auto lanes) {
    const int64_t j = args.begin + offset;
    Vf sum = zero();
    for (int64_t row = 0; row < args.rows; ++row) {
      const Vf normalized = lanes.load(args.x + row * args.x_ld + j) * set1(args.rstd[row]);
      sum = fma(lanes.load(args.dy + row * args.dy_ld + j), normalized, sum);
    }
    lanes.store(args.dgamma + j, lanes.load(args.dgamma + j) + sum);
  });
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
