// Batch normalisation (S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015): each column is
// normalised over the rows. A column's sums go over blocks of rows and then over the blocks, in an
// order that depends on the number of rows alone.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

constexpr int64_t kBatchNormBlock = 128;

// The mean is summed twice: the deviations from the first, rounded one have a mean that corrects
// both results, as in layer_norm.inl.h.
inline void column_moments(const ColumnMomentsArgs& args) noexcept {
  const Vf share = set1(1.0f / static_cast<float>(args.rows));
  for_columns(args.end - args.begin, [&](int64_t offset, auto lanes) {
    const float* x = args.x + args.begin + offset;
    Vf total = zero();
    for (int64_t begin = 0; begin < args.rows; begin += kBatchNormBlock) {
      const int64_t end = begin + kBatchNormBlock < args.rows ? begin + kBatchNormBlock : args.rows;
      Vf sum = zero();
      for (int64_t row = begin; row < end; ++row) sum = sum + lanes.load(x + row * args.x_ld);
      total = total + sum;
    }
    const Vf center = total * share;
    Vf deviations = zero(), squares = zero();
    for (int64_t begin = 0; begin < args.rows; begin += kBatchNormBlock) {
      const int64_t end = begin + kBatchNormBlock < args.rows ? begin + kBatchNormBlock : args.rows;
      Vf sum = zero(), square = zero();
      for (int64_t row = begin; row < end; ++row) {
        const Vf d = lanes.load(x + row * args.x_ld) - center;
        sum = sum + d;
        square = fma(d, d, square);
      }
      deviations = deviations + sum;
      squares = squares + square;
    }
    const Vf shift = deviations * share;
    const Vf variance = fnma(shift, shift, squares * share);
    lanes.store(args.mean + args.begin + offset, center + shift);
    // Rounding must not make it negative; NaN passes, being second.
    lanes.store(args.variance + args.begin + offset, max(zero(), variance));
  });
}

inline void batch_norm(const BatchNormArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf d = lanes.load(x + j) - lanes.load(args.mean + j);
      lanes.store(y + j, fma(d, lanes.load(args.scale + j), lanes.load(args.shift + j)));
    });
  }
}

inline void batch_norm_sums(const BatchNormArgs& args) noexcept {
  for_columns(args.end - args.begin, [&](int64_t offset, auto lanes) {
    const int64_t j = args.begin + offset;
    const Vf mean = lanes.load(args.mean + j);
    Vf all = zero(), all_products = zero();
    for (int64_t begin = 0; begin < args.rows; begin += kBatchNormBlock) {
      const int64_t end = begin + kBatchNormBlock < args.rows ? begin + kBatchNormBlock : args.rows;
      Vf sum = zero(), products = zero();
      for (int64_t row = begin; row < end; ++row) {
        const Vf dy = lanes.load(args.dy + row * args.dy_ld + j);
        sum = sum + dy;
        products = fma(dy, lanes.load(args.x + row * args.x_ld + j) - mean, products);
      }
      all = all + sum;
      all_products = all_products + products;
    }
    lanes.store(args.sum_dy + j, all);
    lanes.store(args.sum_products + j, all_products);
  });
}

inline void batch_norm_grad(const BatchNormArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    const float* dy = args.dy + row * args.dy_ld;
    float* dx = args.dx + row * args.dx_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf d = lanes.load(x + j) - lanes.load(args.mean + j);
      const Vf centered = lanes.load(dy + j) - lanes.load(args.mean_dy + j);
      lanes.store(dx + j,
                  lanes.load(args.scale + j) * fnma(d, lanes.load(args.slope + j), centered));
    });
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
