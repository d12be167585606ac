// Everything that the core may ask of an instruction set: one table of function pointers and
// the plain argument structs that they take.
//
// Legend of shapes, for the whole code base:
//   T steps   B batch rows   I inputs   H units   G gates   V vector width (floats)
//   N packed rows: the sum of the lengths of a batch (B * T when all lengths are equal)
//   Hp units rounded up to kPad; every row of features starts on a multiple of kPad floats
//
// Rules for kernels: noexcept, allocate nothing, open no parallel region, print nothing. A kernel
// that splits work gets a range in its arguments; the core decides who runs which range. Every
// output element is summed in an order that depends on neither the range nor the tile it falls in,
// so results are bitwise equal for any number of threads.
#pragma once

#include <cstdint>

#include "kernels/cell_args.h"
#include "kernels/layer_args.h"
#include "kernels/norm_args.h"
#include "kernels/training_args.h"

namespace ostinato {

// Leading dimensions of feature rows are multiples of this many floats (one cache line), on every
// ISA; it is a multiple of every vector width.
inline constexpr int64_t kPad = 16;
constexpr int64_t padded(int64_t n) { return (n + kPad - 1) / kPad * kPad; }

// ---- dense products -------------------------------------------------------------------------

// Packs a matrix B [K,N] into panels of `width` columns: dst[N/width][K][width], zero beyond N.
// B is read through a map, so that gates can be interleaved and units padded on the way:
//   transposed:  B(k, n) = src[map[n] * src_ld + k]      (src is [N,K], e.g. a PyTorch weight)
//   otherwise:   B(k, n) = src[map[k] * src_ld + n]
// A negative map entry stands for a row of zeros; a null map for the identity.
struct PackArgs {
  const float* src;
  int64_t src_ld;
  const int32_t* map;
  bool transposed;
  int64_t k, n;
  int64_t n_source;  // columns that really exist in src when not transposed (others are zeros)
  int64_t width;     // columns in a panel, a multiple of V
  int64_t panel_begin, panel_end;
  float* dst;
};

// C [M,N] = A [M,K] . B (+ bias) (+ C): B packed by `pack` with width Kernels::gemm_width, or read
// in place where `b_map` is not null: its row i is then b + b_map[i] * b_ld. Each run of V rows
// lies together, K is a multiple of V and N one of gemm_width. Both ways give the same bits.
struct GemmArgs {
  int64_t m, n, k;
  const float* a;  // row i at a + i * a_ld
  int64_t a_ld;
  const float* b;        // packed panels, or rows
  const int32_t* b_map;  // [K] or null
  int64_t b_ld;          // with b_map only
  const float* bias;     // [N] or null
  bool accumulate;       // adds to C instead of overwriting it
  float* c;              // row i at c + i * c_ld; columns beyond N are not touched
  int64_t c_ld;
  int64_t panel_begin, panel_end;  // which panels of B (columns of C) this call computes
};

// One product A^T . B of GemmTnArgs: row i of B belongs to row k_begin + i of A.
struct GemmTnProduct {
  const float* b;
  int64_t b_ld;
  const float* const* b_rows;  // not null: where each row of B lies, instead of b and b_ld
  int64_t k_begin, k_end;      // rows of A that this product sums over
  float* c;
  int64_t c_ld;
  int64_t n;
  int64_t n_begin, n_end;  // columns that a call computes, multiples of gemm_tn_width
};

// C [M,N] (+)= A^T . B with A [K,M] and B [K,N] both row-major: the gradient of weights, a sum
// over K = N packed rows. Row m of a product goes to row c_map[m] of its C (negative: dropped).
// Products that share A are made in one call, and so are the sums of A's columns: A is read once.
struct GemmTnArgs {
  int64_t m, k;
  const float* a;
  int64_t a_ld;
  const int32_t* c_map;  // or null: identity
  bool accumulate;
  const GemmTnProduct* products;
  int product_count;
  float* column_sums;  // [M] by c_map, or null; accumulates as the products do
  int64_t m_begin,
      m_end;       // rows of the products that this call computes, multiples of gemm_tn_rows
  float* scratch;  // at least gemm_tn_scratch floats, not shared between threads
};

// ---- elementwise and row-wise kernels -------------------------------------------------------

enum class Activation : int32_t { kLinear, kTanh, kRelu, kSigmoid, kSoftmax, kGelu, kSilu };

// Rows are [rows, cols] with a leading dimension; cols need not be a multiple of V, and nothing
// beyond them is read or written. A result may take the place of an argument of its shape (of a
// loss: of x only).
// y = activation(x), in place allowed.
struct ActivationArgs {
  Activation kind;
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  float* y;
  int64_t y_ld;
};

// dx = dy * activation'(.), from y where that is enough, from x for gelu and silu.
struct ActivationGradArgs {
  Activation kind;
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  const float* y;
  int64_t y_ld;
  const float* dy;
  int64_t dy_ld;
  float* dx;
  int64_t dx_ld;
};

enum class Combine : int32_t { kSum, kMul, kAve };

// y = a (sum|mul|ave) b over rows; backward: da, db from dy.
struct CombineArgs {
  Combine kind;
  int64_t rows, cols;
  const float* a;
  int64_t a_ld;
  const float* b;
  int64_t b_ld;
  float* y;  // forward
  int64_t y_ld;
  const float* dy;  // backward
  int64_t dy_ld;
  float* da;
  int64_t da_ld;
  float* db;
  int64_t db_ld;
};

// y = x * mask / (1 - rate); the mask of element (row, col) is drawn from Philox4x32-10 under
// (seed, stream) at counter row_index * cols4 + col / 4, cols4 = ceil(cols / 4), where row_index =
// first_row + row. So it depends on nothing but these, and the backward pass draws it again.
struct DropoutArgs {
  uint64_t seed, stream;
  float rate;
  int64_t first_row;
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  float* y;
  int64_t y_ld;
};

struct Kernels {
  const char* name;         // "avx2"
  int64_t width;            // V
  int64_t gemm_width;       // columns in a GEMM panel
  int64_t gemm_rows;        // rows in a GEMM tile
  int64_t gemm_tn_width;    // columns in a panel of a product by the transpose
  int64_t gemm_tn_rows;     // rows in its tile
  int64_t gemm_tn_scratch;  // floats
  // Whether a panel's vector is a cache line, which can go past the caches whole, and cells of one
  // phase that are compiled in know CellForwardArgs::sequence.
  bool streams_steps;
  void (*pack)(const PackArgs&) noexcept;
  void (*gemm)(const GemmArgs&) noexcept;
  void (*gemm_tn)(const GemmTnArgs&) noexcept;
  int cell_count;
  const CellInfo* cells;
  // One for each cell, then those that run a tape.
  void (*const* cell_forward)(const CellForwardArgs&) noexcept;
  void (*const* cell_backward)(const CellBackwardArgs&) noexcept;
  void (*cell_vector_grad)(const CellVectorGradArgs&) noexcept;
  // Of cells that run without their products, else null; and of those that come in halves.
  void (*const* cell_apply)(const CellApplyArgs&) noexcept;
  const CellHalves* const* cell_halves;
  // The same with dropout of the candidate; null for cells without one. Cells may share them.
  void (*const* cell_forward_dropped)(const CellForwardArgs&) noexcept;
  void (*const* cell_backward_dropped)(const CellBackwardArgs&) noexcept;
  void (*stream_fence)() noexcept;  // before others read what went past the caches
  void (*activation)(const ActivationArgs&) noexcept;
  void (*activation_grad)(const ActivationGradArgs&) noexcept;
  void (*combine)(const CombineArgs&) noexcept;
  void (*combine_grad)(const CombineArgs&) noexcept;
  void (*dropout)(const DropoutArgs&) noexcept;
  void (*zoneout)(const ZoneoutArgs&) noexcept;
  void (*zoneout_grad)(const ZoneoutGradArgs&) noexcept;
  void (*add_masked)(const MaskedRowsArgs&) noexcept;
  void (*layer_norm)(const LayerNormArgs&) noexcept;
  void (*layer_norm_grad)(const LayerNormGradArgs&) noexcept;
  void (*layer_norm_param_grad)(const LayerNormParamGradArgs&) noexcept;
  void (*gate_norm)(const GateNormArgs&) noexcept;
  void (*gate_norm_grad)(const GateNormGradArgs&) noexcept;
  void (*rms_norm)(const RmsNormArgs&) noexcept;
  void (*rms_norm_grad)(const RmsNormGradArgs&) noexcept;
  void (*rms_norm_param_grad)(const RmsNormParamGradArgs&) noexcept;
  void (*glu)(const GluArgs&) noexcept;
  void (*glu_grad)(const GluArgs&) noexcept;
  void (*highway)(const HighwayArgs&) noexcept;
  void (*highway_grad)(const HighwayArgs&) noexcept;
  void (*maximum)(const MaximumArgs&) noexcept;
  void (*maximum_grad)(const MaximumArgs&) noexcept;
  void (*add_weighted)(const WeightedRowsArgs&) noexcept;
  void (*add_column_products)(const ColumnProductsArgs&) noexcept;
  void (*column_moments)(const ColumnMomentsArgs&) noexcept;
  void (*batch_norm)(const BatchNormArgs&) noexcept;
  void (*batch_norm_sums)(const BatchNormArgs&) noexcept;
  void (*batch_norm_grad)(const BatchNormArgs&) noexcept;
  void (*attention_products)(const AttentionArgs&) noexcept;
  void (*attention_sum)(const AttentionArgs&) noexcept;
  void (*attention_add_outer)(const AttentionArgs&) noexcept;
  void (*additive_scores)(const AdditiveScoresArgs&) noexcept;
  void (*additive_scores_grad)(const AdditiveScoresArgs&) noexcept;
  void (*loss)(const LossArgs&) noexcept;
  void (*optimize)(const OptimizerArgs&) noexcept;
  void (*add)(float* dst, const float* src, int64_t n) noexcept;  // dst += src
  void (*scale)(float* dst, float factor, int64_t n) noexcept;    // dst *= factor
  // dst += factor * src
  void (*add_scaled)(float* dst, const float* src, float factor, int64_t n) noexcept;
  // dst += factor * (src - dst)
  void (*mix)(float* dst, const float* src, float factor, int64_t n) noexcept;
  double (*sum_squares)(const float* x, int64_t n) noexcept;  // fixed order, accumulated in double
};

}  // namespace ostinato
