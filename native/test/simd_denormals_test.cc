// ScopedFlushDenormals: what it changes, for whom, and that it puts everything back.
#include <gtest/gtest.h>

#include <cfenv>
#include <cfloat>
#include <cmath>
#include <thread>

#include "simd/denormals.h"

namespace ostinato {
namespace {

// volatile: computed by the processor while the test runs, not by the compiler before.
float halve(float value) {
  const volatile float x = value;
  const volatile float half = x * 0.5f;
  return half;
}
float twice(float value) {
  const volatile float x = value;
  const volatile float sum = x + x;
  return sum;
}

constexpr float kSubnormal = FLT_MIN / 4;

TEST(ScopedFlushDenormals, FlushesResultsAndOperandsInsideTheScopeOnly) {
  EXPECT_GT(halve(FLT_MIN), 0.0f);
  EXPECT_EQ(twice(kSubnormal), FLT_MIN / 2);
  {
    const ScopedFlushDenormals scope;
    EXPECT_EQ(halve(FLT_MIN), 0.0f);
    EXPECT_EQ(twice(FLT_MIN / 2), 0.0f);  // would be normal: the operand was flushed
  }
  EXPECT_GT(halve(FLT_MIN), 0.0f);
  EXPECT_EQ(twice(kSubnormal), FLT_MIN / 2);
}

TEST(ScopedFlushDenormals, Nests) {
  const ScopedFlushDenormals outer;
  {
    const ScopedFlushDenormals inner;
    EXPECT_EQ(halve(FLT_MIN), 0.0f);
  }
  EXPECT_EQ(halve(FLT_MIN), 0.0f);
}

TEST(ScopedFlushDenormals, IsNotEndedByAScopeOfAnotherThread) {
  const ScopedFlushDenormals scope;
  std::thread other([] { const ScopedFlushDenormals its_own; });
  other.join();
  EXPECT_EQ(halve(FLT_MIN), 0.0f);
}

TEST(ScopedFlushDenormals, KeepsRoundingModeAndRaisedFlags) {
  std::feclearexcept(FE_ALL_EXCEPT);
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  {
    const ScopedFlushDenormals scope;
    EXPECT_EQ(std::fegetround(), FE_UPWARD);
    const volatile float zero = 0.0f;
    const volatile float infinite = 1.0f / zero;
    EXPECT_TRUE(std::isinf(infinite));
  }
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  EXPECT_NE(std::fetestexcept(FE_DIVBYZERO), 0);
  std::fesetround(FE_TONEAREST);
  std::feclearexcept(FE_ALL_EXCEPT);
}

}  // namespace
}  // namespace ostinato
