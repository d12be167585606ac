// The vector vocabulary of the kernels: one float vector type, `Vf`, and the operations on it.
//
// A translation unit is compiled once per instruction set with -DOSTINATO_ISA=<name>, where <name>
// is one of scalar, avx2, avx512, neon; this header then includes the one implementation that
// belongs to it. Nothing above native/simd includes an intrinsics header.
//
// Everything lives in an unnamed namespace inside ostinato::OSTINATO_ISA, so that an object
// compiled for one instruction set offers none of its code to the others at link time.
//
// Compile kernels with -ffp-contract=off (GCC and clang): then a product and a sum are fused where
// the source says fma(), and nowhere else, and two copies of the same code inlined into different
// loops round alike.
//
// W stands for Vf::kWidth below. Vectors are values; nothing here has state, allocates or throws.
//
//   struct Vf                      W floats. kWidth: scalar 4, avx2 8, avx512 16, neon 4.
//   kVectorRegisters               architectural vector registers: what a micro-tile may occupy.
//
//   Memory (no alignment is required anywhere)
//   Vf load(const float* p)        p[0 .. W-1]
//   void store(float* p, Vf)
//   Vf load_n(p, int n)            p[0 .. n-1], the other lanes 0; 0 <= n <= W; touches only those
//   void store_n(p, Vf, int n)     writes p[0 .. n-1] and touches nothing else
//   void stream(float* p, Vf)      store that bypasses the caches if p is aligned to 4W bytes,
//                                  else an ordinary store. Other threads see streamed data only
//   void stream_fence()            after this: call it once after the last stream() of a region.
//   void prefetch(const void* p)   fetch p's cache line into the first level; any address is safe
//   void prefetch_l2(const void* p) the same into the second level: for lines that the first would
//                                  lose again before they are used
//   Vf set1(float), Vf zero()
//
//   Arithmetic, lane by lane
//   a + b, a - b, a * b, a / b, -a (flips the sign bit, also of zero and NaN)
//   Vf fma(a, b, c)                a*b + c with one rounding. Scalar: two roundings, because a
//                                  fused operation without hardware for it is a slow library call.
//   Vf fnma(a, b, c)               c - a*b, rounded as fma
//   Vf min(a, b), max(a, b)        a < b ? a : b and a > b ? a : b. So the SECOND operand is the
//                                  result if either is NaN or if both are zeros: to let NaN pass
//                                  through a clamp, write max(set1(lo), x) with x second.
//   Vf abs(a), sqrt(a), copysign(Vf magnitude, Vf sign)
//   Vf round_nearest(a)            to the nearest integer, ties to even; keeps -0, inf and NaN
//
//   Choice
//   Mask lt(a,b) le gt ge eq       ordered: false where either operand is NaN
//   Mask is_nan(a)
//   m & n, m | n, !m
//   Vf select(Mask, Vf if_true, Vf if_false)
//   bool any(Mask), all(Mask)
//
//   Reductions. Order, the same for every width: the vector is halved again and again, lane i of
//   the lower half first operand, lane i of the upper half second operand, down to one lane.
//   float reduce_add(Vf)
//   float reduce_max(Vf)           if a lane is NaN the result is either NaN or another lane
//
//   Exponents
//   Vf pow2(n)                     2^n for integral n in [-150, 128]: subnormal from -127 down,
//                                  0 at -150, inf at 128. NaN gives an unspecified value.
//   Vf scale_pow2(x, n)            x * 2^n for integral n in [-150, 128] with one rounding for
//                                  1/2 <= |x| <= 2: neither overflows nor underflows on the way, so
//                                  x * 2^128 may be finite and x * 2^-140 is the right subnormal.
//                                  NaN in x gives NaN.
//   Vf scale_pow2_biased(x, t)     x * 2^n for t = n + kPow2Bias, that is, for an integer n that
//   was
//                                  just made by adding kPow2Bias to a float and letting the sum
//                                  round; n in [-126, 127], one multiplication. For n = -127 the
//                                  factor is 0, for n = 128 inf. NaN in x gives NaN.
//   Decomposed decompose(x)        x = mantissa * 2^exponent, mantissa in [0.75, 1.5), for
//                                  positive finite x, subnormal ones included (they count as 0
//                                  while denormals are flushed); any other x gives
//                                  unspecified parts
//
//   void transpose_block(src, src_ld, dst, dst_ld)
//                                  dst[j*dst_ld + i] = src[i*src_ld + j] for 0 <= i, j < W; leading
//                                  dimensions in floats; the blocks must not overlap
#pragma once

#include <cstdint>

#if defined(_M_X64)
#include <intrin.h>
#endif

#if !defined(OSTINATO_ISA)
#error "Compile this file once per instruction set, with -DOSTINATO_ISA=scalar|avx2|avx512|neon."
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define OSTINATO_INLINE __forceinline
#else
#define OSTINATO_INLINE inline __attribute__((always_inline))
#endif

#define OSTINATO_ISA_ID_scalar 1
#define OSTINATO_ISA_ID_avx2 2
#define OSTINATO_ISA_ID_avx512 3
#define OSTINATO_ISA_ID_neon 4
#define OSTINATO_PASTE_EXPANDED(a, b) a##b
#define OSTINATO_PASTE(a, b) OSTINATO_PASTE_EXPANDED(a, b)
// The number of the instruction set being compiled for, for use in #if.
#define OSTINATO_ISA_ID OSTINATO_PASTE(OSTINATO_ISA_ID_, OSTINATO_ISA)

namespace ostinato::OSTINATO_ISA {
namespace {
// Makes a float of magnitude below 2^22 round to an integer and leaves that integer plus 127, the
// bias of a float's exponent field, in the low bits of the sum.
constexpr float kPow2Bias = 0x1.8p23f + 127.0f;

#if defined(__GNUC__)
// GCC takes a lambda that only fetches for one without effects and drops its calls; a statement of
// no instructions keeps them.
OSTINATO_INLINE void prefetch(const void* p) {
  asm volatile("");
  __builtin_prefetch(p, 0, 3);
}
OSTINATO_INLINE void prefetch_l2(const void* p) {
  asm volatile("");
  __builtin_prefetch(p, 0, 2);
}
#elif defined(_M_X64)
OSTINATO_INLINE void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}
OSTINATO_INLINE void prefetch_l2(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
}
#else
OSTINATO_INLINE void prefetch(const void*) {}
OSTINATO_INLINE void prefetch_l2(const void*) {}
#endif
}  // namespace
}  // namespace ostinato::OSTINATO_ISA

#if OSTINATO_ISA_ID == OSTINATO_ISA_ID_scalar
#include "simd/vec_scalar.h"
#elif OSTINATO_ISA_ID == OSTINATO_ISA_ID_avx2
#include "simd/vec_avx2.h"
#elif OSTINATO_ISA_ID == OSTINATO_ISA_ID_avx512
#include "simd/vec_avx512.h"
#elif OSTINATO_ISA_ID == OSTINATO_ISA_ID_neon
#include "simd/vec_neon.h"
#else
#error "OSTINATO_ISA must be scalar, avx2, avx512 or neon."
#endif
