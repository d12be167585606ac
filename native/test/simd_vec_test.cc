// The vocabulary of native/simd/vec.h, operation by operation, against plain C++, on every
// instruction set.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "test/simd_isas.h"

namespace ostinato {
namespace {

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

// Equal bit by bit, except that any NaN equals any other.
bool same(float a, float b) { return bits(a) == bits(b) || (std::isnan(a) && std::isnan(b)); }

// Every kind of float, and some ordinary ones.
std::vector<float> samples() {
  std::vector<float> xs = {0.0f,     -0.0f,     0.5f,    -0.5f,       1.0f,           -1.0f,
                           1.5f,     -1.5f,     2.5f,    -2.5f,       3.0f,           FLT_MIN,
                           -FLT_MIN, kSmallest, -1e-40f, FLT_MAX,     -FLT_MAX,       kInf,
                           -kInf,    kNan,      0x1p23f, 0x1p23f - 1, 0x1p22f + 0.5f, 0x1.8p23f};
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 16; ++i) xs.push_back(normal(random) * std::ldexp(1.0f, i - 8));
  return xs;
}

class SimdVec : public SimdTest {
 protected:
  void expect_binary(const char* name, SimdProbe::Binary function,
                     const std::function<float(float, float)>& exact) {
    const std::vector<float> xs = samples();
    std::vector<float> a, b;
    for (const float x : xs) {
      for (const float y : xs) a.push_back(x), b.push_back(y);
    }
    std::vector<float> got(a.size());
    function(a.data(), b.data(), got.data(), static_cast<int>(a.size()));
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(same(got[i], exact(a[i], b[i])))
          << name << "(" << a[i] << ", " << b[i] << ") = " << got[i];
    }
  }
  void expect_unary(const char* name, SimdProbe::Unary function,
                    const std::function<float(float)>& exact) {
    const std::vector<float> xs = samples();
    std::vector<float> got(xs.size());
    function(xs.data(), got.data(), static_cast<int>(xs.size()));
    for (std::size_t i = 0; i < xs.size(); ++i) {
      EXPECT_TRUE(same(got[i], exact(xs[i]))) << name << "(" << xs[i] << ") = " << got[i];
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, SimdVec, testing::ValuesIn(built_isas()), isa_name);

TEST_P(SimdVec, WidthBelongsToTheIsa) {
  const std::string isa = simd().isa;
  EXPECT_EQ(simd().width, isa == "avx512" ? 16 : isa == "avx2" ? 8 : 4);
  EXPECT_EQ(simd().vector_registers, isa == "avx512" || isa == "neon" ? 32 : 16);
}

TEST_P(SimdVec, Arithmetic) {
  const SimdProbe& s = simd();
  expect_binary("add", s.add, [](float a, float b) { return a + b; });
  expect_binary("sub", s.sub, [](float a, float b) { return a - b; });
  expect_binary("mul", s.mul, [](float a, float b) { return a * b; });
  expect_binary("div", s.div, [](float a, float b) { return a / b; });
  expect_unary("abs", s.abs, [](float a) { return std::abs(a); });
  expect_unary("sqrt", s.sqrt, [](float a) { return std::sqrt(a); });
  expect_unary("round_nearest", s.round_nearest, [](float a) { return std::nearbyint(a); });
  expect_binary("copysign", s.copysign, [](float a, float b) { return std::copysign(a, b); });
}

TEST_P(SimdVec, NegationFlipsTheSignBitOnly) {
  const std::vector<float> xs = samples();
  std::vector<float> got(xs.size());
  simd().negate(xs.data(), got.data(), static_cast<int>(xs.size()));
  for (std::size_t i = 0; i < xs.size(); ++i) EXPECT_EQ(bits(got[i]), bits(xs[i]) ^ 0x80000000u);
}

TEST_P(SimdVec, MinAndMaxReturnTheSecondOperandUnlessTheFirstIsBeyondIt) {
  expect_binary("min", simd().min, [](float a, float b) { return a < b ? a : b; });
  expect_binary("max", simd().max, [](float a, float b) { return a > b ? a : b; });
}

TEST_P(SimdVec, ComparisonsAreFalseForNan) {
  const SimdProbe& s = simd();
  expect_binary("lt", s.lt, [](float a, float b) { return a < b ? 1.0f : 0.0f; });
  expect_binary("le", s.le, [](float a, float b) { return a <= b ? 1.0f : 0.0f; });
  expect_binary("gt", s.gt, [](float a, float b) { return a > b ? 1.0f : 0.0f; });
  expect_binary("ge", s.ge, [](float a, float b) { return a >= b ? 1.0f : 0.0f; });
  expect_binary("eq", s.eq, [](float a, float b) { return a == b ? 1.0f : 0.0f; });
  expect_unary("is_nan", s.is_nan, [](float a) { return std::isnan(a) ? 1.0f : 0.0f; });
}

TEST_P(SimdVec, SelectPicksLaneByLane) {
  const std::vector<float> xs = samples();
  std::vector<float> a, b, c;
  for (const float x : xs) {
    for (const float y : xs) a.push_back(x), b.push_back(y), c.push_back(x + 7.0f);
  }
  std::vector<float> got(a.size());
  simd().select(a.data(), b.data(), c.data(), got.data(), static_cast<int>(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same(got[i], a[i] < b[i] ? c[i] : b[i]));
}

TEST_P(SimdVec, MaskLogic) {
  const SimdProbe& s = simd();
  const auto truth = [](bool value) { return value ? 1.0f : 0.0f; };
  expect_binary("&", s.mask_and, [&](float a, float b) { return truth(a != 0 && b != 0); });
  expect_binary("|", s.mask_or, [&](float a, float b) { return truth(a != 0 || b != 0); });
  expect_unary("!", s.mask_not, [&](float a) { return truth(a == 0); });

  const std::size_t width = static_cast<std::size_t>(s.width);
  std::vector<float> lanes(width, 0.0f);
  EXPECT_FALSE(s.any(lanes.data()));
  EXPECT_FALSE(s.all(lanes.data()));
  for (std::size_t i = 0; i < width; ++i) {
    std::vector<float> one(width, 0.0f), all_but_one(width, 1.0f);
    one[i] = 1.0f;
    all_but_one[i] = 0.0f;
    EXPECT_TRUE(s.any(one.data()));
    EXPECT_FALSE(s.all(one.data()));
    EXPECT_TRUE(s.any(all_but_one.data()));
    EXPECT_FALSE(s.all(all_but_one.data()));
  }
  lanes.assign(width, 1.0f);
  EXPECT_TRUE(s.any(lanes.data()));
  EXPECT_TRUE(s.all(lanes.data()));
}

TEST_P(SimdVec, ProductsAreFusedWhereAskedAndNowhereElse) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  const std::size_t n = 10'000;
  std::vector<float> a(n), b(n), c(n), fused(n), negative(n), plain(n);
  for (std::size_t i = 0; i < n; ++i) {
    a[i] = normal(random), b[i] = normal(random), c[i] = -a[i] * b[i] * 1.0001f;
  }
  const int count = static_cast<int>(n);
  simd().fma(a.data(), b.data(), c.data(), fused.data(), count);
  simd().fnma(a.data(), b.data(), c.data(), negative.data(), count);
  simd().plain_mul_add(a.data(), b.data(), c.data(), plain.data(), count);
  int differing = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const volatile float product = a[i] * b[i];  // volatile: this file must not fuse it either
    const float two_roundings = product + c[i];
    const float one_rounding = std::fma(a[i], b[i], c[i]);
    differing += two_roundings != one_rounding;
    EXPECT_EQ(plain[i], two_roundings);
    EXPECT_EQ(fused[i], simd().fuses ? one_rounding : two_roundings);
    EXPECT_EQ(negative[i], simd().fuses ? std::fma(-a[i], b[i], c[i]) : c[i] - product);
  }
  EXPECT_GT(differing, 1000);  // else the data could not tell the two apart
}

TEST_P(SimdVec, PowersOfTwo) {
  std::vector<float> n, x, y;
  for (int exponent = -150; exponent <= 128; ++exponent) {
    for (const float factor : {0.5f, 0.70710678f, 1.0f, -1.3333334f, 1.4142135f, 2.0f}) {
      n.push_back(static_cast<float>(exponent));
      x.push_back(factor);
    }
  }
  y.resize(n.size());
  const int count = static_cast<int>(n.size());
  simd().pow2(n.data(), y.data(), count);
  for (std::size_t i = 0; i < n.size(); ++i) {
    EXPECT_EQ(y[i], static_cast<float>(std::ldexp(1.0, static_cast<int>(n[i])))) << n[i];
  }
  simd().scale_pow2(x.data(), n.data(), y.data(), count);
  for (std::size_t i = 0; i < n.size(); ++i) {
    // In double the product is exact, so that the conversion is its only rounding.
    const double exact = std::ldexp(static_cast<double>(x[i]), static_cast<int>(n[i]));
    EXPECT_EQ(y[i], static_cast<float>(exact)) << x[i] << " * 2^" << n[i];
  }
  simd().scale_pow2_biased(x.data(), n.data(), y.data(), count);
  for (std::size_t i = 0; i < n.size(); ++i) {
    if (n[i] < -127) continue;  // outside its domain
    const double exact = n[i] == -127 ? 0.0
                         : n[i] == 128
                             ? std::copysign(HUGE_VAL, x[i])
                             : std::ldexp(static_cast<double>(x[i]), static_cast<int>(n[i]));
    EXPECT_EQ(y[i], static_cast<float>(exact)) << x[i] << " * 2^" << n[i];
  }
  const float nan = kNan, zero = 0.0f;
  simd().scale_pow2(&nan, &zero, y.data(), 1);
  EXPECT_TRUE(std::isnan(y[0]));
  simd().scale_pow2_biased(&nan, &zero, y.data(), 1);
  EXPECT_TRUE(std::isnan(y[0]));
}

TEST_P(SimdVec, DecomposeGivesMantissaAndExponent) {
  std::vector<float> xs = {kSmallest, FLT_MIN, FLT_MAX};
  for (int exponent = -149; exponent <= 127; ++exponent) {
    for (const float factor : {1.0f, 1.1234567f, 1.4999999f, 1.5f, 1.5000001f, 1.9999999f}) {
      xs.push_back(static_cast<float>(std::ldexp(static_cast<double>(factor), exponent)));
    }
  }
  std::vector<float> mantissa(xs.size()), exponent(xs.size());
  simd().mantissa(xs.data(), mantissa.data(), static_cast<int>(xs.size()));
  simd().exponent(xs.data(), exponent.data(), static_cast<int>(xs.size()));
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (std::isinf(xs[i])) continue;  // the largest factor rounded up past the last exponent
    EXPECT_GE(mantissa[i], 0.75f) << xs[i];
    EXPECT_LT(mantissa[i], 1.5f) << xs[i];
    EXPECT_EQ(std::ldexp(static_cast<double>(mantissa[i]), static_cast<int>(exponent[i])),
              static_cast<double>(xs[i]));
  }
}

