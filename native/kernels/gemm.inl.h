// Dense products over many rows: activations times packed weights, and the gradients of weights.
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
inline constexpr int64_t kGemmBlockRows = 16 * kGemmRows;

template <int R>
OSTINATO_INLINE void load_tile(Vf (&sum)[R][kGemmVectors], const float* const (&rows)[R],
                               int64_t valid) {
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < kGemmVectors; ++v) {
      const int64_t left = valid - v * kV;
      sum[r][v] = rows[r] == nullptr || left <= 0 ? zero()
                  : left >= kV                    ? load(rows[r] + v * kV)
                               : load_n(rows[r] + v * kV, static_cast<int>(left));
    }
  }
}

template <int R>
OSTINATO_INLINE void store_tile(const Vf (&sum)[R][kGemmVectors], float* const (&rows)[R],
                                int64_t valid) {
  for (int r = 0; r < R; ++r) {
    if (rows[r] == nullptr) continue;
    for (int v = 0; v < kGemmVectors; ++v) {
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
        load_tile<R>(sum, from, valid);
      } else {
        const float* from[R];
        for (int r = 0; r < R; ++r) from[r] = args.bias == nullptr ? nullptr : args.bias + column;
        load_tile<R>(sum, from, valid);
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
      store_tile<R>(sum, rows, valid);
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

// ---- A^T . B over many rows -------------------------------------------------------------------

inline constexpr int64_t kTnDepth = 256;            // rows summed per block
inline constexpr int64_t kTnRows = 80 * kGemmRows;  // columns of A copied per block
inline constexpr int64_t kGemmTnScratch = kTnDepth * (kTnRows + kGemmWidth);

// Copies src[0..depth)[0..width) to rows of `width` floats: rows of activations lie a multiple of
// 4 KiB apart for the usual sizes, where they fall into one set of the first-level cache.
OSTINATO_INLINE void copy_block(const float* src, int64_t ld, int64_t depth, int64_t width,
                                int64_t valid, float* dst) {
  for (int64_t k = 0; k < depth; ++k) {
    int64_t j = 0;
    for (; j + kV <= valid; j += kV) store(dst + k * width + j, load(src + k * ld + j));
    if (j < valid) {
      const int left = static_cast<int>(valid - j);
      store_n(dst + k * width + j, load_n(src + k * ld + j, left), left);
      j = valid;
    }
    for (; j < width; ++j) dst[k * width + j] = 0.0f;
  }
}

// Micro-tile with both operands indexed by the summed row: sum[r][v] += a[k][r] * b[k][v].
template <int R>
OSTINATO_INLINE void accumulate_tn(Vf (&sum)[R][kGemmVectors], const float* a, int64_t a_ld,
                                   int64_t depth, const float* b) {
  for (int64_t k = 0; k < depth; ++k) {
    Vf column[kGemmVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kGemmVectors; ++v) column[v] = load(b + k * kGemmWidth + v * kV);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vf factor = set1(a[k * a_ld + r]);
#pragma GCC unroll 8
      for (int v = 0; v < kGemmVectors; ++v) sum[r][v] = fma(factor, column[v], sum[r][v]);
    }
  }
}

// One block: copied columns of A against one copied panel of B.
inline void gemm_tn_block(const GemmTnArgs& args, int64_t m_begin, int64_t m_end, int64_t n_begin,
                          int64_t depth, bool accumulate, const float* a, const float* b) {
  const int64_t width = m_end - m_begin;
  const int64_t valid = args.n - n_begin;
  // Tiles start at multiples of kGemmRows of the whole product, so that they do not depend on the
  // range of this call.
  for (int64_t m = m_begin; m < m_end; m += kGemmRows) {
    const int64_t count = m_end - m < kGemmRows ? m_end - m : kGemmRows;
    call_with_rows<kGemmRows>(count, m, [&]<int R>(int64_t first) {
      float* rows[R];
      bool wanted = false;
      for (int r = 0; r < R; ++r) {
        const int64_t row = args.c_map == nullptr ? first + r : args.c_map[first + r];
        rows[r] = row < 0 ? nullptr : args.c + row * args.c_ld + n_begin;
        wanted = wanted || rows[r] != nullptr;
      }
      if (!wanted) return;
      Vf sum[R][kGemmVectors];
      const float* from[R];
      for (int r = 0; r < R; ++r) from[r] = accumulate ? rows[r] : nullptr;
      load_tile<R>(sum, from, valid);
      accumulate_tn<R>(sum, a + (first - m_begin), width, depth, b);
      store_tile<R>(sum, rows, valid);
    });
  }
}

inline void gemm_tn(const GemmTnArgs& args) noexcept {
  float* a = args.scratch;
  float* b = args.scratch + kTnDepth * kTnRows;
  const int64_t m_end = args.m_end < args.m ? args.m_end : args.m;
  const int64_t n_end = args.n_end < args.n ? args.n_end : args.n;
  for (int64_t m = args.m_begin; m < m_end; m += kTnRows) {
    const int64_t m_stop = m + kTnRows < m_end ? m + kTnRows : m_end;
    int64_t k = 0;
    do {  // once even for k = 0, which clears C unless it accumulates
      const int64_t depth = args.k - k < kTnDepth ? args.k - k : kTnDepth;
      copy_block(args.a + k * args.a_ld + m, args.a_ld, depth, m_stop - m, m_stop - m, a);
      for (int64_t n = args.n_begin; n < n_end; n += kGemmWidth) {
        const int64_t valid = args.n - n < kGemmWidth ? args.n - n : kGemmWidth;
        copy_block(args.b + k * args.b_ld + n, args.b_ld, depth, kGemmWidth, valid, b);
        gemm_tn_block(args, m, m_stop, n, depth, args.accumulate || k > 0, a, b);
      }
      k += kTnDepth;
    } while (k < args.k);
  }
}

inline void column_sums(const ColumnSumsArgs& args) noexcept {
  for (int64_t j = args.begin; j < args.end; j += kV) {
    const int64_t left = args.end - j;
    const int lanes = static_cast<int>(left < kV ? left : kV);
    Vf sum = zero();
    if (lanes == kV) {
      for (int64_t row = 0; row < args.rows; ++row) sum = sum + load(args.x + row * args.ld + j);
    } else {
      for (int64_t row = 0; row < args.rows; ++row)
        sum = sum + load_n(args.x + row * args.ld + j, lanes);
    }
    float lane_sum[kV];
    store(lane_sum, sum);
    for (int lane = 0; lane < lanes; ++lane) {
      const int64_t to = args.map == nullptr ? j + lane : args.map[j + lane];
      if (to >= 0) args.dst[to] = args.accumulate ? args.dst[to] + lane_sum[lane] : lane_sum[lane];
    }
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
