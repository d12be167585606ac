// The loss of connectionist temporal classification (Graves et al., ICML 2006) by its definition:
// the sum over all paths, of which there are classes ^ steps.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reference/dense.h"
#include "reference/loss_config.h"

namespace ostinato::reference {

// A path without repetitions, then without blanks.
inline std::vector<int32_t> collapsed(const std::vector<int32_t>& path, int32_t blank) {
  std::vector<int32_t> labels;
  for (size_t t = 0; t < path.size(); ++t) {
    const bool repeats = t > 0 && path[t] == path[t - 1];
    if (!repeats && path[t] != blank) labels.push_back(path[t]);
  }
  return labels;
}

// - ln of the probability of the labels under logits [steps, classes]; the gradient is that of the
// logits, row after row.
inline RowLoss ctc(const Matrix& logits, const std::vector<int32_t>& labels, int32_t blank) {
  const size_t steps = logits.rows(), classes = logits.cols();
  Matrix p = logits;
  for (size_t t = 0; t < steps; ++t) p.set_row(t, softmax(logits.row(t)));
  double total = 0.0;
  Matrix occupancy(steps, classes);  // probability of the paths that are in a class at a step
  std::vector<int32_t> path(steps, 0);
  for (bool more = true; more;) {
    if (collapsed(path, blank) == labels) {
      double product = 1.0;
      for (size_t t = 0; t < steps; ++t) product *= p(t, static_cast<size_t>(path[t]));
      total += product;
      for (size_t t = 0; t < steps; ++t) occupancy(t, static_cast<size_t>(path[t])) += product;
    }
    more = false;
    for (int32_t& digit : path) {
      if (static_cast<size_t>(++digit) < classes) {
        more = true;
        break;
      }
      digit = 0;
    }
  }
  RowLoss result{-std::log(total), {}};
  for (size_t t = 0; t < steps; ++t) {
    for (size_t k = 0; k < classes; ++k) {
      result.gradient.push_back(p(t, k) - occupancy(t, k) / total);
    }
  }
  return result;
}

}  // namespace ostinato::reference
