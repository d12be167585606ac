// ln(1 + e^x), for losses and cells.
#pragma once

#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|), which no x overflows. What 1 + e lost of e in rounding
// comes back to first order, so that the result keeps its digits where it is small.
OSTINATO_INLINE Vf softplus(Vf x) {
  const Vf one = set1(1.0f);
  const Vf e = exp(-abs(x));
  const Vf w = one + e;
  return max(zero(), x) + (log(w) + (e - (w - one)) / w);  // x second: NaN passes
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
