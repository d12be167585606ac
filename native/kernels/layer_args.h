// Arguments of the kernels of layers that do not recur, part of kernels.h. Rows are [rows, cols]
// with a leading dimension; nothing beyond cols is read or written.
#pragma once

#include <cstdint>

namespace ostinato {

// y = x / sqrt(mean(x^2) + epsilon) * gamma; rstd [rows] is saved for the backward pass. In place
// allowed.
struct RmsNormArgs {
  int64_t rows, cols;
  float epsilon;
  const float* x;
  int64_t x_ld;
  const float* gamma;
  float* y;
  int64_t y_ld;
  float* rstd;
};

// dx may be dy or x itself.
struct RmsNormGradArgs {
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  const float* gamma;
  const float* rstd;
  const float* dy;
  int64_t dy_ld;
  float* dx;
  int64_t dx_ld;
};

// dgamma[j] += sum over rows of dy * x * rstd; columns [begin, end).
struct RmsNormParamGradArgs {
  int64_t rows, begin, end;
  const float* x;
  int64_t x_ld;
  const float* rstd;
  const float* dy;
  int64_t dy_ld;
  float* dgamma;
};

// y = a * sigmoid(b), a and b in rows of the same leading dimension. Backward: da, db from dy; they
// may be a and b.
struct GluArgs {
  int64_t rows, cols;
  const float* a;
  const float* b;
  int64_t ld;
  float* y;  // forward
  int64_t y_ld;
  const float* dy;  // backward
  int64_t dy_ld;
  float* da;
  float* db;
  int64_t d_ld;
};

// y = t h + (1 - t) x with a gate t in [0, 1]. Backward, from dy: dh, da for the argument a of
// t = sigmoid(a), and the part of dx that goes past the layer (null: not wanted). dh may be dy.
struct HighwayArgs {
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  const float* h;
  const float* t;
  int64_t ld;  // of h and t
  float* y;    // forward
  int64_t y_ld;
  const float* dy;  // backward
  int64_t dy_ld;
  float* dh;
  float* da;
  int64_t d_ld;  // of dh and da
  float* dx;
  int64_t dx_ld;
};

// y = max(y, x), NaN once there is one. Backward, over the same x in the same order: what is left
// of the gradient goes to the first x that is the maximum: dx = x == y ? left : 0, and left = 0
// where it went.
struct MaximumArgs {
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  float* y;
  int64_t y_ld;
  float* left;  // backward
  int64_t left_ld;
  float* dx;
  int64_t dx_ld;
};

// y += x * weight, column by column; weight [cols].
struct WeightedRowsArgs {
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  const float* weight;
  float* y;
  int64_t y_ld;
};

// sums[j] += sum over rows of a * b; columns [begin, end). A leading dimension may be 0: one row
// for all.
struct ColumnProductsArgs {
  int64_t rows, begin, end;
  const float* a;
  int64_t a_ld;
  const float* b;
  int64_t b_ld;
  float* sums;
};

// The packed rows of one sequence, row t at x + (offset[t] + first) * ld.
struct SequenceRows {
  const int64_t* offset;
  int64_t first;
  int64_t steps;
  int64_t ld;
};

// Attention of one query over the rows x of a sequence. weights [steps].
struct AttentionArgs {
  SequenceRows sequence;
  int64_t cols;
  const float* x;
  const float* vector;  // [cols]
  float* weights;       // products: weights[t] = x[t] . vector
  float* sum;           // [cols]; sum: sum over t of weights[t] * x[t]
  float* dx;            // add_outer: dx[t] += weights[t] * vector, rows as those of x
};

// Additive scores of one query: scores[t] = score . tanh(query + keys[t]). Backward, from dscores:
// dkeys[t] += g[t] and dquery = sum over t of g[t], g[t] = dscores[t] * score * (1 - tanh^2), and
// dscore += sum over t of dscores[t] * tanh.
struct AdditiveScoresArgs {
  SequenceRows sequence;
  int64_t cols;
  const float* query;  // [cols]
  const float* keys;
  const float* score;  // [cols]
  float* scores;       // [steps]
  const float* dscores;
  float* dquery;  // [cols]
  float* dkeys;   // rows as those of keys
  float* dscore;  // [cols]
};

// Mean and biased variance of each column over the rows, at least one; columns [begin, end).
struct ColumnMomentsArgs {
  int64_t rows, begin, end;
  const float* x;
  int64_t x_ld;
  float* mean;
  float* variance;
};

// Batch normalisation by columns. Forward: y = (x - mean) * scale + shift. Sums, of columns
// [begin, end): sum_dy = sum over rows of dy, sum_products that of dy * (x - mean). Backward:
// dx = scale * (dy - mean_dy - (x - mean) * slope); dx may be dy. All vectors have a value for each
// column.
struct BatchNormArgs {
  int64_t rows, cols;
  int64_t begin, end;  // of the sums
  const float* x;
  int64_t x_ld;
  const float* mean;
  const float* scale;
  const float* shift;  // forward
  float* y;
  int64_t y_ld;
  const float* dy;  // sums and backward
  int64_t dy_ld;
  float* sum_dy;  // sums
  float* sum_products;
  const float* mean_dy;  // backward
  const float* slope;
  float* dx;
  int64_t dx_ld;
};

// Zoneout of a state: y = u * x + (1 - u) * previous over columns [begin, end), `begin` a multiple
// of 4; x is what the cell computed, previous the state before the step. u is drawn as dropout is:
// 0 where word < rate * 2^32, else 1; element (row, col) has word col % 4 of block first_block +
// row * row_blocks + col / 4. Or, with `expected`, u = 1 - rate. y may be x or previous.
struct ZoneoutArgs {
  uint64_t seed, stream;
  float rate;
  bool expected;
  int64_t first_block, row_blocks;
  int64_t rows, begin, end;
  const float* x;
  const float* previous;
  float* y;
  int64_t ld;  // of all of them
};

// The way back, with the fields that place the draws (x, previous and y are not read):
// kept = (1 - u) * d, then d = u * d.
struct ZoneoutGradArgs {
  ZoneoutArgs forward;
  float* d;
  float* kept;
};

// y += mask * x, then x = 0.
struct MaskedRowsArgs {
  int64_t rows, cols;
  const float* mask;
  int64_t mask_ld;
  float* x;
  float* y;
  int64_t ld;  // of both
};

}  // namespace ostinato
