// Holds every function of native/simd/math.h to the error that its comment states, on every
// instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <vector>

#include "simd/denormals.h"
#include "test/simd_isas.h"

namespace ostinato {
namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double silu(double x) { return x / (1.0 + std::exp(-x)); }
double silu_derivative(double x) {
  const double s = sigmoid(x);
  return s * (1.0 + x * (1.0 - s));
}
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double gelu(double x) { return x * normal_cdf(x); }
double gelu_derivative(double x) {
  return normal_cdf(x) + x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::acos(-1.0));
}

// One promise of math.h: for lo <= x <= hi the error is at most max_ulp units in the last place,
// or, where max_ulp is 0, at most max_absolute.
struct Contract {
  const char* name;
  SimdProbe::Unary SimdProbe::*function;
  double (*exact)(double);
  float lo, hi;
  double max_ulp, max_absolute;
};

const Contract kContracts[] = {
    {"exp", &SimdProbe::exp, std::exp, -104.0f, 0x1.62e42ep+6f, 1.5, 0},
    {"tanh", &SimdProbe::tanh, std::tanh, -FLT_MAX, FLT_MAX, 3, 0},
    {"sigmoid", &SimdProbe::sigmoid, sigmoid, -87.3f, FLT_MAX, 4, 0},
    {"sigmoid", &SimdProbe::sigmoid, sigmoid, -FLT_MAX, -87.3f, 0, FLT_MIN},
    {"silu", &SimdProbe::silu, silu, -87.3f, FLT_MAX, 4, 0},
    {"silu", &SimdProbe::silu, silu, -FLT_MAX, -87.3f, 0, 4e-37},
    {"silu_derivative", &SimdProbe::silu_derivative, silu_derivative, -1e30f, 1e30f, 0, 1.2e-6},
    {"log", &SimdProbe::log, std::log, kSmallest, FLT_MAX, 2, 0},
    {"erf", &SimdProbe::erf, std::erf, -FLT_MAX, FLT_MAX, 8, 0},
    {"erf", &SimdProbe::erf, std::erf, -FLT_MAX, FLT_MAX, 0, 5e-7},
    {"normal_cdf", &SimdProbe::normal_cdf, normal_cdf, -FLT_MAX, FLT_MAX, 0, 2.5e-7},
    {"gelu", &SimdProbe::gelu, gelu, 0.0f, FLT_MAX, 4, 0},
    {"gelu", &SimdProbe::gelu, gelu, -FLT_MAX, 0.0f, 0, 1.2e-6},
    {"gelu_derivative", &SimdProbe::gelu_derivative, gelu_derivative, -1e18f, 1e18f, 0, 4e-7},
};

// |got - exact| in units in the last place of a float of exact's size.
double ulp_distance(float got, double exact) {
  if (std::isnan(got) || std::isnan(exact)) return std::isnan(got) == std::isnan(exact) ? 0 : kInf;
  if (static_cast<double>(got) == exact) return 0;
  int exponent;
  std::frexp(exact, &exponent);
  return std::abs(got - exact) / std::ldexp(1.0, std::max(exponent, FLT_MIN_EXP) - FLT_MANT_DIG);
}

// Floats in their order, as integers: neighbours differ by one.
std::int64_t ordinal(float x) {
  const std::int32_t bits = std::bit_cast<std::int32_t>(x);
  return bits >= 0 ? bits : -static_cast<std::int64_t>(bits & INT32_MAX);
}
float float_at(std::int64_t ordinal) {
  const float magnitude = std::bit_cast<float>(static_cast<std::int32_t>(std::abs(ordinal)));
  return ordinal < 0 ? -magnitude : magnitude;
}

// Arguments in [lo, hi]: a quarter of a million spread evenly over the floats, as many over
// each of two parts of the real line where the functions bend, the neighbourhood of every power of
// two, and both ends.
std::vector<float> arguments(float lo, float hi) {
  std::vector<float> xs;
  constexpr int kCount = 250'000;
  const double first = static_cast<double>(ordinal(lo));
  const double span = static_cast<double>(ordinal(hi)) - first;
  const double bend_lo = std::max(lo, -110.0f), bend_hi = std::min(hi, 110.0f);
  for (int i = 0; i < kCount; ++i) {
    xs.push_back(float_at(static_cast<std::int64_t>(first + span * (i + 0.5) / kCount)));
    if (bend_lo < bend_hi) {
      xs.push_back(static_cast<float>(bend_lo + (bend_hi - bend_lo) * (i + 0.5) / kCount));
      const double near_zero = (bend_lo + (bend_hi - bend_lo) * (i + 0.5) / kCount) / 16;
      xs.push_back(static_cast<float>(near_zero));
    }
  }
  for (int exponent = -149; exponent < 128; ++exponent) {
    for (int step = -3; step <= 3; ++step) {
      const std::int64_t at = ordinal(std::ldexp(1.0f, exponent)) + step;
      xs.push_back(float_at(at));
      xs.push_back(float_at(-at));
    }
  }
  for (int step = 0; step < 100; ++step) {
    xs.push_back(float_at(ordinal(lo) + step));
    xs.push_back(float_at(ordinal(hi) - step));
  }
  std::erase_if(xs, [=](float x) { return !(x >= lo && x <= hi); });
  return xs;
}