TEST_P(SimdVec, ReductionsFollowTheStatedOrder) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 1000; ++round) {
    std::vector<float> lanes(static_cast<std::size_t>(simd().width));
    for (float& x : lanes) x = normal(random) * std::ldexp(1.0f, static_cast<int>(random() % 20));
    std::vector<float> sums = lanes, maxima = lanes;
    for (std::size_t half = lanes.size() / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) {
        sums[i] = sums[i] + sums[i + half];
        maxima[i] = maxima[i] > maxima[i + half] ? maxima[i] : maxima[i + half];
      }
    }
    EXPECT_EQ(simd().reduce_add(lanes.data()), sums[0]);
    EXPECT_EQ(simd().reduce_max(lanes.data()), maxima[0]);
  }
}

// One page of floats between two pages that must not be touched.
class GuardedPage {
 public:
  GuardedPage() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    void* p = mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<char*>(p);
    if (mprotect(base_ + page_, page_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  }
  ~GuardedPage() { munmap(base_, 3 * page_); }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;
  float* begin() const { return reinterpret_cast<float*>(base_ + page_); }
  float* end() const { return reinterpret_cast<float*>(base_ + 2 * page_); }

 private:
  std::size_t page_;
  char* base_;
};

TEST_P(SimdVec, PartialLoadsTouchOnlyTheirFloats) {
  const GuardedPage page;
  const int width = simd().width;
  for (float* p = page.begin(); p < page.end(); ++p) *p = static_cast<float>(p - page.begin()) + 1;
  for (int n = 0; n <= width; ++n) {
    // With n = 0 the first of these points at the page that must not be touched.
    for (const float* p : {page.end() - n, page.begin()}) {
      std::vector<float> lanes(static_cast<std::size_t>(width), kNan);
      simd().load_n(p, n, lanes.data());
      for (int i = 0; i < width; ++i) {
        EXPECT_EQ(lanes[static_cast<std::size_t>(i)], i < n ? p[i] : 0.0f) << "n = " << n;
      }
    }
  }
}

TEST_P(SimdVec, PartialStoresTouchOnlyTheirFloats) {
  const GuardedPage page;
  const int width = simd().width;
  std::vector<float> lanes(static_cast<std::size_t>(width));
  for (int i = 0; i < width; ++i) lanes[static_cast<std::size_t>(i)] = static_cast<float>(i + 1);
  constexpr float kUntouched = -7.0f;
  for (int n = 0; n <= width; ++n) {
    for (float* p : {page.end() - n, page.begin(), page.begin() + 1 + width}) {
      std::fill(page.begin(), page.end(), kUntouched);
      simd().store_n(p, lanes.data(), n);
      for (const float* q = page.begin(); q < page.end(); ++q) {
        const std::ptrdiff_t i = q - p;
        ASSERT_EQ(*q, i >= 0 && i < n ? static_cast<float>(i + 1) : kUntouched) << "n = " << n;
      }
    }
  }
}

TEST_P(SimdVec, StreamStoresAtAnyAlignment) {
  const GuardedPage page;
  const int width = simd().width;
  std::vector<float> lanes(static_cast<std::size_t>(width), 3.0f);
  for (int offset = 0; offset <= width; ++offset) {
    std::fill(page.begin(), page.end(), 0.0f);
    simd().stream(page.begin() + offset, lanes.data());
    for (int i = 0; i < 3 * width; ++i) {
      EXPECT_EQ(page.begin()[i], i >= offset && i < offset + width ? 3.0f : 0.0f) << offset;
    }
  }
}

TEST_P(SimdVec, PrefetchTakesAnyAddress) {
  const GuardedPage page;
  for (const auto fetch : {simd().prefetch, simd().prefetch_l2}) {
    fetch(nullptr);
    fetch(page.end());
    fetch(page.begin());
  }
}

TEST_P(SimdVec, TransposesABlockAndNothingElse) {
  const int width = simd().width;
  for (const int extra : {0, 1, 5}) {
    const int src_ld = width + extra, dst_ld = width + 2 * extra;
    std::vector<float> src(static_cast<std::size_t>(width * src_ld));
    for (std::size_t i = 0; i < src.size(); ++i) src[i] = static_cast<float>(i);
    std::vector<float> dst(static_cast<std::size_t>(width * dst_ld), -1.0f);
    simd().transpose_block(src.data(), src_ld, dst.data(), dst_ld);
    for (int row = 0; row < width; ++row) {
      for (int column = 0; column < dst_ld; ++column) {
        const float expected = column < width ? static_cast<float>(column * src_ld + row) : -1.0f;
        EXPECT_EQ(dst[static_cast<std::size_t>(row * dst_ld + column)], expected);
      }
    }
  }
}

}  // namespace
}  // namespace ostinato
