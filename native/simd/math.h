// Elementary functions on vectors.
//
// Every function states its largest error over its whole range, and the same figures stand in
// native/test/simd_math_test.cc, which holds every instruction set to them. 1 ULP is the distance
// between the two floats around the exact result. The figures assume the default rounding mode, and
// denormals not flushed; inside a ScopedFlushDenormals a subnormal argument counts as zero and a
// subnormal result is zero. NaN in gives NaN out everywhere. Results of different instruction sets
// may differ within the bound.
//
// Coefficients: scripts/minimax/fit_math.py derives them (Remez exchange) and checks this file.
#pragma once

#include <limits>

#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

namespace coefficients {

// exp(r) ~ 1 + r + C2 r^2 + ... for |r| <= ln 2 / 2
constexpr float kExp5C2 = 0x1.fffdfcp-2f;
constexpr float kExp5C3 = 0x1.5557aep-3f;
constexpr float kExp5C4 = 0x1.572a18p-5f;
constexpr float kExp5C5 = 0x1.10626p-7f;
constexpr float kExp6C2 = 0x1.fffffcp-2f;
constexpr float kExp6C3 = 0x1.555492p-3f;
constexpr float kExp6C4 = 0x1.5558d2p-5f;
constexpr float kExp6C5 = 0x1.1239ccp-7f;
constexpr float kExp6C6 = 0x1.6a2406p-10f;
// log(1 + f) ~ f - f^2 / 2 + C3 f^3 + ... for -1/4 <= f <= 1/2
constexpr float kLogC3 = 0x1.5555b2p-2f;
constexpr float kLogC4 = -0x1.ffececp-3f;
constexpr float kLogC5 = 0x1.993ce6p-3f;
constexpr float kLogC6 = -0x1.57d5bep-3f;
constexpr float kLogC7 = 0x1.313dacp-3f;
constexpr float kLogC8 = -0x1.f02f2cp-4f;
constexpr float kLogC9 = 0x1.c7709p-5f;
// tanh(r) ~ r + C3 r^3 + C5 r^5 for |r| <= ln 2 / 4
constexpr float kTanhC3 = -0x1.554feep-2f;
constexpr float kTanhC5 = 0x1.0c816cp-3f;
// erf(x) ~ x P(x^2) / Q(x^2) for |x| <= 3.95, Q0 = 1
constexpr float kErfP0 = 0x1.20dd74p+0f;
constexpr float kErfP1 = 0x1.884f0ap-3f;
constexpr float kErfP2 = 0x1.b129bp-5f;
constexpr float kErfP3 = 0x1.f32e62p-9f;
constexpr float kErfP4 = 0x1.2a8618p-12f;
constexpr float kErfP5 = 0x1.0fe7ecp-19f;
constexpr float kErfQ1 = 0x1.0195cp-1f;
constexpr float kErfQ2 = 0x1.d53f5cp-4f;
constexpr float kErfQ3 = 0x1.ed580cp-7f;
constexpr float kErfQ4 = 0x1.32ead4p-10f;
constexpr float kErfQ5 = 0x1.3d5adp-15f;

constexpr float kLog2E = 0x1.715476p+0f;
// ln 2 in two parts; the first has 16 bits, so that its products with exponents are exact.
constexpr float kLn2High = 0x1.62e4p-1f;
constexpr float kLn2Low = 0x1.7f7d1cp-20f;
constexpr float kHalfLn2 = 0x1.62e43p-2f;

}  // namespace coefficients

// e^x. Max error 1.5 ULP, subnormal results included. x >= 88.7228394 gives inf, x <= -104
// gives 0, -inf gives 0, inf gives inf.
OSTINATO_INLINE Vf exp(Vf x) {
  using namespace coefficients;
  const Vf v = min(set1(89.0f), max(set1(-104.0f), x));
  // x = n ln 2 + r
  const Vf bias = set1(kPow2Bias);
  const Vf n = fma(v, set1(kLog2E), bias) - bias;
  const Vf r = fnma(n, set1(kLn2Low), fnma(n, set1(kLn2High), v));
  Vf p = fma(set1(kExp6C6), r, set1(kExp6C5));
  p = fma(p, r, set1(kExp6C4));
  p = fma(p, r, set1(kExp6C3));
  p = fma(p, r, set1(kExp6C2));
  p = fma(p * r, r, r) + set1(1.0f);
  return scale_pow2(p, n);
}

// 1 + e^-x for the quotients below. Relative error 3 * 2^-24; inf for x < -88.4, 1 for x > 17.4.
OSTINATO_INLINE Vf one_plus_exp_minus(Vf x) {
  using namespace coefficients;
  // Below -89 the factor 2^n is inf already, above 30 the sum is 1 already.
  const Vf v = min(set1(30.0f), max(set1(-89.0f), x));
  // -x = n ln 2 - r
  const Vf t = fma(v, set1(-kLog2E), set1(kPow2Bias));
  const Vf n = t - set1(kPow2Bias);
  const Vf r = fma(n, set1(kLn2Low), fma(n, set1(kLn2High), v));
  Vf p = fma(set1(-kExp5C5), r, set1(kExp5C4));
  p = fma(p, r, set1(-kExp5C3));
  p = fma(p, r, set1(kExp5C2));
  p = fma(p, r, set1(-1.0f));
  p = fma(p, r, set1(1.0f));
  return scale_pow2_biased(p, t) + set1(1.0f);
}

// 1 / (1 + e^-x), always within [0, 1]. Max error 4 ULP for x >= -87.3; below -88.4 (in between,
// depending on rounding) the result is 0 where the exact one is subnormal. -inf gives 0, inf
// gives 1.
OSTINATO_INLINE Vf sigmoid(Vf x) { return set1(1.0f) / one_plus_exp_minus(x); }

