// The vocabulary of simd/vec.h for AVX-512 (F, BW, DQ, VL) with FMA. Included by simd/vec.h only.
#pragma once

#include <immintrin.h>

#include <cstdint>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// GCC 12's own header initialises pass-through operands with themselves and then warns about it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace ostinato::OSTINATO_ISA {
namespace {

constexpr int kVectorRegisters = 32;

struct Vf {
  static constexpr int kWidth = 16;
  __m512 v;
};

struct Mask {
  __mmask16 m;
};

// Lanes 0 .. n-1.
OSTINATO_INLINE __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

OSTINATO_INLINE Vf load(const float* p) { return {_mm512_loadu_ps(p)}; }
OSTINATO_INLINE void store(float* p, Vf a) { _mm512_storeu_ps(p, a.v); }
OSTINATO_INLINE Vf load_n(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
OSTINATO_INLINE void store_n(float* p, Vf a, int n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}
OSTINATO_INLINE void stream(float* p, Vf a) {
  if (reinterpret_cast<std::uintptr_t>(p) % sizeof(__m512) == 0) {
    _mm512_stream_ps(p, a.v);
  } else {
    store(p, a);
  }
}
OSTINATO_INLINE void stream_fence() { _mm_sfence(); }
OSTINATO_INLINE Vf set1(float x) { return {_mm512_set1_ps(x)}; }
OSTINATO_INLINE Vf zero() { return {_mm512_setzero_ps()}; }

OSTINATO_INLINE Vf operator+(Vf a, Vf b) { return {_mm512_add_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator-(Vf a, Vf b) { return {_mm512_sub_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator*(Vf a, Vf b) { return {_mm512_mul_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator/(Vf a, Vf b) { return {_mm512_div_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf operator-(Vf a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
OSTINATO_INLINE Vf fma(Vf a, Vf b, Vf c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
OSTINATO_INLINE Vf fnma(Vf a, Vf b, Vf c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
OSTINATO_INLINE Vf min(Vf a, Vf b) { return {_mm512_min_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf max(Vf a, Vf b) { return {_mm512_max_ps(a.v, b.v)}; }
OSTINATO_INLINE Vf abs(Vf a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
OSTINATO_INLINE Vf sqrt(Vf a) { return {_mm512_sqrt_ps(a.v)}; }
OSTINATO_INLINE Vf copysign(Vf magnitude, Vf sign) {
  constexpr int kFirstChoosesSecondOrThird = 0xca;
  return {_mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(_mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(sign.v),
                                _mm512_castps_si512(magnitude.v), kFirstChoosesSecondOrThird))};
}
OSTINATO_INLINE Vf round_nearest(Vf a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

OSTINATO_INLINE Mask lt(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
OSTINATO_INLINE Mask le(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
OSTINATO_INLINE Mask gt(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
OSTINATO_INLINE Mask ge(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
OSTINATO_INLINE Mask eq(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
OSTINATO_INLINE Mask is_nan(Vf a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
OSTINATO_INLINE Mask operator&(Mask a, Mask b) { return {_kand_mask16(a.m, b.m)}; }
OSTINATO_INLINE Mask operator|(Mask a, Mask b) { return {_kor_mask16(a.m, b.m)}; }
OSTINATO_INLINE Mask operator!(Mask a) { return {_knot_mask16(a.m)}; }
OSTINATO_INLINE Vf select(Mask m, Vf if_true, Vf if_false) {
  return {_mm512_mask_blend_ps(m.m, if_false.v, if_true.v)};
}
OSTINATO_INLINE bool any(Mask m) { return m.m != 0; }
OSTINATO_INLINE bool all(Mask m) { return m.m == 0xffff; }

OSTINATO_INLINE float reduce_add(Vf a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
OSTINATO_INLINE float reduce_max(Vf a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

OSTINATO_INLINE Vf scale_pow2(Vf x, Vf n) { return {_mm512_scalef_ps(x.v, n.v)}; }
OSTINATO_INLINE Vf scale_pow2_biased(Vf x, Vf t) {
  // The low bits of t are n + 127: shifted to the exponent field they are 2^n.
  const __m512i factor = _mm512_slli_epi32(_mm512_castps_si512(t.v), 23);
  return {_mm512_mul_ps(x.v, _mm512_castsi512_ps(factor))};
}
OSTINATO_INLINE Vf pow2(Vf n) {
  // 2^-150 is half the smallest subnormal, a tie that rounds to even, which is 0.
  return scale_pow2(set1(1.0f), n);
}

struct Decomposed {
  Vf mantissa;
  Vf exponent;
};
OSTINATO_INLINE Decomposed decompose(Vf x) {
  const __m512 mantissa = _mm512_getmant_ps(x.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
  const __m512 one = _mm512_set1_ps(1.0f);
  // getexp belongs to a mantissa in [1, 2); the one above has been halved where it is below 1.
  const __m512 exponent = _mm512_getexp_ps(x.v);
  const __mmask16 halved = _mm512_cmp_ps_mask(mantissa, one, _CMP_LT_OQ);
  return {{mantissa}, {_mm512_mask_add_ps(exponent, halved, exponent, one)}};
}

inline void transpose_block(const float* src, std::int64_t src_ld, float* dst,
                            std::int64_t dst_ld) {
  // 4x4 transposes inside the 128-bit blocks of four rows at a time; then, for each column c of
  // those, a 4x4 transpose of whole blocks across the four groups of rows.
  __m512 q[4][4];
  for (int g = 0; g < 4; ++g) {
    const float* rows = src + 4 * g * src_ld;
    const __m512 r0 = _mm512_loadu_ps(rows);
    const __m512 r1 = _mm512_loadu_ps(rows + src_ld);
    const __m512 r2 = _mm512_loadu_ps(rows + 2 * src_ld);
    const __m512 r3 = _mm512_loadu_ps(rows + 3 * src_ld);
    const __m512d lo01 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1));
    const __m512d hi01 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
    const __m512d lo23 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3));
    const __m512d hi23 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
    q[g][0] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo01, lo23));
    q[g][1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo01, lo23));
    q[g][2] = _mm512_castpd_ps(_mm512_unpacklo_pd(hi01, hi23));
    q[g][3] = _mm512_castpd_ps(_mm512_unpackhi_pd(hi01, hi23));
  }
  constexpr int kBlocks0And2 = 0x88;
  constexpr int kBlocks1And3 = 0xdd;
  for (int c = 0; c < 4; ++c) {
    const __m512 even01 = _mm512_shuffle_f32x4(q[0][c], q[1][c], kBlocks0And2);
    const __m512 even23 = _mm512_shuffle_f32x4(q[2][c], q[3][c], kBlocks0And2);
    const __m512 odd01 = _mm512_shuffle_f32x4(q[0][c], q[1][c], kBlocks1And3);
    const __m512 odd23 = _mm512_shuffle_f32x4(q[2][c], q[3][c], kBlocks1And3);
    float* out = dst + c * dst_ld;
    _mm512_storeu_ps(out, _mm512_shuffle_f32x4(even01, even23, kBlocks0And2));
    _mm512_storeu_ps(out + 4 * dst_ld, _mm512_shuffle_f32x4(odd01, odd23, kBlocks0And2));
    _mm512_storeu_ps(out + 8 * dst_ld, _mm512_shuffle_f32x4(even01, even23, kBlocks1And3));
    _mm512_storeu_ps(out + 12 * dst_ld, _mm512_shuffle_f32x4(odd01, odd23, kBlocks1And3));
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic pop
#endif
