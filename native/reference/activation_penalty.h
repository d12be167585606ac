// Activation regularisation and its temporal form, for one batch of ragged sequences.
#pragma once

#include <cstddef>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

// h[b] holds the outputs of row b, [steps, features].
inline double activation_penalty(const std::vector<Matrix>& h, double activation, double temporal) {
  double squares = 0, differences = 0;
  size_t elements = 0, pairs = 0;
  for (const Matrix& row : h) {
    for (size_t t = 0; t < row.rows(); ++t) {
      for (size_t j = 0; j < row.cols(); ++j) {
        squares += row(t, j) * row(t, j);
        ++elements;
        if (t + 1 == row.rows()) continue;
        const double difference = row(t + 1, j) - row(t, j);
        differences += difference * difference;
        ++pairs;
      }
    }
  }
  return (elements > 0 ? activation * squares / static_cast<double>(elements) : 0.0) +
         (pairs > 0 ? temporal * differences / static_cast<double>(pairs) : 0.0);
}

}  // namespace ostinato::reference
