// The mean and the maximum of a sequence's steps, which may go on from earlier steps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

// What was gathered of the steps before: their sum or maximum, and how many they are.
struct Gathered {
  Vector values;
  double count = 0.0;
};

struct PoolingResult {
  Vector y;  // zeros where there are no steps at all
  Gathered last;
};

struct PoolingGradients {
  std::vector<Vector> x;
  Gathered first;
};

// One row: x [steps][features].
inline PoolingResult pool(bool maximum, const Gathered& first, const std::vector<Vector>& x) {
  PoolingResult result{first.values, first};
  Gathered& last = result.last;
  for (const Vector& step : x) {
    for (size_t c = 0; c < step.size(); ++c) {
      if (!maximum) last.values[c] += step[c];
      if (maximum) last.values[c] = last.count > 0 ? std::max(last.values[c], step[c]) : step[c];
    }
    last.count += 1.0;
  }
  if (last.count == 0.0) std::fill(last.values.begin(), last.values.end(), 0.0);
  result.y = last.values;
  if (!maximum && last.count > 0.0) {
    for (double& value : result.y) value /= last.count;
  }
  return result;
}

// From the gradients of y and of what was gathered in the end.
inline PoolingGradients pool_backward(bool maximum, const Gathered& first,
                                      const std::vector<Vector>& x, const Vector& dy,
                                      const Gathered& dlast) {
  const PoolingResult result = pool(maximum, first, x);
  const double count = result.last.count;
  PoolingGradients d{std::vector<Vector>(x.size(), Vector(dy.size(), 0.0)),
                     {Vector(dy.size(), 0.0), dlast.count}};
  for (size_t c = 0; c < dy.size(); ++c) {
    if (!maximum) {
      const double each = dlast.values[c] + (count > 0.0 ? dy[c] / count : 0.0);
      for (Vector& step : d.x) step[c] = each;
      d.first.values[c] = each;
      if (count > 0.0) d.first.count -= dy[c] * result.y[c] / count;
      continue;
    }
    const double whole = dy[c] + dlast.values[c];
    if (first.count > 0.0 && first.values[c] == result.y[c]) {
      d.first.values[c] = whole;
      continue;
    }
    for (size_t t = 0; t < x.size(); ++t) {
      if (x[t][c] != result.y[c]) continue;
      d.x[t][c] = whole;
      break;
    }
  }
  return d;
}

}  // namespace ostinato::reference
