// Batches of sequences as lists of rows of steps, each row as long as it is: without padding, what
// happens to rows of unequal lengths needs no thought.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "reference/matrix.h"
#include "reference/recurrent_config.h"

namespace ostinato::reference {

// sequences[row][step] is a vector of features.
using Sequences = std::vector<std::vector<Vector>>;

// Reads [B, T, features].
inline Sequences unpad(const Vector& padded, size_t features, const RecurrentInput& input) {
  expect_size("padded", padded.size(), input.batch * input.steps * features);
  Sequences sequences(input.batch);
  for (size_t row = 0; row < input.batch; ++row) {
    for (size_t step = 0; step < input.length(row); ++step) {
      const double* begin = padded.data() + (row * input.steps + step) * features;
      sequences[row].emplace_back(begin, begin + features);
    }
  }
  return sequences;
}

// Writes [B, T, features], zero beyond each row's end.
inline Vector pad(const Sequences& sequences, size_t features, const RecurrentInput& input) {
  Vector padded(input.batch * input.steps * features, 0.0);
  for (size_t row = 0; row < input.batch; ++row) {
    for (size_t step = 0; step < sequences[row].size(); ++step) {
      std::copy(
          sequences[row][step].begin(), sequences[row][step].end(),
          padded.begin() + static_cast<std::ptrdiff_t>((row * input.steps + step) * features));
    }
  }
  return padded;
}

// Every row from its own end to its beginning.
inline Sequences reversed(Sequences sequences) {
  for (auto& row : sequences) std::reverse(row.begin(), row.end());
  return sequences;
}

inline Sequences zeros_like(Sequences sequences) {
  for (auto& row : sequences) {
    for (Vector& step : row) std::fill(step.begin(), step.end(), 0.0);
  }
  return sequences;
}

inline void add(Sequences& target, const Sequences& source) {
  for (size_t row = 0; row < target.size(); ++row) {
    for (size_t step = 0; step < target[row].size(); ++step) {
      add(target[row][step], source.at(row).at(step));
    }
  }
}

inline void multiply_by(Sequences& target, const Sequences& factors) {
  for (size_t row = 0; row < target.size(); ++row) {
    for (size_t step = 0; step < target[row].size(); ++step) {
      for (size_t j = 0; j < target[row][step].size(); ++j) {
        target[row][step][j] *= factors.at(row).at(step).at(j);
      }
    }
  }
}

// Joins the outputs of two directions for the same step.
inline Vector merged(Merge merge, const Vector& forward, const Vector& reverse) {
  Vector y = forward;
  if (merge == Merge::kConcat) {
    y.insert(y.end(), reverse.begin(), reverse.end());
    return y;
  }
  for (size_t j = 0; j < y.size(); ++j) {
    if (merge == Merge::kSum) y[j] += reverse.at(j);
    if (merge == Merge::kMul) y[j] *= reverse.at(j);
    if (merge == Merge::kAve) y[j] = (y[j] + reverse.at(j)) / 2.0;
  }
  return y;
}

struct MergeGradients {
  Vector forward, reverse;
};

inline MergeGradients merged_backward(Merge merge, const Vector& forward, const Vector& reverse,
                                      const Vector& dy) {
  const size_t units = forward.size();
  MergeGradients d{Vector(units), Vector(units)};
  for (size_t j = 0; j < units; ++j) {
    switch (merge) {
      case Merge::kConcat:
        d.forward[j] = dy.at(j);
        d.reverse[j] = dy.at(units + j);
        break;
      case Merge::kSum:
        d.forward[j] = d.reverse[j] = dy.at(j);
        break;
      case Merge::kMul:
        d.forward[j] = dy.at(j) * reverse.at(j);
        d.reverse[j] = dy.at(j) * forward[j];
        break;
      case Merge::kAve:
        d.forward[j] = d.reverse[j] = dy.at(j) / 2.0;
        break;
    }
  }
  return d;
}

}  // namespace ostinato::reference