std::vector<float> evaluate(SimdProbe::Unary function, const std::vector<float>& xs) {
  std::vector<float> ys(xs.size());
  function(xs.data(), ys.data(), static_cast<int>(xs.size()));
  return ys;
}

float evaluate(SimdProbe::Unary function, float x) {
  return evaluate(function, std::vector{x}).front();
}

class SimdMath : public SimdTest {};
INSTANTIATE_TEST_SUITE_P(Isa, SimdMath, testing::ValuesIn(built_isas()), isa_name);

TEST_P(SimdMath, ErrorsStayWithinTheStatedBounds) {
  for (const Contract& contract : kContracts) {
    const std::vector<float> xs = arguments(contract.lo, contract.hi);
    const std::vector<float> ys = evaluate(simd().*contract.function, xs);
    double worst = -1;
    float worst_x = 0;
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const double exact = contract.exact(xs[i]);
      const double error =
          contract.max_ulp > 0 ? ulp_distance(ys[i], exact) : std::abs(ys[i] - exact);
      if (!(error <= worst)) {
        worst = error;
        worst_x = xs[i];
        if (std::isnan(error)) break;
      }
    }
    const double bound = contract.max_ulp > 0 ? contract.max_ulp : contract.max_absolute;
    std::printf("%-6s %-15s [%9.3g, %9.3g]: %8.3g of %7.3g %s, worst at %a\n", simd().isa,
                contract.name, contract.lo, contract.hi, worst, bound,
                contract.max_ulp > 0 ? "ULP" : "absolute", worst_x);
    EXPECT_LE(worst, bound) << contract.name << "(" << worst_x << ")";
  }
}

TEST_P(SimdMath, BoundsHoldWhileDenormalsAreFlushed) {
  for (const Contract& contract : kContracts) {
    std::vector<float> xs = arguments(contract.lo, contract.hi);
    std::erase_if(xs, [](float x) { return x != 0 && std::abs(x) < FLT_MIN; });
    std::vector<float> ys(xs.size());
    {
      const ScopedFlushDenormals scope;
      (simd().*contract.function)(xs.data(), ys.data(), static_cast<int>(xs.size()));
    }
    int failures = 0;
    for (std::size_t i = 0; i < xs.size() && failures < 5; ++i) {
      const double exact = contract.exact(xs[i]);
      // A result that is subnormal, or was before its last rounding, may have been flushed.
      if (ys[i] == 0 && std::abs(exact) <= FLT_MIN * (1 + 1e-6)) continue;
      const double error =
          contract.max_ulp > 0 ? ulp_distance(ys[i], exact) : std::abs(ys[i] - exact);
      const double bound = contract.max_ulp > 0 ? contract.max_ulp : contract.max_absolute;
      if (!(error <= bound)) {
        ++failures;
        ADD_FAILURE() << contract.name << "(" << xs[i] << ") gave " << ys[i] << ", exact " << exact;
      }
    }
  }
}

TEST_P(SimdMath, NanGivesNanInItsOwnLaneOnly) {
  for (const Contract& contract : kContracts) {
    for (const float nan : {kNan, -kNan, std::bit_cast<float>(0x7fffffffu)}) {
      const int n = simd().width;
      for (int lane = 0; lane < n; ++lane) {
        std::vector<float> xs(static_cast<std::size_t>(n), 0.5f);
        xs[static_cast<std::size_t>(lane)] = nan;
        const std::vector<float> ys = evaluate(simd().*contract.function, xs);
        for (int i = 0; i < n; ++i) {
          EXPECT_EQ(std::isnan(ys[static_cast<std::size_t>(i)]), i == lane) << contract.name;
        }
      }
    }
  }
}

