// Operations on flat buffers: gradients, slots, accumulators.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline void add(float* dst, const float* src, int64_t n) noexcept {
  for_columns(n, [&](int64_t j, auto lanes) {
    lanes.store(dst + j, lanes.load(dst + j) + lanes.load(src + j));
  });
}

inline void scale(float* dst, float factor, int64_t n) noexcept {
  const Vf f = set1(factor);
  for_columns(n, [&](int64_t j, auto lanes) { lanes.store(dst + j, lanes.load(dst + j) * f); });
}

inline void add_scaled(float* dst, const float* src, float factor, int64_t n) noexcept {
  const Vf f = set1(factor);
  for_columns(n, [&](int64_t j, auto lanes) {
    lanes.store(dst + j, fma(f, lanes.load(src + j), lanes.load(dst + j)));
  });
}

inline void mix(float* dst, const float* src, float factor, int64_t n) noexcept {
  const Vf f = set1(factor);
  for_columns(n, [&](int64_t j, auto lanes) {
    const Vf a = lanes.load(dst + j);
    lanes.store(dst + j, fma(f, lanes.load(src + j) - a, a));
  });
}

// Element i goes to partial sum i mod 16, and the sums are added pairwise: the same order, hence
// the same bits, on every instruction set. The square of a float is exact in double.
inline double sum_squares(const float* x, int64_t n) noexcept {
  constexpr int kSums = 16;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (int s = 0; s < kSums; ++s) {
      const double value = x[i + s];
      sums[s] += value * value;
    }
  }
  for (int s = 0; i < n; ++i, ++s) {
    const double value = x[i];
    sums[s] += value * value;
  }
  for (int width = kSums / 2; width > 0; width /= 2) {
    for (int s = 0; s < width; ++s) sums[s] += sums[s + width];
  }
  return sums[0];
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
