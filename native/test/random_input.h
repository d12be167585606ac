// Random rows of floats for sequences of given lengths, one after the other.
#pragma once

#include <cstdint>
#include <vector>

#include "core/dataset.h"
#include "reference/random_problem.h"

namespace ostinato::test {

inline InputData random_input(int64_t features, const std::vector<int32_t>& length,
                              reference::RandomSource& random) {
  InputData data;
  data.features = features;
  int64_t rows = 0;
  for (const int32_t steps : length) {
    data.input_offset.push_back(rows);
    rows += steps;
  }
  for (const double value : random.vector(static_cast<size_t>(rows * features))) {
    data.input_floats.push_back(static_cast<float>(value));
  }
  return data;
}

inline InputData random_input(int64_t features, const std::vector<int32_t>& length, uint64_t seed) {
  reference::RandomSource random(seed);
  return random_input(features, length, random);
}

}  // namespace ostinato::test
