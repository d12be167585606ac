// The vocabulary of simd/vec.h for AVX2 with FMA. Included by simd/vec.h only.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace ostinato::OSTINATO_ISA {
namespace {

constexpr int kVectorRegisters = 16;

struct Vf {
  static constexpr int kWidth = 8;
  __m256 v;
};

// All bits of a lane set or all clear.
struct Mask {
  __m256 m;
};

// Lanes 0 .. n-1.
OSTINATO_INLINE __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

OSTINATO_INLINE Vf load(const float* p) { return {_mm256_loadu_ps(p)}; }
OSTINATO_INLINE void store(float* p, Vf a) { _mm256_storeu_ps(p, a.v); }
OSTINATO_INLINE Vf load_n(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
OSTINATO_INLINE void store_n(float* p, Vf a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a.v); }
OSTINATO_INLINE void stream(float* p, Vf a) {
  if (reinterpret_cast<std::uintptr_t>(p) % sizeof(__m256) == 0) {
    _mm256_stream_ps(p, a.v);
  } else {
    store(p, a);
  }
}
OSTINATO_INLINE void stream_fence() { _mm_sfence(); }
OSTINATO_INLINE Vf set1(float x) { return {_mm256_set1_ps(x)}; }
OSTINATO_INLINE Vf zero() { return {_mm256_setzero_ps()}; }

OSTINATO_INLINE Vf operator+(Vf a, Vf b) { return {_mm256_add_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator-(Vf a, Vf b) { return {_mm256_sub_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator*(Vf a, Vf b) { return {_mm256_mul_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator/(Vf a, Vf b) { return {_mm256_div_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator-(Vf a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
OSTINATO_INLINE Vf fma(Vf a, Vf b, Vf c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
OSTINATO_INLINE Vf fnma(Vf a, Vf b, Vf c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
OSTINATO_INLINE Vf min(Vf a, Vf b) { return {_mm256_min_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf max(Vf a, Vf b) { return {_mm256_max_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf abs(Vf a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
OSTINATO_INLINE Vf sqrt(Vf a) { return {_mm256_sqrt_ps(a.v)}; }
OSTINATO_INLINE Vf copysign(Vf magnitude, Vf sign) {
  const __m256 sign_bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(sign_bit, magnitude.v), _mm256_and_ps(sign_bit, sign.v))};
}
OSTINATO_INLINE Vf round_nearest(Vf a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

OSTINATO_INLINE Mask lt(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
OSTINATO_INLINE Mask le(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
OSTINATO_INLINE Mask gt(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
OSTINATO_INLINE Mask ge(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
OSTINATO_INLINE Mask eq(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
OSTINATO_INLINE Mask is_nan(Vf a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
OSTINATO_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
OSTINATO_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.m, b.m)}; }
OSTINATO_INLINE Mask operator!(Mask a) {
  return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
OSTINATO_INLINE Vf select(Mask m, Vf if_true, Vf if_false) {
  return {_mm256_blendv_ps(if_false.v, if_true.v, m.m)};
}
OSTINATO_INLINE bool any(Mask m) { return _mm256_movemask_ps(m.m) != 0; }
OSTINATO_INLINE bool all(Mask m) { return _mm256_movemask_ps(m.m) == 0xff; }

OSTINATO_INLINE float reduce_add(Vf a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
OSTINATO_INLINE float reduce_max(Vf a) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// 2^n for n in [-126, 127], built in the exponent field; -127 gives 0 and 128 gives inf.
OSTINATO_INLINE __m256 pow2_from_int(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
OSTINATO_INLINE Vf scale_pow2(Vf x, Vf n) {
  const __m256i whole = _mm256_cvtps_epi32(n.v);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256 scaled = _mm256_mul_ps(x.v, pow2_from_int(half));
  return {_mm256_mul_ps(scaled, pow2_from_int(_mm256_sub_epi32(whole, half)))};
}
OSTINATO_INLINE Vf scale_pow2_biased(Vf x, Vf t) {
  // The low bits of t are n + 127: shifted to the exponent field they are 2^n.
  const __m256i factor = _mm256_slli_epi32(_mm256_castps_si256(t.v), 23);
  return {_mm256_mul_ps(x.v, _mm256_castsi256_ps(factor))};
}
OSTINATO_INLINE Vf pow2(Vf n) { return scale_pow2(set1(1.0f), n); }

struct Decomposed {
  Vf mantissa;
  Vf exponent;
};
OSTINATO_INLINE Decomposed decompose(Vf x) {
  constexpr int kBitsOfThreeQuarters = 0x3f400000;
  const Mask subnormal = lt(x, set1(0x1p-126f));
  const Vf normal = select(subnormal, x * set1(0x1p23f), x);
  // Counted from 0.75, the exponent field of the difference is the wanted exponent.
  const __m256i offset =
      _mm256_sub_epi32(_mm256_castps_si256(normal.v), _mm256_set1_epi32(kBitsOfThreeQuarters));
  const __m256i exponent = _mm256_srai_epi32(offset, 23);
  const __m256i mantissa =
      _mm256_sub_epi32(_mm256_castps_si256(normal.v), _mm256_slli_epi32(exponent, 23));
  const Vf correction = select(subnormal, set1(-23.0f), zero());
  return {{_mm256_castsi256_ps(mantissa)}, Vf{_mm256_cvtepi32_ps(exponent)} + correction};
}

inline void transpose_block(const float* src, std::int64_t src_ld, float* dst,
                            std::int64_t dst_ld) {
  // 4x4 transposes inside the 128-bit halves of four rows at a time, then the halves change places.
  __m256 q[2][4];
  for (int g = 0; g < 2; ++g) {
    const float* rows = src + 4 * g * src_ld;
    const __m256 r0 = _mm256_loadu_ps(rows);
    const __m256 r1 = _mm256_loadu_ps(rows + src_ld);
    const __m256 r2 = _mm256_loadu_ps(rows + 2 * src_ld);
    const __m256 r3 = _mm256_loadu_ps(rows + 3 * src_ld);
    const __m256d lo01 = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1));
    const __m256d hi01 = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
    const __m256d lo23 = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3));
    const __m256d hi23 = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
    q[g][0] = _mm256_castpd_ps(_mm256_unpacklo_pd(lo01, lo23));
    q[g][1] = _mm256_castpd_ps(_mm256_unpackhi_pd(lo01, lo23));
    q[g][2] = _mm256_castpd_ps(_mm256_unpacklo_pd(hi01, hi23));
    q[g][3] = _mm256_castpd_ps(_mm256_unpackhi_pd(hi01, hi23));
  }
  constexpr int kLowHalves = 0x20;
  constexpr int kHighHalves = 0x31;
  for (int c = 0; c < 4; ++c) {
    float* out = dst + c * dst_ld;
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(q[0][c], q[1][c], kLowHalves));
    _mm256_storeu_ps(out + 4 * dst_ld, _mm256_permute2f128_ps(q[0][c], q[1][c], kHighHalves));
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
