#include "core/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/init.h"

namespace ostinato {
namespace {

using Words = std::array<uint32_t, 4>;

Words words(const PhiloxBlock& block) {
  return {block.word[0], block.word[1], block.word[2], block.word[3]};
}

// The known answers of philox4x32-10 that come with the Random123 library.
TEST(Random, PhiloxGivesTheKnownAnswers) {
  EXPECT_EQ(words(philox(0, 0, 0)), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(philox(~0ull, ~0ull, ~0ull)),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e)),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, UniformNumbersFillTheInterval) {
  const RandomStream stream(7, 3);
  double sum = 0, squares = 0, low = 1, high = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double u = stream.uniform(i);
    sum += u;
    squares += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.005);
  EXPECT_NEAR(squares / kCount, 1.0 / 3.0, 0.005);
  EXPECT_GE(low, 0.0);
  EXPECT_LT(low, 1e-4);
  EXPECT_LT(high, 1.0);
  EXPECT_GT(high, 1 - 1e-4);
}

TEST(Random, NormalNumbersHaveTheMomentsOfTheirDistribution) {
  const RandomStream stream(7, 4);
  double moments[5] = {};
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double x = stream.normal(i);
    for (int power = 1; power <= 4; ++power) moments[power] += std::pow(x, power) / kCount;
  }
  EXPECT_NEAR(moments[1], 0.0, 0.01);
  EXPECT_NEAR(moments[2], 1.0, 0.015);
  EXPECT_NEAR(moments[3], 0.0, 0.03);
  EXPECT_NEAR(moments[4], 3.0, 0.1);
}

TEST(Random, DrawsDependOnSeedStreamAndIndexAlone) {
  const RandomStream stream(1, 2);
  std::vector<float> whole(50);
  stream.fill_uniform(whole.data(), 50, -2, 3);
  EXPECT_EQ(whole[17], static_cast<float>(-2 + 5 * stream.uniform(17)));
  std::set<double> first;
  for (const RandomStream& other : {RandomStream(1, 2), RandomStream(1, 3), RandomStream(2, 2)}) {
    first.insert(other.uniform(0));
  }
  EXPECT_EQ(first.size(), 3u);
}

TEST(Random, StreamsOfUsesNeverMeet) {
  std::set<uint64_t> streams;
  size_t count = 0;
  for (uint64_t layer : {0, 1, 2, 300}) {
    for (uint64_t slot : {0, 127}) {
      streams.insert(loop_stream(5, layer, slot));
      ++count;
    }
    for (uint64_t part : {0, 1, 63, 255}) {
      streams.insert(initializer_stream(layer, part));
      ++count;
      for (uint64_t step : {0ull, 1ull, 1ull << 38}) {
        streams.insert(dropout_stream(step, layer, part));
        streams.insert(weight_drop_stream(step, layer << 8 | part));
        count += 2;
      }
    }
  }
  EXPECT_EQ(streams.size(), count);
}

std::vector<float> initialized(const std::string& name, int64_t rows, int64_t cols,
                               double scale = 0.05, int64_t fan = 1, uint64_t seed = 11) {
  std::vector<float> w(rows * cols, NAN);
  initialize({name, scale}, w.data(), rows, cols, fan, RandomStream(seed, 1));
  return w;
}

double deviation(const std::vector<float>& w) {
  double sum = 0;
  for (const float x : w) sum += static_cast<double>(x) * x;
  return std::sqrt(sum / static_cast<double>(w.size()));
}

float largest(const std::vector<float>& w) {
  float value = 0;
  for (const float x : w) value = std::max(value, std::abs(x));
  return value;
}

TEST(Initializers, HaveTheirBoundsAndDeviations) {
  const double glorot = std::sqrt(6.0 / (200 + 300)), he = std::sqrt(6.0 / 300);
  EXPECT_LE(largest(initialized("glorotUniform", 200, 300)), glorot);
  EXPECT_GT(largest(initialized("glorotUniform", 200, 300)), 0.99 * glorot);
  EXPECT_NEAR(deviation(initialized("glorotNormal", 200, 300)), std::sqrt(2.0 / 500), 1e-3);
  EXPECT_LE(largest(initialized("heUniform", 200, 300)), he);
  EXPECT_GT(largest(initialized("heUniform", 200, 300)), 0.99 * he);
  EXPECT_NEAR(deviation(initialized("heNormal", 200, 300)), std::sqrt(2.0 / 300), 1e-3);
  EXPECT_LE(largest(initialized("uniform", 200, 300, 0.3)), 0.3f);
  EXPECT_NEAR(deviation(initialized("normal", 200, 300, 0.3)), 0.3, 0.01);
  EXPECT_LE(largest(initialized("torch", 200, 300, 0, 64)), 0.125f);
  EXPECT_GT(largest(initialized("torch", 200, 300, 0, 64)), 0.124f);
  EXPECT_EQ(largest(initialized("zeros", 3, 4)), 0.0f);
  EXPECT_EQ(initialized("ones", 1, 3), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(initialized("identity", 2, 3, 1), (std::vector<float>{1, 0, 0, 0, 1, 0}));
}

TEST(Initializers, OrthogonalInTheShorterDirection) {
  for (const auto& [rows, cols] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 9}, {9, 1}, {6, 6}, {7, 30}, {30, 7}, {64, 64}}) {
    const std::vector<float> w = initialized("orthogonal", rows, cols, 1);
    const bool tall = rows >= cols;
    const int64_t n = std::min(rows, cols), m = std::max(rows, cols);
    const auto at = [&](int64_t vector, int64_t i) {
      return static_cast<double>(tall ? w[i * cols + vector] : w[vector * cols + i]);
    };
    for (int64_t a = 0; a < n; ++a) {
      for (int64_t b = 0; b < n; ++b) {
        double dot = 0;
        for (int64_t i = 0; i < m; ++i) dot += at(a, i) * at(b, i);
        EXPECT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-6) << rows << " x " << cols;
      }
    }
  }
}

// Without the fixed signs the diagonal of Q would lean to one side.
TEST(Initializers, OrthogonalMatricesLeanToNoSide) {
  double trace = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const std::vector<float> w = initialized("orthogonal", 3, 3, 1, 1, seed);
    trace += (w[0] + w[4] + w[8]) / 400.0;
  }
  EXPECT_NEAR(trace, 0.0, 0.2);
}

TEST(Initializers, RefuseUnknownNames) {
  try {
    initialized("golrot", 2, 2);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.code(), "ERR_INVALID_ARGUMENT");
    EXPECT_NE(std::string(error.what()).find("\"golrot\""), std::string::npos);
  }
}

}  // namespace
}  // namespace ostinato
