// Products of rows with a weight for each column: what a depthwise convolution is made of.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline void add_weighted(const WeightedRowsArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(y + j, fma(lanes.load(x + j), lanes.load(args.weight + j), lanes.load(y + j)));
    });
  }
}

// A column's sum is one chain in the rows' order, whatever the range.
inline void add_column_products(const ColumnProductsArgs& args) noexcept {
  for_columns(args.end - args.begin, [&](int64_t offset, auto lanes) {
    const int64_t j = args.begin + offset;
    Vf sum = lanes.load(args.sums + j);
    for (int64_t row = 0; row < args.rows; ++row) {
      sum = fma(lanes.load(args.a + row * args.a_ld + j), lanes.load(args.b + row * args.b_ld + j),
                sum);
    }
    lanes.store(args.sums + j, sum);
  });
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
