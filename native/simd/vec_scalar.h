// The vocabulary of simd/vec.h without intrinsics: four lanes that the compiler maps to whatever
// the target's baseline has (SSE2 on x86-64, NEON on 64-bit ARM). Included by simd/vec.h only.
#pragma once

#include <cstdint>
#include <cstring>
#if !defined(__GNUC__)
#include <cmath>
#endif

namespace ostinato::OSTINATO_ISA {
namespace {

constexpr int kVectorRegisters = 16;

#if defined(__GNUC__) && !defined(OSTINATO_SCALAR_ARRAYS)

using FloatLanes = float __attribute__((vector_size(16)));
using IntLanes = std::int32_t __attribute__((vector_size(16)));
using UnsignedLanes = std::uint32_t __attribute__((vector_size(16)));

OSTINATO_INLINE IntLanes bits_of(FloatLanes a) { return reinterpret_cast<IntLanes>(a); }
OSTINATO_INLINE FloatLanes float_of(IntLanes a) { return reinterpret_cast<FloatLanes>(a); }
OSTINATO_INLINE FloatLanes to_float(IntLanes a) { return __builtin_convertvector(a, FloatLanes); }
// Sums and differences that wrap around, as they do in vector registers; on signed lanes overflow
// would be undefined.
OSTINATO_INLINE IntLanes wrapping_add(IntLanes a, IntLanes b) {
  return reinterpret_cast<IntLanes>(reinterpret_cast<UnsignedLanes>(a) +
                                    reinterpret_cast<UnsignedLanes>(b));
}
OSTINATO_INLINE IntLanes wrapping_sub(IntLanes a, IntLanes b) {
  return reinterpret_cast<IntLanes>(reinterpret_cast<UnsignedLanes>(a) -
                                    reinterpret_cast<UnsignedLanes>(b));
}

#else  // Arrays, for compilers without vector types; the operators below mirror theirs.

template <class T>
struct Lanes {
  T lane[4];
  T& operator[](int i) { return lane[i]; }
  const T& operator[](int i) const { return lane[i]; }
};
using FloatLanes = Lanes<float>;
using IntLanes = Lanes<std::int32_t>;

#define OSTINATO_LANEWISE(op, Result, Operand, expression)                 \
  OSTINATO_INLINE Result operator op(const Operand& a, const Operand& b) { \
    Result r;                                                              \
    for (int i = 0; i < 4; ++i) r[i] = expression;                         \
    return r;                                                              \
  }
OSTINATO_LANEWISE(+, FloatLanes, FloatLanes, a[i] + b[i])
OSTINATO_LANEWISE(-, FloatLanes, FloatLanes, a[i] - b[i])
OSTINATO_LANEWISE(*, FloatLanes, FloatLanes, a[i] * b[i])
OSTINATO_LANEWISE(/, FloatLanes, FloatLanes, a[i] / b[i])
OSTINATO_LANEWISE(<, IntLanes, FloatLanes, a[i] < b[i] ? -1 : 0)
OSTINATO_LANEWISE(<=, IntLanes, FloatLanes, a[i] <= b[i] ? -1 : 0)
OSTINATO_LANEWISE(==, IntLanes, FloatLanes, a[i] == b[i] ? -1 : 0)
OSTINATO_LANEWISE(&, IntLanes, IntLanes, a[i] & b[i])
OSTINATO_LANEWISE(|, IntLanes, IntLanes, a[i] | b[i])
OSTINATO_LANEWISE(^, IntLanes, IntLanes, a[i] ^ b[i])
OSTINATO_LANEWISE(<<, IntLanes, IntLanes, a[i] << b[i])
OSTINATO_LANEWISE(>>, IntLanes, IntLanes, a[i] >> b[i])
#undef OSTINATO_LANEWISE
OSTINATO_INLINE IntLanes wrapping_add(const IntLanes& a, const IntLanes& b) {
  IntLanes r;
  for (int i = 0; i < 4; ++i) {
    r[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a[i]) +
                                     static_cast<std::uint32_t>(b[i]));
  }
  return r;
}
OSTINATO_INLINE IntLanes wrapping_sub(const IntLanes& a, const IntLanes& b) {
  IntLanes r;
  for (int i = 0; i < 4; ++i) {
    r[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a[i]) -
                                     static_cast<std::uint32_t>(b[i]));
  }
  return r;
}
OSTINATO_INLINE IntLanes operator~(const IntLanes& a) { return {{~a[0], ~a[1], ~a[2], ~a[3]}}; }