// x sigmoid(x). Max error 4 ULP for x >= -87.3; below -88.4 the result is -0, off by less than
// 4e-37. -inf gives -0, inf gives inf.
OSTINATO_INLINE Vf silu(Vf x) { return max(set1(-200.0f), x) / one_plus_exp_minus(x); }

// d silu(x) / dx = s (1 + x (1 - s)) with s = sigmoid(x). Max absolute error 1.2e-6. -inf gives -0,
// inf gives 1.
OSTINATO_INLINE Vf silu_derivative(Vf x) {
  const Vf v = min(set1(200.0f), max(set1(-200.0f), x));
  const Vf s = sigmoid(v);
  return s * fma(v, set1(1.0f) - s, set1(1.0f));
}

// tanh(x). Max error 3 ULP, also near 0; tanh(-x) is -tanh(x) to the last bit, except that -0 gives
// +0; always within [-1, 1], and exactly +-1 from |x| = 9.02 on (and for +-inf).
OSTINATO_INLINE Vf tanh(Vf x) {
  using namespace coefficients;
  const Vf one = set1(1.0f);
  const Vf v = min(set1(10.0f), max(set1(-10.0f), x));
  // v = n ln 2 / 2 + r. One step is enough: where n is large, tanh hardly depends on r.
  const Vf t = fma(v, set1(2.0f * kLog2E), set1(kPow2Bias));
  const Vf n = t - set1(kPow2Bias);
  const Vf r = fnma(n, set1(kHalfLn2), v);
  const Vf r2 = r * r;
  const Vf tanh_r = fma(r * r2, fma(set1(kTanhC5), r2, set1(kTanhC3)), r);
  // e^2v = s (1 + tanh r) / (1 - tanh r) with s = 2^n, put into (e^2v - 1) / (e^2v + 1).
  const Vf s = scale_pow2_biased(one, t);
  return fma(s + one, tanh_r, s - one) / fma(s - one, tanh_r, s + one);
}

// ln x. Max error 2 ULP over all positive floats, subnormal ones included (0 while denormals are
// flushed). +-0 gives -inf, inf gives inf, a negative x gives NaN.
OSTINATO_INLINE Vf log(Vf x) {
  using namespace coefficients;
  const Vf inf = set1(std::numeric_limits<float>::infinity());
  const Decomposed d = decompose(x);
  const Vf f = d.mantissa - set1(1.0f);
  Vf p = fma(set1(kLogC9), f, set1(kLogC8));
  p = fma(p, f, set1(kLogC7));
  p = fma(p, f, set1(kLogC6));
  p = fma(p, f, set1(kLogC5));
  p = fma(p, f, set1(kLogC4));
  p = fma(p, f, set1(kLogC3));
  const Vf f2 = f * f;
  const Vf tail = fma(d.exponent, set1(kLn2Low), fma(p, f, set1(-0.5f)) * f2);
  const Vf result = fma(d.exponent, set1(kLn2High), f + tail);
  const Vf positive = select(lt(x, inf), result, x);  // inf and NaN stay themselves
  const Vf otherwise = select(eq(x, zero()), -inf, set1(std::numeric_limits<float>::quiet_NaN()));
  return select(le(x, zero()), otherwise, positive);
}

// erf(x) = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x. Max error 8 ULP (the most
// near +-1), absolute 5e-7; odd to the last bit; always within [-1, 1], and exactly +-1 from
// |x| = 4 on (and for +-inf).
OSTINATO_INLINE Vf erf(Vf x) {
  using namespace coefficients;
  // Beyond 3.95 only the factor x of the quotient grows on, and takes it past 1 at once.
  const Vf u = min(x * x, set1(3.95f * 3.95f));
  Vf p = fma(set1(kErfP5), u, set1(kErfP4));
  Vf q = fma(set1(kErfQ5), u, set1(kErfQ4));
  p = fma(p, u, set1(kErfP3));
  q = fma(q, u, set1(kErfQ3));
  p = fma(p, u, set1(kErfP2));
  q = fma(q, u, set1(kErfQ2));
  p = fma(p, u, set1(kErfP1));
  q = fma(q, u, set1(kErfQ1));
  p = fma(p, u, set1(kErfP0));
  q = fma(q, u, set1(1.0f));
  return max(set1(-1.0f), min(set1(1.0f), x * p / q));
}

// The normal distribution function (1 + erf(x / sqrt 2)) / 2. Max absolute error 2.5e-7.
OSTINATO_INLINE Vf normal_cdf(Vf x) {
  return fma(set1(0.5f), erf(x * set1(0x1.6a09e6p-1f)), set1(0.5f));
}

// x normal_cdf(x), the exact GELU (D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", 2016).
// Max absolute error 1.2e-6 for x < 0, max error 4 ULP for x >= 0. -inf gives -0, inf gives inf.
OSTINATO_INLINE Vf gelu(Vf x) { return max(set1(-16.0f), x) * normal_cdf(x); }

// d gelu(x) / dx = normal_cdf(x) + x e^(-x^2 / 2) / sqrt(2 pi). Max absolute error 4e-7. -inf gives
// 0, inf gives 1.
OSTINATO_INLINE Vf gelu_derivative(Vf x) {
  const Vf v = min(set1(16.0f), max(set1(-16.0f), x));
  const Vf density = exp(v * v * set1(-0.5f)) * set1(0x1.988454p-2f);
  return fma(v, density, normal_cdf(v));
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
