// How elementwise and row-wise kernels walk over floats: whole vectors, then the rest of less than
// one, with the same operations, so that an element's bits do not depend on where it lies.
#pragma once

#include <cstdint>

#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// A vector of elements that all exist.
struct WholeVector {
  OSTINATO_INLINE Vf load(const float* p) const { return OSTINATO_ISA::load(p); }
  OSTINATO_INLINE void store(float* p, Vf a) const { OSTINATO_ISA::store(p, a); }
  OSTINATO_INLINE Vf keep(Vf a, Vf /*otherwise*/) const { return a; }
};

// The first `n` lanes of a vector: nothing else is read (those lanes are 0) or written.
struct FirstLanes {
  int n;
  OSTINATO_INLINE Vf load(const float* p) const { return load_n(p, n); }
  OSTINATO_INLINE void store(float* p, Vf a) const { store_n(p, a, n); }
  // The lanes that exist from a, the others from `otherwise`: what a sum or a maximum needs where
  // the term of an absent element is not neutral.
  OSTINATO_INLINE Vf keep(Vf a, Vf otherwise) const {
    alignas(64) static constexpr float kLane[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                    8, 9, 10, 11, 12, 13, 14, 15};
    return select(lt(OSTINATO_ISA::load(kLane), set1(static_cast<float>(n))), a, otherwise);
  }
};

// body(j, lanes) for the vectors that begin at columns j = 0, V, 2V, … of `count`; `lanes` is a
// WholeVector or FirstLanes through which the body touches memory at column j.
template <class Body>
OSTINATO_INLINE void for_columns(int64_t count, const Body& body) {
  int64_t j = 0;
  for (; j + Vf::kWidth <= count; j += Vf::kWidth) body(j, WholeVector{});
  if (j < count) body(j, FirstLanes{static_cast<int>(count - j)});
}

// The largest column of a row; NaN if any column is NaN. `count` > 0.
inline float row_max(const float* x, int64_t count) {
  Vf largest = set1(x[0]);
  for_columns(count, [&](int64_t j, auto lanes) {
    const Vf a = lanes.keep(lanes.load(x + j), largest);
    // max(a, NaN) is NaN: once a lane is NaN it stays.
    largest = select(is_nan(a), a, max(a, largest));
  });
  if (any(is_nan(largest))) return __builtin_nanf("");
  return reduce_max(largest);
}

// The first column that equals `value`, or `count` if none does.
inline int64_t first_equal(const float* x, int64_t count, float value) {
  const Vf wanted = set1(value);
  int64_t j = 0;
  while (j + Vf::kWidth <= count && !any(eq(load(x + j), wanted))) j += Vf::kWidth;
  while (j < count && !(x[j] == value)) ++j;
  return j;
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