OSTINATO_INLINE IntLanes bits_of(const FloatLanes& a) {
  IntLanes r;
  std::memcpy(&r, &a, sizeof r);
  return r;
}
OSTINATO_INLINE FloatLanes float_of(const IntLanes& a) {
  FloatLanes r;
  std::memcpy(&r, &a, sizeof r);
  return r;
}
OSTINATO_INLINE FloatLanes to_float(const IntLanes& a) {
  FloatLanes r;
  for (int i = 0; i < 4; ++i) r[i] = static_cast<float>(a[i]);
  return r;
}

#endif

struct Vf {
  static constexpr int kWidth = 4;
  FloatLanes v;
};

// All bits of a lane set or all clear.
struct Mask {
  IntLanes m;
};

OSTINATO_INLINE IntLanes set1_int(std::int32_t x) { return IntLanes{x, x, x, x}; }
OSTINATO_INLINE Vf set1(float x) { return {FloatLanes{x, x, x, x}}; }
OSTINATO_INLINE Vf zero() { return set1(0.0f); }
OSTINATO_INLINE Vf load(const float* p) {
  Vf a;
  std::memcpy(&a.v, p, sizeof a.v);
  return a;
}
OSTINATO_INLINE void store(float* p, Vf a) { std::memcpy(p, &a.v, sizeof a.v); }
OSTINATO_INLINE Vf load_n(const float* p, int n) {
  float lanes[4] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
OSTINATO_INLINE void store_n(float* p, Vf a, int n) {
  float lanes[4];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
OSTINATO_INLINE void stream(float* p, Vf a) { store(p, a); }
OSTINATO_INLINE void stream_fence() {}

OSTINATO_INLINE Vf operator+(Vf a, Vf b) { return {a.v + b.v}; }
OSTINATO_INLINE Vf operator-(Vf a, Vf b) { return {a.v - b.v}; }
OSTINATO_INLINE Vf operator*(Vf a, Vf b) { return {a.v * b.v}; }
OSTINATO_INLINE Vf operator/(Vf a, Vf b) { return {a.v / b.v}; }
OSTINATO_INLINE Vf operator-(Vf a) { return {float_of(bits_of(a.v) ^ set1_int(INT32_MIN))}; }
// Two roundings: see simd/vec.h.
OSTINATO_INLINE Vf fma(Vf a, Vf b, Vf c) { return a * b + c; }
OSTINATO_INLINE Vf fnma(Vf a, Vf b, Vf c) { return c - a * b; }

OSTINATO_INLINE Mask lt(Vf a, Vf b) { return {a.v < b.v}; }
OSTINATO_INLINE Mask le(Vf a, Vf b) { return {a.v <= b.v}; }
OSTINATO_INLINE Mask gt(Vf a, Vf b) { return {b.v < a.v}; }
OSTINATO_INLINE Mask ge(Vf a, Vf b) { return {b.v <= a.v}; }
OSTINATO_INLINE Mask eq(Vf a, Vf b) { return {a.v == b.v}; }
OSTINATO_INLINE Mask operator&(Mask a, Mask b) { return {a.m & b.m}; }
OSTINATO_INLINE Mask operator|(Mask a, Mask b) { return {a.m | b.m}; }
OSTINATO_INLINE Mask operator!(Mask a) { return {~a.m}; }
OSTINATO_INLINE Mask is_nan(Vf a) { return !eq(a, a); }
OSTINATO_INLINE Vf select(Mask m, Vf if_true, Vf if_false) {
  return {float_of((m.m & bits_of(if_true.v)) | (~m.m & bits_of(if_false.v)))};
}
OSTINATO_INLINE bool any(Mask m) { return (m.m[0] | m.m[1] | m.m[2] | m.m[3]) != 0; }
OSTINATO_INLINE bool all(Mask m) { return (m.m[0] & m.m[1] & m.m[2] & m.m[3]) != 0; }

OSTINATO_INLINE Vf min(Vf a, Vf b) { return select(lt(a, b), a, b); }
OSTINATO_INLINE Vf max(Vf a, Vf b) { return select(gt(a, b), a, b); }
OSTINATO_INLINE Vf abs(Vf a) { return {float_of(bits_of(a.v) & set1_int(INT32_MAX))}; }
OSTINATO_INLINE Vf sqrt(Vf a) {
  FloatLanes r = a.v;
#if defined(__GNUC__)
  for (int i = 0; i < 4; ++i) r[i] = __builtin_sqrtf(r[i]);
#else
  for (int i = 0; i < 4; ++i) r[i] = ::sqrtf(r[i]);
#endif
  return {r};
}
OSTINATO_INLINE Vf copysign(Vf magnitude, Vf sign) {
  return {float_of(bits_of(abs(magnitude).v) | (bits_of(sign.v) & set1_int(INT32_MIN)))};
}
OSTINATO_INLINE Vf round_nearest(Vf a) {
  // From 2^23 on every float is integral; below, adding 2^23 leaves no room for fraction bits.
  const Vf big = copysign(set1(0x1p23f), a);
  const Vf rounded = copysign((a + big) - big, a);
  return select(lt(abs(a), set1(0x1p23f)), rounded, a);
}

OSTINATO_INLINE float reduce_add(Vf a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
OSTINATO_INLINE float reduce_max(Vf a) {
  const float even = a.v[0] > a.v[2] ? a.v[0] : a.v[2];
  const float odd = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return even > odd ? even : odd;
}

// An integral float of magnitude below 2^22 as an integer. Unlike a conversion, defined for NaN.
OSTINATO_INLINE IntLanes int_of_integral(Vf n) {
  return wrapping_sub(bits_of((n + set1(0x1.8p23f)).v), set1_int(0x4b400000));
}
// 2^n for n in [-126, 127], built in the exponent field; -127 gives 0 and 128 gives inf.
OSTINATO_INLINE Vf pow2_from_int(IntLanes n) {
  return {float_of(wrapping_add(n, set1_int(127)) << set1_int(23))};
}
OSTINATO_INLINE Vf scale_pow2(Vf x, Vf n) {
  const IntLanes whole = int_of_integral(n);
  const IntLanes half = whole >> set1_int(1);
  return x * pow2_from_int(half) * pow2_from_int(wrapping_sub(whole, half));
}
OSTINATO_INLINE Vf scale_pow2_biased(Vf x, Vf t) {
  // The low bits of t are n + 127: shifted to the exponent field they are 2^n.
  return x * Vf{float_of(bits_of(t.v) << set1_int(23))};
}
OSTINATO_INLINE Vf pow2(Vf n) { return scale_pow2(set1(1.0f), n); }

struct Decomposed {
  Vf mantissa;
  Vf exponent;
};
OSTINATO_INLINE Decomposed decompose(Vf x) {
  constexpr std::int32_t kBitsOfThreeQuarters = 0x3f400000;
  const Mask subnormal = lt(x, set1(0x1p-126f));
  const IntLanes bits = bits_of(select(subnormal, x * set1(0x1p23f), x).v);
  // Counted from 0.75, the exponent field of the difference is the wanted exponent.
  const IntLanes exponent = wrapping_sub(bits, set1_int(kBitsOfThreeQuarters)) >> set1_int(23);
  const Vf correction = select(subnormal, set1(-23.0f), zero());
  return {{float_of(wrapping_sub(bits, exponent << set1_int(23)))},
          Vf{to_float(exponent)} + correction};
}

inline void transpose_block(const float* src, std::int64_t src_ld, float* dst,
                            std::int64_t dst_ld) {
  for (int j = 0; j < Vf::kWidth; ++j) {
    for (int i = 0; i < Vf::kWidth; ++i) dst[j * dst_ld + i] = src[i * src_ld + j];
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
