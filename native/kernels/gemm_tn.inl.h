// Products A^T . B, sums over many rows: the gradients of weights.
#pragma once

#include "kernels/gemm.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline constexpr int kTnVectors = 3;
inline constexpr int kTnRows = kSums / kTnVectors;
inline constexpr int64_t kTnWidth = kTnVectors * kV;

// Rows of A and B summed per block: all tiles share a panel of B, which stays in the first-level
// cache, and all panels share the block of A, which stays in the second-level one.
inline constexpr int64_t kTnDepth = 512;
inline constexpr int64_t kTnBlock = 64 * kTnRows;  // columns of A
// Sums of a block's columns, and a panel of B.
inline constexpr int64_t kTnSums = (kTnBlock + kV - 1) / kV * kV;
inline constexpr int64_t kGemmTnScratch = kTnSums + kTnDepth * kTnWidth;
// Each row of A is a cache line of its own, too far from the last for the processor to foresee it:
// this many rows ahead covers the latency of the last-level cache.
inline constexpr int64_t kTnAhead = 24;

// Tiles from which they fetch the next panel of B: fewer would do so in bursts.
inline constexpr int64_t kTnFetchTiles = 16;

// Rows of B from some row and column on.
struct TnRows {
  const float* first;  // where they lie at a distance of ld floats, …
  int64_t ld;
  const float* const* places;  // … or null, and where each begins, `column` floats before
  int64_t column;

  TnRows(const GemmTnProduct& product, int64_t row, int64_t column_begin)
      : first(product.b_rows != nullptr ? nullptr : product.b + row * product.b_ld + column_begin),
        ld(product.b_ld),
        places(product.b_rows == nullptr ? nullptr : product.b_rows + row),
        column(column_begin) {}
  const float* row(int64_t k) const {
    return places == nullptr ? first + k * ld : places[k] + column;
  }
};

// Copies `depth` rows of NV vectors, padding included: what is in it meets lanes that nobody
// stores. Rows often lie so far apart that they fall into few sets of the first-level cache.
template <int NV>
OSTINATO_INLINE void copy_panel(const TnRows& rows, int64_t depth, float* dst) {
  for (int64_t k = 0; k < depth; ++k, dst += NV * kV) {
    const float* src = rows.row(k);
    for (int v = 0; v < NV; ++v) store(dst + v * kV, load(src + v * kV));
  }
}

// Both operands are indexed by the summed row: sum[r][v] += a[k][r] * b[k][v].
template <int R, int NV>
OSTINATO_INLINE void accumulate_tn(Vf (&sum)[R][NV], const float* a, int64_t a_ld, const float* b,
                                   int64_t depth) {
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k) {
    const float* row = a + k * a_ld;
    prefetch(row + kTnAhead * a_ld);
    Vf column[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) column[v] = load(b + (k * NV + v) * kV);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vf factor = set1(row[r]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[r][v] = fma(factor, column[v], sum[r][v]);
    }
  }
}

// Columns [m_begin, m_end) of `depth` rows of A from row k on against NV vectors of columns of B
// from column n on.
template <int NV>
OSTINATO_INLINE void gemm_tn_panel(const GemmTnArgs& args, const GemmTnProduct& product, int64_t k,
                                   int64_t depth, int64_t n, bool accumulate) {
  const int64_t valid = product.n - n;
  const float* a = args.a + k * args.a_ld;
  float* panel = args.scratch + kTnSums;
  copy_panel<NV>(TnRows(product, k - product.k_begin, n), depth, panel);
  // The next panel, a few rows of B with each tile.
  const int64_t tiles = (args.m_end - args.m_begin + kTnRows - 1) / kTnRows;
  const bool fetches = tiles >= kTnFetchTiles && n + NV * kV < product.n_end;
  const int64_t fetched = fetches ? (depth + tiles - 1) / tiles : 0;
  const TnRows next(product, k - product.k_begin, n + NV * kV);
  int64_t next_row = 0;
  for (int64_t m = args.m_begin; m < args.m_end; m += kTnRows) {
    for (int64_t i = 0; i < fetched && next_row < depth; ++i, ++next_row) {
      const float* row = next.row(next_row);
      for (int v = 0; v < NV; ++v) prefetch_l2(row + v * kV);
    }
    call_with_rows<kTnRows>(
        args.m_end - m < kTnRows ? args.m_end - m : kTnRows, m, [&]<int R>(int64_t first) {
          float* rows[R];
          bool wanted = false;
          for (int r = 0; r < R; ++r) {
            const int64_t row = args.c_map == nullptr ? first + r : args.c_map[first + r];
            rows[r] = row < 0 ? nullptr : product.c + row * product.c_ld + n;
            wanted = wanted || rows[r] != nullptr;
            if (row < 0) continue;
            for (int v = 0; v < NV; ++v) prefetch_l2(rows[r] + v * kV);
          }
          if (!wanted) return;
          Vf sum[R][NV] = {};
          accumulate_tn(sum, a + first, args.a_ld, panel, depth);
          if (accumulate) {  // last, so that no sum waits for C
            Vf old[R][NV];
            load_tile(old, rows, valid);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
              for (int v = 0; v < NV; ++v) sum[r][v] = old[r][v] + sum[r][v];
            }
          }
          store_tile(sum, rows, valid);
        });
  }
}

