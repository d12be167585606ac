// Maxima over rows, one row after another, and where their gradients go.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline void maximum(const MaximumArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x_row = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf x = lanes.load(x_row + j);
      // max(x, NaN) is NaN: once an element is NaN it stays.
      lanes.store(y + j, select(is_nan(x), x, max(x, lanes.load(y + j))));
    });
  }
}

inline void maximum_grad(const MaximumArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    const float* y = args.y + row * args.y_ld;
    float* left_row = args.left + row * args.left_ld;
    float* dx = args.dx + row * args.dx_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf left = lanes.load(left_row + j);
      const auto here = eq(lanes.load(x + j), lanes.load(y + j));
      lanes.store(dx + j, select(here, left, zero()));
      lanes.store(left_row + j, select(here, zero(), left));
    });
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
