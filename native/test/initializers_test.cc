// Initialisers that depend on more than the shape of a matrix: large orthogonal ones, gains,
// chrono.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/init.h"
#include "core/orthogonal.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

std::vector<float> initialized(const Initializer& initializer, int64_t rows, int64_t cols,
                               uint64_t seed = 11) {
  std::vector<float> w(rows * cols, NAN);
  initialize(initializer, w.data(), rows, cols, 1, RandomStream(seed, 1));
  return w;
}

// The largest deviation of the shorter side's vectors from being orthonormal.
double deviation_from_orthonormal(const std::vector<float>& w, int64_t rows, int64_t cols) {
  const bool tall = rows >= cols;
  const int64_t n = std::min(rows, cols), m = std::max(rows, cols);
  double worst = 0;
  for (int64_t a = 0; a < n; ++a) {
    for (int64_t b = 0; b <= a; ++b) {
      double dot = 0;
      for (int64_t i = 0; i < m; ++i) {
        dot += static_cast<double>(tall ? w[i * cols + a] : w[a * cols + i]) *
               (tall ? w[i * cols + b] : w[b * cols + i]);
      }
      worst = std::max(worst, std::abs(dot - (a == b ? 1.0 : 0.0)));
    }
  }
  return worst;
}

TEST(Orthogonal, LargeMatricesAreOrthonormal) {
  constexpr int64_t kEdge = kLargestUniformOrthogonal;
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{kEdge, kEdge},
                                   {kEdge + 1, kEdge + 1},
                                   {160, 160},
                                   {200, 143},
                                   {143, 200}}) {
    const std::vector<float> w = initialized({"orthogonal", 1.0}, rows, cols);
    EXPECT_LT(deviation_from_orthonormal(w, rows, cols), 2e-6) << rows << " x " << cols;
  }
}

// Few rounds would leave elements that are zero or have heavy tails, and too few draws of the
// groups a matrix that stays near the identity.
TEST(Orthogonal, ElementsOfLargeMatricesAreAsGoodAsGaussian) {
  constexpr int64_t kSize = 208;
  double moments[5] = {}, trace = 0;
  constexpr int kSeeds = 3;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<float> w = initialized({"orthogonal", 1.0}, kSize, kSize, seed);
    for (int64_t i = 0; i < kSize * kSize; ++i) {
      const double x = w[i] * std::sqrt(static_cast<double>(kSize));
      for (int power = 1; power <= 4; ++power) {
        moments[power] += std::pow(x, power) / (kSeeds * kSize * kSize);
      }
    }
    for (int64_t i = 0; i < kSize; ++i) trace += w[i * kSize + i] / kSeeds;
  }
  EXPECT_NEAR(moments[1], 0.0, 0.02);
  EXPECT_NEAR(moments[2], 1.0, 1e-4);
  EXPECT_NEAR(moments[3], 0.0, 0.05);
  EXPECT_NEAR(moments[4], 3.0, 0.15);
  EXPECT_LT(std::abs(trace), 3.0);
}

TEST(Orthogonal, SeedsGiveTheirMatrices) {
  const std::vector<float> one = initialized({"orthogonal", 1.0}, 144, 144, 1);
  EXPECT_EQ(one, initialized({"orthogonal", 1.0}, 144, 144, 1));
  EXPECT_NE(one, initialized({"orthogonal", 1.0}, 144, 144, 2));
}

TEST(Initializers, HaveTheirNumbers) {
  EXPECT_EQ(initialized({"constant", -0.25}, 1, 3), (std::vector<float>{-0.25, -0.25, -0.25}));
  EXPECT_EQ(initialized({"identity", 0.5}, 3, 2), (std::vector<float>{0.5, 0, 0, 0.5, 0, 0}));
  for (const int64_t size : {8, 132}) {
    std::vector<float> once = initialized({"orthogonal", 1.0}, size, size);
    const std::vector<float> twice = initialized({"orthogonal", 2.0}, size, size);
    for (float& x : once) x *= 2;
    EXPECT_EQ(once, twice);
  }
}

TEST(Initializers, OfLecunAndTruncated) {
  const auto deviation = [](const std::vector<float>& w) {
    double sum = 0;
    for (const float x : w) sum += static_cast<double>(x) * x;
    return std::sqrt(sum / static_cast<double>(w.size()));
  };
  const auto largest = [](const std::vector<float>& w) {
    return std::abs(*std::max_element(w.begin(), w.end(),
                                      [](float a, float b) { return std::abs(a) < std::abs(b); }));
  };
  const std::vector<float> uniform = initialized({"lecunUniform"}, 200, 300);
  EXPECT_LE(largest(uniform), 0.1f);
  EXPECT_GT(largest(uniform), 0.099f);
  EXPECT_NEAR(deviation(initialized({"lecunNormal"}, 200, 300)), std::sqrt(1.0 / 300), 5e-4);
  const std::vector<float> truncated = initialized({"truncatedNormal", 0.3}, 200, 300);
  EXPECT_LE(largest(truncated), 0.6f);
  EXPECT_GT(largest(truncated), 0.595f);
  // Var = 1 - 4 phi(2) / (2 Phi(2) - 1) of the deviation's square.
  EXPECT_NEAR(deviation(truncated), 0.3 * std::sqrt(0.7737413), 2e-3);
}

// b = log t with t uniform in [1, T - 1]: the values' exponentials have that mean and those bounds.
TEST(Initializers, ChronoSpreadsTheBiasesOverTimes) {
  constexpr int64_t kUnits = 2000;
  const auto network = make_network(*available_kernels().back(), {1, true, false},
                                    {layer("lstm", {{"units", double{kUnits}},
                                                    {"recurrentInitializer", "zeros"},
                                                    {"biasInitializer", "chrono"},
                                                    {"biasInitializer.tMax", 50.0},
                                                    {"chronoKeepGate", 1.0},
                                                    {"chronoWriteGate", 0.0}})});
  const std::vector<ParamEntry>& entries = network->params().entries();
  ASSERT_EQ(entries[2].name, "lstm.bias_ih_l0");
  const float* bias = network->params().value(2);
  double sum = 0, low = 1e9, high = 0;
  for (int64_t unit = 0; unit < kUnits; ++unit) {
    const double time = std::exp(bias[kUnits + unit]);
    sum += time;
    low = std::min(low, time);
    high = std::max(high, time);
    EXPECT_EQ(bias[unit], -bias[kUnits + unit]);
    EXPECT_EQ(bias[2 * kUnits + unit], 0.0f);
    EXPECT_EQ(bias[3 * kUnits + unit], 0.0f);
  }
  EXPECT_NEAR(sum / kUnits, 25.0, 1.0);
  EXPECT_GE(low, 1.0 - 1e-5);
  EXPECT_LT(low, 1.5);
  EXPECT_LE(high, 49.0 + 1e-4);
  EXPECT_GT(high, 48.5);
  const float* other = network->params().value(3);
  for (int64_t i = 0; i < 4 * kUnits; ++i) ASSERT_EQ(other[i], 0.0f);
}

TEST(Initializers, ChronoNeedsAGateThatKeeps) {
  EXPECT_THROW(
      make_network(
          *available_kernels().back(), {1, true, false},
          {layer("elman_tanh",
                 {{"units", 2.0}, {"biasInitializer", "chrono"}, {"biasInitializer.tMax", 50.0}})}),
      Error);
}

}  // namespace
}  // namespace ostinato::test
