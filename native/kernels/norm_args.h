// Arguments of the kernels of layer normalisation, part of kernels.h.
#pragma once

#include <cstdint>

namespace ostinato {

// Layer normalisation over the columns of each row, y = (x - mean) * rstd * gamma + beta.
struct LayerNormArgs {
  int64_t rows, cols;
  float epsilon;
  const float* x;
  int64_t x_ld;
  const float* gamma;  // [cols]
  const float* beta;   // [cols] or null
  float* y;
  int64_t y_ld;
  float* mean;  // [rows], saved
  float* rstd;  // [rows], saved
};

struct LayerNormGradArgs {
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  const float* gamma;
  const float* mean;
  const float* rstd;
  const float* dy;
  int64_t dy_ld;
  float* dx;  // or null
  int64_t dx_ld;
};

// dgamma[j] += sum over rows dy * xhat, dbeta[j] += sum dy; columns [begin, end).
struct LayerNormParamGradArgs {
  int64_t rows, begin, end;
  const float* x;
  int64_t x_ld;
  const float* mean;
  const float* rstd;
  const float* dy;
  int64_t dy_ld;
  float* dgamma;
  float* dbeta;  // or null
};

// Which values of rows of gates (panel-interleaved, [panel][gate][V]) are normalised together:
// those of the units of gates [first, last). The padding of these gates is written as zeros.
struct GateNormPlace {
  int64_t units;
  int gates, first, last;
  int64_t ld;       // of all rows
  int64_t rstd_ld;  // from row to row of `rstd`
};

// What the result does to its row: it takes its place; the row is added to x before, and it takes
// its place; it is added to the row.
enum class NormTarget : int32_t { kWritten, kJoined, kAdded };

// Layer normalisation of gates: (x - mean) * rstd * gamma + bias, into y, which may be x.
struct GateNormArgs {
  GateNormPlace place;
  NormTarget target;
  float epsilon;
  int64_t rows;
  const float* x;
  const float* gamma;  // [panel][gate][V]
  const float* bias;   // likewise, or null
  float* y;
  float* normalized;  // out: (x - mean) * rstd, or null
  float* rstd;        // out, or null
};

// The way back. dx may be dy; dx_too, unless null, gets the same values. The shares of each row in
// the gradients of gamma and the bias are added to rows of their own.
struct GateNormGradArgs {
  GateNormPlace place;
  int64_t rows;
  const float* gamma;
  const float* normalized;
  const float* rstd;
  const float* dy;
  float* dx;
  float* dx_too;
  float* dscale;
  float* dbias;  // or null
};

}  // namespace ostinato
