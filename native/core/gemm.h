// Dense products over threads: who computes which part of a product, and on how many threads.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "core/arena.h"
#include "core/tensor.h"
#include "kernels/kernels.h"

namespace ostinato {

// Multiply-adds that are worth one thread: with less work a thread costs more than it saves (waking
// a team takes some microseconds, in which one core does about this many multiply-adds).
inline constexpr int64_t kWorkPerThread = 500'000;

// How many of `threads` are worth their while for so many multiply-adds; at least 1.
int threads_for(int64_t work, int threads);
// Threads for packing so many floats: it moves memory, and a float that is moved costs about as
// much as 32 multiply-adds.
inline int threads_to_pack(int64_t floats, int threads) {
  return threads_for(32 * floats, threads);
}

// The right-hand side B [K,N] of products, in panels of Kernels::gemm_width columns.
class PackedMatrix {
 public:
  // Packs src as PackArgs says: B(k, n) = src[map[n] * src_ld + k] when `transposed`, else
  // src[map[k] * src_ld + n]; a null map is the identity. `n_source` counts the columns that exist
  // in src when it is not transposed (negative: all n). Allocates only when it grows.
  void pack(const Kernels& kernels, const float* src, int64_t src_ld, bool transposed, int64_t k,
            int64_t n, const int32_t* map = nullptr, int64_t n_source = -1, int threads = 1);

  const float* data() const { return buffer_.data(); }
  int64_t k() const { return k_; }
  int64_t n() const { return n_; }

 private:
  AlignedBuffer buffer_;
  int64_t k_ = 0, n_ = 0;
};

// The right-hand side B [K,N] of products where it lies, see GemmArgs: row i is row map[i] of
// `rows`.
struct MappedRows {
  Matrix rows;
  const int32_t* map;
  int64_t k;
};

// C [M,N] = A [M,K] . B (+ bias [N]) (+ C when `accumulate`). M is a.rows; K and N are B's. Splits
// whole tiles of rows over the threads or, where there are fewer tiles than threads, panels too.
// C's columns beyond N are not touched.
void multiply(const Kernels& kernels, int threads, const Matrix& a, const PackedMatrix& b,
              const float* bias, bool accumulate, const Matrix& c);

void multiply(const Kernels& kernels, int threads, const Matrix& a, const MappedRows& b,
              bool accumulate, const Matrix& c);

// Floats of scratch that multiply_tn needs for so many threads.
int64_t multiply_tn_scratch(const Kernels& kernels, int threads);

// One of the products that multiply_tn makes of the same A: row i of `b` belongs to row first + i
// of A; rows of A without one are left out. C is [M, b.cols]. With `b_rows` row i lies there, and b
// tells how many rows and columns there are.
struct TnProduct {
  Matrix b;
  float* c;
  int64_t c_ld;
  int64_t first = 0;
  const float* const* b_rows = nullptr;
};

// C [M,N] (+)= A^T . B for each product, with A [K,M] and B [K,N]: M is a.cols, N is b.cols, K is
// a.rows. Row m goes to row c_map[m] of C (negative: dropped; null map: row m). The sums of A's
// columns go to `sums` in the same way unless it is null. `scratch` holds at least
// multiply_tn_scratch(kernels, threads) floats.
void multiply_tn(const Kernels& kernels, int threads, const Matrix& a,
                 std::initializer_list<TnProduct> products, const int32_t* c_map, bool accumulate,
                 float* sums, float* scratch);

}  // namespace ostinato
