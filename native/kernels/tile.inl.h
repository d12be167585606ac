// The micro-tile: R rows of A times NV vectors of columns of B, all sums in registers. Every dense
// product of the library, the recurrent ones included, is made of it.
#pragma once

#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline constexpr int64_t kV = Vf::kWidth;

// Sums that a tile may hold in registers; the rest is for a broadcast and the columns of B.
inline constexpr int kSums = kVectorRegisters >= 32 ? 24 : 12;

// sum[r][p * G + g] += A[r, 0..k) . B[0..k, panel p, vector g]: P panels of G vectors each, whose
// row i lies at b + p * b_panel + i * b_ld. Each sum is one chain in the order of k, whatever R
// and P: which tile an element falls in does not change its bits.
template <int R, int P, int G>
OSTINATO_INLINE void accumulate(Vf (&sum)[R][P * G], const float* a, int64_t a_ld, int64_t k,
                                const float* b, int64_t b_panel, int64_t b_ld = G * kV) {
  constexpr int kColumns = P * G;
  // Where a step's columns do not fit beside the sums, its factors may: 3 x 4 sums, 3 factors and a
  // column just fill 16 registers, while 4 columns would be spilled, at half the speed.
  constexpr bool kKeepsFactors = R < kColumns && (R + 1) * kColumns + 1 > kVectorRegisters;
  const auto column = [&](int64_t i, int v) {
    return load(b + v / G * b_panel + i * b_ld + v % G * kV);
  };
#pragma GCC unroll 2
  for (int64_t i = 0; i < k; ++i) {
    if constexpr (kKeepsFactors) {
      Vf factor[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) factor[r] = set1(a[r * a_ld + i]);
#pragma GCC unroll 8
      for (int v = 0; v < kColumns; ++v) {
        const Vf c = column(i, v);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) sum[r][v] = fma(factor[r], c, sum[r][v]);
      }
    } else {
      Vf columns[kColumns];
#pragma GCC unroll 8
      for (int v = 0; v < kColumns; ++v) columns[v] = column(i, v);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vf factor = set1(a[r * a_ld + i]);
#pragma GCC unroll 8
        for (int v = 0; v < kColumns; ++v) sum[r][v] = fma(factor, columns[v], sum[r][v]);
      }
    }
  }
}

// As accumulate, with what the tile or the next one needs besides fetched meanwhile: fetch(i) for
// each i < kItems, spread over the loop, since a burst of fetches would keep the loop's own loads
// waiting. A short loop is cut into fewer parts, with several items before each.
template <int R, int P, int G, int kItems, class Fetch>
OSTINATO_INLINE void accumulate_fetching(Vf (&sum)[R][P * G], const float* a, int64_t a_ld,
                                         int64_t k, const float* b, int64_t b_panel, int64_t b_ld,
                                         const Fetch& fetch) {
  constexpr int64_t kLeastDepth = 32;
  const int64_t most = k / kLeastDepth;
  const int64_t parts = most < 1 ? 1 : most < kItems ? most : kItems;
  const int64_t depth = k / parts, items = (kItems + parts - 1) / parts;
  int64_t begin = 0;
#pragma GCC unroll 1
  for (int64_t item = 0; item < kItems; begin += depth) {
    const int64_t last = item + items < kItems ? item + items : kItems;
#pragma GCC unroll 1
    for (; item < last; ++item) fetch(static_cast<int>(item));
    const int64_t end = item < kItems ? begin + depth : k;
    accumulate<R, P, G>(sum, a + begin, a_ld, end - begin, b + begin * b_ld, b_panel, b_ld);
  }
}

// Splits `rows` into tiles of at most kMaxRows as evenly as possible (8 rows of at most 6 make
// 4 + 4, not 6 + 2, since small tiles leave FMA latency open): calls body.template operator()<R>(
// first row) for each tile.
template <int R, class Body>
OSTINATO_INLINE void call_with_rows(int64_t rows, int64_t first, const Body& body) {
  if constexpr (R > 0) {
    if (rows == R) {
      body.template operator()<R>(first);
    } else {
      call_with_rows<R - 1>(rows, first, body);
    }
  }
}

template <int kMaxRows, class Body>
OSTINATO_INLINE void for_row_tiles(int64_t rows, const Body& body) {
  const int64_t tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t first = rows * tile / tiles;
    call_with_rows<kMaxRows>(rows * (tile + 1) / tiles - first, first, body);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
