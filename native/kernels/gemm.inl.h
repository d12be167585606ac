// Dense products over many rows: activations times packed weights.
#pragma once

#include "kernels/tile.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline constexpr int kGemmVectors = kVectorRegisters >= 32 ? 4 : 2;
inline constexpr int kGemmRows = kSums / kGemmVectors;
inline constexpr int64_t kGemmWidth = kGemmVectors * kV;

// Depth of a block: the panel of B that all row tiles of a block share stays in the second-level
// cache. Sums of different blocks are added in the order of the blocks.
inline constexpr int64_t kGemmDepth = 512;
// Rows of A whose block is used by all panels before the next rows are touched.
inline constexpr int64_t kGemmBlockRows = 64 * kGemmRows;

template <int R, int NV>
OSTINATO_INLINE void load_tile(Vf (&sum)[R][NV], const float* const* rows, int64_t valid) {
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < NV; ++v) {
      const int64_t left = valid - v * kV;
      sum[r][v] = rows[r] == nullptr || left <= 0 ? zero()
                  : left >= kV                    ? load(rows[r] + v * kV)
                               : load_n(rows[r] + v * kV, static_cast<int>(left));
    }
  }
}

template <int R, int NV>
OSTINATO_INLINE void store_tile(const Vf (&sum)[R][NV], float* const* rows, int64_t valid) {
  for (int r = 0; r < R; ++r) {
    if (rows[r] == nullptr) continue;
    for (int v = 0; v < NV; ++v) {
      const int64_t left = valid - v * kV;
      if (left >= kV) {
        store(rows[r] + v * kV, sum[r][v]);
      } else if (left > 0) {
        store_n(rows[r] + v * kV, sum[r][v], static_cast<int>(left));
      }
    }
  }
}

inline void gemm_block(const GemmArgs& args, int64_t row_begin, int64_t row_end, int64_t k_begin,
                       int64_t k_end) {
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const int64_t column = panel * kGemmWidth;
    const int64_t valid = args.n - column;
    const float* b = args.b + (panel * args.k + k_begin) * kGemmWidth;
    for_row_tiles<kGemmRows>(row_end - row_begin, [&]<int R>(int64_t first) {
      Vf sum[R][kGemmVectors];
      float* rows[R];
      for (int r = 0; r < R; ++r) rows[r] = args.c + (row_begin + first + r) * args.c_ld + column;
      if (k_begin > 0 || args.accumulate) {
        const float* from[R];
        for (int r = 0; r < R; ++r) from[r] = rows[r];
        load_tile(sum, from, valid);
      } else {
        const float* from[R];
        for (int r = 0; r < R; ++r) from[r] = args.bias == nullptr ? nullptr : args.bias + column;
        load_tile(sum, from, valid);
      }
      accumulate<R, 1, kGemmVectors>(sum, args.a + (row_begin + first) * args.a_ld + k_begin,
                                     args.a_ld, k_end - k_begin, b, 0);
      if (k_begin == 0 && args.accumulate && args.bias != nullptr) {
        for (int v = 0; v < kGemmVectors; ++v) {
          const int64_t left = valid - v * kV;
          if (left <= 0) continue;
          const Vf bias =
              load_n(args.bias + column + v * kV, static_cast<int>(left < kV ? left : kV));
          for (int r = 0; r < R; ++r) sum[r][v] = sum[r][v] + bias;
        }
      }
      store_tile(sum, rows, valid);
    });
  }
}

inline void gemm(const GemmArgs& args) noexcept {
  for (int64_t row = 0; row < args.m; row += kGemmBlockRows) {
    const int64_t row_end = row + kGemmBlockRows < args.m ? row + kGemmBlockRows : args.m;
    int64_t k = 0;
    do {  // once even for k = 0, which leaves the bias
      const int64_t k_end = k + kGemmDepth < args.k ? k + kGemmDepth : args.k;
      gemm_block(args, row, row_end, k, k_end);
      k = k_end;
    } while (k < args.k);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
