// Dense products over many rows: activations times packed weights.
#pragma once

#include "kernels/tile.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline constexpr int kGemmVectors = kVectorRegisters >= 32 ? 4 : 2;
inline constexpr int kGemmRows = kSums / kGemmVectors;
// Rows where the last panel has one or two vectors only: enough sums to hide the latency.
inline constexpr int kGemmNarrowRows = 8;
inline constexpr int64_t kGemmWidth = kGemmVectors * kV;

// Depth of a block: the panel of B that all row tiles of a block share stays in the second-level
// cache. Sums of different blocks are added in the order of the blocks.
inline constexpr int64_t kGemmDepth = 512;
// Rows of A whose block is used by all panels before the next rows are touched.
inline constexpr int64_t kGemmBlockRows = 64 * kGemmRows;

// Where the block of B is larger than this, and the rows are at least so many, tiles fetch the next
// panel: a smaller one stays in the second-level cache, and few rows would fetch in bursts, which
// keep a tile's own loads waiting.
inline constexpr int64_t kGemmFetchFloats = 128 * 1024, kGemmFetchRows = 128;

// Rows of A and C, a range of the sums, and the vectors of the next panel that are fetched per row.
struct GemmBlock {
  int64_t row_begin, row_end, k_begin, k_end, fetched;
};

// Loops over a tile are unrolled throughout: a sum that is indexed at run time lives in memory.
// rows: R pointers, null for a row that does not count; `valid` columns exist.
template <int R, int NV>
OSTINATO_INLINE void load_tile(Vf (&sum)[R][NV], const float* const* rows, int64_t valid) {
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    const int64_t left = valid - v * kV;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      sum[r][v] = rows[r] == nullptr || left <= 0 ? zero()
                  : left >= kV                    ? load(rows[r] + v * kV)
                               : load_n(rows[r] + v * kV, static_cast<int>(left));
    }
  }
}

template <int R, int NV>
OSTINATO_INLINE void store_tile(const Vf (&sum)[R][NV], float* const* rows, int64_t valid) {
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    const int64_t left = valid - v * kV;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      if (rows[r] == nullptr) continue;
      if (left >= kV) {
        store(rows[r] + v * kV, sum[r][v]);
      } else if (left > 0) {
        store_n(rows[r] + v * kV, sum[r][v], static_cast<int>(left));
      }
    }
  }
}

// R rows by the first NV vectors of a panel.
template <int R, int NV>
OSTINATO_INLINE void gemm_tile(const GemmArgs& args, const GemmBlock& block, int64_t row,
                               int64_t panel) {
  const int64_t k_begin = block.k_begin, k_end = block.k_end;
  const int64_t column = panel * kGemmWidth;
  const int64_t valid = args.n - column;
  float* const c = args.c + row * args.c_ld + column;
  const bool adds = k_begin > 0 || args.accumulate;
  Vf sum[R][NV];
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    const int64_t left = valid - v * kV;
    const Vf bias = k_begin > 0 || args.bias == nullptr || left <= 0 ? zero()
                    : left >= kV ? load(args.bias + column + v * kV)
                                 : load_n(args.bias + column + v * kV, static_cast<int>(left));
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[r][v] = bias;
  }
  const float* const a = args.a + row * args.a_ld;
  const int64_t fetched = panel + 1 < args.panel_end ? block.fetched : 0;
  const float* const next = args.b + ((panel + 1) * args.k + k_begin) * kGemmWidth +
                            (row - block.row_begin) * fetched * kV;
  const auto fetch = [&](int r) {
    for (int v = 0; v < NV; ++v) prefetch_l2(c + r * args.c_ld + v * kV);
    for (int64_t i = 0; i < fetched; ++i) prefetch_l2(next + (r * fetched + i) * kV);
  };
  if (args.b_map == nullptr) {
    accumulate_fetching<R, 1, NV, R>(sum, a + k_begin, args.a_ld, k_end - k_begin,
                                     args.b + (panel * args.k + k_begin) * kGemmWidth, 0,
                                     kGemmWidth, fetch);
  } else {
    for (int r = 0; r < R; ++r) fetch(r);
    for (int64_t k = k_begin; k < k_end; k += kV) {
      accumulate<R, 1, NV>(sum, a + k, args.a_ld, kV, args.b + args.b_map[k] * args.b_ld + column,
                           0, args.b_ld);
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) {
    const int64_t left = valid - v * kV;
    if (left >= kV) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        float* const to = c + r * args.c_ld + v * kV;
        store(to, adds ? load(to) + sum[r][v] : sum[r][v]);
      }
    } else if (left > 0) {
      const int lanes = static_cast<int>(left);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        float* const to = c + r * args.c_ld + v * kV;
        store_n(to, adds ? load_n(to, lanes) + sum[r][v] : sum[r][v], lanes);
      }
    }
  }
}

inline void gemm_block(const GemmArgs& args, const GemmBlock& block) {
  const auto tiles = [&]<int kRows, int NV>(int64_t panel) {
    for_row_tiles<kRows>(block.row_end - block.row_begin, [&]<int R>(int64_t first) {
      gemm_tile<R, NV>(args, block, block.row_begin + first, panel);
    });
  };
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const int64_t valid = args.n - panel * kGemmWidth;
    if (valid <= kV) {
      tiles.template operator()<kGemmNarrowRows, 1>(panel);
    } else if (kGemmVectors > 2 && valid <= 2 * kV) {
      tiles.template operator()<kGemmNarrowRows, 2>(panel);
    } else {
      tiles.template operator()<kGemmRows, kGemmVectors>(panel);
    }
  }
}

// Vectors of the next panel to fetch with each row of a block.
inline int64_t fetched_per_row(const GemmArgs& args, int64_t rows, int64_t depth) {
  const int64_t panels = args.panel_end - args.panel_begin;
  if (rows < kGemmFetchRows || panels * depth * kGemmWidth < kGemmFetchFloats) return 0;
  return (depth * kGemmVectors + rows - 1) / rows;
}

inline void gemm(const GemmArgs& args) noexcept {
  for (int64_t row = 0; row < args.m; row += kGemmBlockRows) {
    const int64_t row_end = row + kGemmBlockRows < args.m ? row + kGemmBlockRows : args.m;
    int64_t k = 0;
    do {  // once even for k = 0, which leaves the bias
      const int64_t k_end = k + kGemmDepth < args.k ? k + kGemmDepth : args.k;
      gemm_block(args, {row, row_end, k, k_end, fetched_per_row(args, row_end - row, k_end - k)});
      k = k_end;
    } while (k < args.k);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
