#include "core/rng.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/philox.h"

namespace ostinato {

namespace {

// The radius' uniform number gets 53 bits and lies in (0, 1]: the logarithm is always finite and
// the tails reach beyond eight deviations.
double radius(const PhiloxBlock& block) {
  const uint64_t bits = (uint64_t{block.word[0]} << 21) ^ (block.word[1] >> 11);
  return std::sqrt(-2.0 * std::log(static_cast<double>(bits + 1) * 0x1p-53));
}

double angle(const PhiloxBlock& block) {
  return 2.0 * std::numbers::pi * (block.word[2] * 0x1p-32);
}

}  // namespace

PhiloxBlock philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  PhiloxBlock block;
  Philox4x32::generate(key, counter_high, counter_low, block.word);
  return block;
}

double RandomStream::uniform(uint64_t index) const {
  return philox(seed_, index >> 2, stream_).word[index & 3] * 0x1p-32;
}

double RandomStream::normal(uint64_t index) const {
  const PhiloxBlock block = philox(seed_, index, stream_);
  return radius(block) * std::cos(angle(block));
}

void RandomStream::normal_pair(uint64_t index, double (&pair)[2]) const {
  const PhiloxBlock block = philox(seed_, index, stream_);
  const double r = radius(block), a = angle(block);
  pair[0] = r * std::cos(a);
  pair[1] = r * std::sin(a);
}

void RandomStream::fill_uniform(float* x, int64_t n, double low, double high) const {
  const auto limit = static_cast<float>(high);
  for (int64_t begin = 0; begin < n; begin += 4) {
    const PhiloxBlock block = philox(seed_, static_cast<uint64_t>(begin / 4), stream_);
    for (int64_t i = begin; i < std::min(n, begin + 4); ++i) {
      const auto value = static_cast<float>(low + (high - low) * (block.word[i - begin] * 0x1p-32));
      // Rounding to float may reach the open end.
      x[i] = value < limit ? value : std::nextafter(limit, static_cast<float>(low));
    }
  }
}

void RandomStream::fill_normal(float* x, int64_t n, double deviation) const {
  for (int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(deviation * normal(static_cast<uint64_t>(i)));
  }
}

void RandomStream::fill_truncated_normal(float* x, int64_t n, double deviation) const {
  for (int64_t i = 0; i < n; ++i) {
    auto index = static_cast<uint64_t>(i);
    double value = normal(index);
    while (std::abs(value) > 2.0) value = normal(index += static_cast<uint64_t>(n));
    x[i] = static_cast<float>(deviation * value);
  }
}

}  // namespace ostinato