TEST_P(SimdMath, SpecialArguments) {
  const SimdProbe& s = simd();
  struct Case {
    const char* name;
    SimdProbe::Unary function;
    float x, y;
  };
  const Case cases[] = {
      {"exp", s.exp, 0.0f, 1.0f},
      {"exp", s.exp, -0.0f, 1.0f},
      {"exp", s.exp, kInf, kInf},
      {"exp", s.exp, -kInf, 0.0f},
      {"exp", s.exp, 0x1.62e432p+6f, kInf},
      {"exp", s.exp, FLT_MAX, kInf},
      {"exp", s.exp, -103.5f, kSmallest},
      {"exp", s.exp, -104.0f, 0.0f},
      {"exp", s.exp, -FLT_MAX, 0.0f},
      {"tanh", s.tanh, 0.0f, 0.0f},
      {"tanh", s.tanh, -0.0f, 0.0f},
      {"tanh", s.tanh, kSmallest, kSmallest},
      {"tanh", s.tanh, 1e-30f, 1e-30f},
      {"tanh", s.tanh, kInf, 1.0f},
      {"tanh", s.tanh, -kInf, -1.0f},
      {"sigmoid", s.sigmoid, 0.0f, 0.5f},
      {"sigmoid", s.sigmoid, kInf, 1.0f},
      {"sigmoid", s.sigmoid, -kInf, 0.0f},
      {"sigmoid", s.sigmoid, 20.0f, 1.0f},
      {"sigmoid", s.sigmoid, -89.0f, 0.0f},
      {"sigmoid", s.sigmoid, -FLT_MAX, 0.0f},
      {"silu", s.silu, 0.0f, 0.0f},
      {"silu", s.silu, kInf, kInf},
      {"silu", s.silu, -kInf, -0.0f},
      {"silu", s.silu, -1000.0f, -0.0f},
      {"silu_derivative", s.silu_derivative, 0.0f, 0.5f},
      {"silu_derivative", s.silu_derivative, kInf, 1.0f},
      {"silu_derivative", s.silu_derivative, -kInf, -0.0f},
      {"log", s.log, 1.0f, 0.0f},
      {"log", s.log, 0.0f, -kInf},
      {"log", s.log, -0.0f, -kInf},
      {"log", s.log, kInf, kInf},
      {"log", s.log, -1.0f, kNan},
      {"log", s.log, -kSmallest, kNan},
      {"log", s.log, -kInf, kNan},
      {"erf", s.erf, 0.0f, 0.0f},
      {"erf", s.erf, -0.0f, -0.0f},
      {"erf", s.erf, kInf, 1.0f},
      {"erf", s.erf, -kInf, -1.0f},
      {"normal_cdf", s.normal_cdf, 0.0f, 0.5f},
      {"normal_cdf", s.normal_cdf, kInf, 1.0f},
      {"normal_cdf", s.normal_cdf, -kInf, 0.0f},
      {"gelu", s.gelu, 0.0f, 0.0f},
      {"gelu", s.gelu, kInf, kInf},
      {"gelu", s.gelu, -kInf, -0.0f},
      {"gelu_derivative", s.gelu_derivative, 0.0f, 0.5f},
      {"gelu_derivative", s.gelu_derivative, kInf, 1.0f},
      {"gelu_derivative", s.gelu_derivative, -kInf, 0.0f},
  };
  for (const Case& c : cases) {
    const float y = evaluate(c.function, c.x);
    if (std::isnan(c.y)) {
      EXPECT_TRUE(std::isnan(y)) << c.name << "(" << c.x << ") = " << y;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(y), std::bit_cast<std::uint32_t>(c.y))
          << c.name << "(" << c.x << ") = " << y << ", expected " << c.y;
    }
  }
}

TEST_P(SimdMath, BoundedFunctionsNeverLeaveTheirRange) {
  const std::vector<float> xs = arguments(-FLT_MAX, FLT_MAX);
  for (const float y : evaluate(simd().sigmoid, xs)) ASSERT_TRUE(y >= 0.0f && y <= 1.0f) << y;
  for (const float y : evaluate(simd().tanh, xs)) ASSERT_TRUE(y >= -1.0f && y <= 1.0f) << y;
  for (const float y : evaluate(simd().erf, xs)) ASSERT_TRUE(y >= -1.0f && y <= 1.0f) << y;
  for (const float y : evaluate(simd().normal_cdf, xs)) ASSERT_TRUE(y >= 0.0f && y <= 1.0f) << y;
}

TEST_P(SimdMath, SaturateExactly) {
  const std::vector<float> tanh_range = arguments(9.02f, kInf);
  for (const float y : evaluate(simd().tanh, tanh_range)) ASSERT_EQ(y, 1.0f);
  const std::vector<float> erf_range = arguments(4.0f, kInf);
  for (const float y : evaluate(simd().erf, erf_range)) ASSERT_EQ(y, 1.0f);
}

TEST_P(SimdMath, OddFunctionsAreOddToTheLastBit) {
  const std::vector<float> xs = arguments(kSmallest, FLT_MAX);
  std::vector<float> negated(xs.size());
  std::transform(xs.begin(), xs.end(), negated.begin(), [](float x) { return -x; });
  for (const SimdProbe::Unary function : {simd().tanh, simd().erf}) {
    const std::vector<float> up = evaluate(function, xs), down = evaluate(function, negated);
    for (std::size_t i = 0; i < xs.size(); ++i) ASSERT_EQ(up[i], -down[i]) << xs[i];
  }
}

}  // namespace
}  // namespace ostinato