// Rows [k, k_end) of A, a block, against the rows of B that belong to them.
OSTINATO_INLINE void gemm_tn_block(const GemmTnArgs& args, const GemmTnProduct& product, int64_t k,
                                   int64_t k_end) {
  const int64_t begin = k > product.k_begin ? k : product.k_begin;
  const int64_t end = k_end < product.k_end ? k_end : product.k_end;
  const bool first = k <= product.k_begin && (product.k_begin < k_end || k_end == args.k);
  if (begin >= end && !first) return;
  const bool accumulate = args.accumulate || !first;
  const int64_t depth = begin < end ? end - begin : 0;
  const int64_t n_end = product.n_end < product.n ? product.n_end : product.n;
  for (int64_t n = product.n_begin; n < n_end;) {
    // Four vectors make 2 + 2: a panel of one leaves FMA latency open.
    const int64_t vectors = (n_end - n + kV - 1) / kV;
    if (vectors == 1) {
      gemm_tn_panel<1>(args, product, begin, depth, n, accumulate);
      n += kV;
    } else if (vectors == 2 || vectors == 4) {
      gemm_tn_panel<2>(args, product, begin, depth, n, accumulate);
      n += 2 * kV;
    } else {
      gemm_tn_panel<3>(args, product, begin, depth, n, accumulate);
      n += 3 * kV;
    }
  }
}

// Adds the sums of the columns of rows [k, k_end) of A, four rows at a time.
OSTINATO_INLINE void add_column_sums(const GemmTnArgs& args, int64_t k, int64_t k_end) {
  constexpr int64_t kRows = 4;
  for (; k < k_end; k += kRows) {
    const int64_t rows = k_end - k < kRows ? k_end - k : kRows;
    for (int64_t m = args.m_begin; m < args.m_end; m += kV) {
      const int64_t left = args.m_end - m;
      float* to = args.scratch + (m - args.m_begin);
      const float* from = args.a + k * args.a_ld + m;
      Vf sum = load(to);
      for (int64_t row = 0; row < rows; ++row, from += args.a_ld) {
        sum = sum + (left >= kV ? load(from) : load_n(from, static_cast<int>(left)));
      }
      store(to, sum);
    }
  }
}

OSTINATO_INLINE void store_column_sums(const GemmTnArgs& args) {
  for (int64_t m = args.m_begin; m < args.m_end; ++m) {
    const int64_t to = args.c_map == nullptr ? m : args.c_map[m];
    if (to < 0) continue;
    const float sum = args.scratch[m - args.m_begin];
    args.column_sums[to] = args.accumulate ? args.column_sums[to] + sum : sum;
  }
}

// All rows against columns [m_begin, m_end) of A.
inline void gemm_tn_columns(const GemmTnArgs& args) {
  for (int64_t j = 0; j < kTnSums; j += kV) store(args.scratch + j, zero());
  int64_t k = 0;
  do {  // once even for k = 0, which clears C unless it accumulates
    const int64_t k_end = args.k - k < kTnDepth ? args.k : k + kTnDepth;
    for (int i = 0; i < args.product_count; ++i) gemm_tn_block(args, args.products[i], k, k_end);
    if (args.column_sums != nullptr) add_column_sums(args, k, k_end);
    k = k_end;
  } while (k < args.k);
  if (args.column_sums != nullptr) store_column_sums(args);
}

inline void gemm_tn(const GemmTnArgs& args) noexcept {
  for (int64_t m = args.m_begin; m < args.m_end; m += kTnBlock) {
    GemmTnArgs block = args;
    block.m_begin = m;
    block.m_end = m + kTnBlock < args.m_end ? m + kTnBlock : args.m_end;
    gemm_tn_columns(block);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
