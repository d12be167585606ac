// The vocabulary of simd/vec.h for 64-bit ARM's Advanced SIMD (NEON), which is part of the baseline
// there. Included by simd/vec.h only.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace ostinato::OSTINATO_ISA {
namespace {

constexpr int kVectorRegisters = 32;

struct Vf {
  static constexpr int kWidth = 4;
  float32x4_t v;
};

// All bits of a lane set or all clear.
struct Mask {
  uint32x4_t m;
};

OSTINATO_INLINE Vf load(const float* p) { return {vld1q_f32(p)}; }
OSTINATO_INLINE void store(float* p, Vf a) { vst1q_f32(p, a.v); }
OSTINATO_INLINE Vf set1(float x) { return {vdupq_n_f32(x)}; }
OSTINATO_INLINE Vf zero() { return set1(0.0f); }
OSTINATO_INLINE Vf load_n(const float* p, int n) {
  const float32x4_t none = vdupq_n_f32(0.0f);
  switch (n) {
    case 0:
      return {none};
    case 1:
      return {vld1q_lane_f32(p, none, 0)};
    case 2:
      return {vcombine_f32(vld1_f32(p), vget_low_f32(none))};
    case 3:
      return {vld1q_lane_f32(p + 2, vcombine_f32(vld1_f32(p), vget_low_f32(none)), 2)};
    default:
      return load(p);
  }
}
OSTINATO_INLINE void store_n(float* p, Vf a, int n) {
  switch (n) {
    case 0:
      return;
    case 1:
      vst1q_lane_f32(p, a.v, 0);
      return;
    case 2:
      vst1_f32(p, vget_low_f32(a.v));
      return;
    case 3:
      vst1_f32(p, vget_low_f32(a.v));
      vst1q_lane_f32(p + 2, a.v, 2);
      return;
    default:
      store(p, a);
  }
}
// There is no single-register non-temporal store to gain from, and so nothing to fence.
OSTINATO_INLINE void stream(float* p, Vf a) { store(p, a); }
OSTINATO_INLINE void stream_fence() {}

OSTINATO_INLINE Vf operator+(Vf a, Vf b) { return {vaddq_f32(a.v, b.v)}; }
OSTINATO_INLINE Vf operator-(Vf a, Vf b) { return {vsubq_f32(a.v, b.v)}; }
OSTINATO_INLINE Vf operator*(Vf a, Vf b) { return {vmulq_f32(a.v, b.v)}; }
OSTINATO_INLINE Vf operator/(Vf a, Vf b) { return {vdivq_f32(a.v, b.v)}; }
OSTINATO_INLINE Vf operator-(Vf a) { return {vnegq_f32(a.v)}; }
OSTINATO_INLINE Vf fma(Vf a, Vf b, Vf c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
OSTINATO_INLINE Vf fnma(Vf a, Vf b, Vf c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
// Not vminq/vmaxq: those return NaN whichever operand it is in, and order the zeros.
OSTINATO_INLINE Vf min(Vf a, Vf b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
OSTINATO_INLINE Vf max(Vf a, Vf b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
OSTINATO_INLINE Vf abs(Vf a) { return {vabsq_f32(a.v)}; }
OSTINATO_INLINE Vf sqrt(Vf a) { return {vsqrtq_f32(a.v)}; }
OSTINATO_INLINE Vf copysign(Vf magnitude, Vf sign) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
}
OSTINATO_INLINE Vf round_nearest(Vf a) { return {vrndnq_f32(a.v)}; }

OSTINATO_INLINE Mask lt(Vf a, Vf b) { return {vcltq_f32(a.v, b.v)}; }
OSTINATO_INLINE Mask le(Vf a, Vf b) { return {vcleq_f32(a.v, b.v)}; }
OSTINATO_INLINE Mask gt(Vf a, Vf b) { return {vcgtq_f32(a.v, b.v)}; }
OSTINATO_INLINE Mask ge(Vf a, Vf b) { return {vcgeq_f32(a.v, b.v)}; }
OSTINATO_INLINE Mask eq(Vf a, Vf b) { return {vceqq_f32(a.v, b.v)}; }
OSTINATO_INLINE Mask is_nan(Vf a) { return {vmvnq_u32(vceqq_f32(a.v, a.v))}; }
OSTINATO_INLINE Mask operator&(Mask a, Mask b) { return {vandq_u32(a.m, b.m)}; }
OSTINATO_INLINE Mask operator|(Mask a, Mask b) { return {vorrq_u32(a.m, b.m)}; }
OSTINATO_INLINE Mask operator!(Mask a) { return {vmvnq_u32(a.m)}; }
OSTINATO_INLINE Vf select(Mask m, Vf if_true, Vf if_false) {
  return {vbslq_f32(m.m, if_true.v, if_false.v)};
}
OSTINATO_INLINE bool any(Mask m) { return vmaxvq_u32(m.m) != 0; }
OSTINATO_INLINE bool all(Mask m) { return vminvq_u32(m.m) != 0; }

OSTINATO_INLINE float reduce_add(Vf a) {
  const float32x2_t two = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
OSTINATO_INLINE float reduce_max(Vf a) {
  const Vf two = max(a, Vf{vextq_f32(a.v, a.v, 2)});
  return vgetq_lane_f32(max(two, Vf{vextq_f32(two.v, two.v, 1)}).v, 0);
}

// 2^n for n in [-126, 127], built in the exponent field; -127 gives 0 and 128 gives inf.
OSTINATO_INLINE float32x4_t pow2_from_int(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
OSTINATO_INLINE Vf scale_pow2(Vf x, Vf n) {
  const int32x4_t whole = vcvtnq_s32_f32(n.v);
  const int32x4_t half = vshrq_n_s32(whole, 1);
  const float32x4_t scaled = vmulq_f32(x.v, pow2_from_int(half));
  return {vmulq_f32(scaled, pow2_from_int(vsubq_s32(whole, half)))};
}
OSTINATO_INLINE Vf scale_pow2_biased(Vf x, Vf t) {
  // The low bits of t are n + 127: shifted to the exponent field they are 2^n.
  const int32x4_t factor = vshlq_n_s32(vreinterpretq_s32_f32(t.v), 23);
  return {vmulq_f32(x.v, vreinterpretq_f32_s32(factor))};
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
  const int32x4_t bits = vreinterpretq_s32_f32(normal.v);
  const int32x4_t exponent = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(kBitsOfThreeQuarters)), 23);
  const int32x4_t mantissa = vsubq_s32(bits, vshlq_n_s32(exponent, 23));
  const Vf correction = select(subnormal, set1(-23.0f), zero());
  return {{vreinterpretq_f32_s32(mantissa)}, Vf{vcvtq_f32_s32(exponent)} + correction};
}

inline void transpose_block(const float* src, std::int64_t src_ld, float* dst,
                            std::int64_t dst_ld) {
  const float32x4x2_t rows01 = vtrnq_f32(vld1q_f32(src), vld1q_f32(src + src_ld));
  const float32x4x2_t rows23 = vtrnq_f32(vld1q_f32(src + 2 * src_ld), vld1q_f32(src + 3 * src_ld));
  for (int c = 0; c < 2; ++c) {
    const float32x4_t top = rows01.val[c];
    const float32x4_t bottom = rows23.val[c];
    vst1q_f32(dst + c * dst_ld, vcombine_f32(vget_low_f32(top), vget_low_f32(bottom)));
    vst1q_f32(dst + (c + 2) * dst_ld, vcombine_f32(vget_high_f32(top), vget_high_f32(bottom)));
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
