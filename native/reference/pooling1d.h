// The mean or the maximum of whole windows of steps: y[t] is that of x[t * stride] to
// x[t * stride + size - 1].
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

// One row: x [steps][features].
inline std::vector<Vector> pool_windows(bool maximum, size_t size, size_t stride,
                                        const std::vector<Vector>& x) {
  std::vector<Vector> y;
  for (size_t begin = 0; begin + size <= x.size(); begin += stride) {
    Vector out = x[begin];
    for (size_t k = 1; k < size; ++k) {
      for (size_t c = 0; c < out.size(); ++c) {
        const double value = x[begin + k][c];
        out[c] = maximum ? std::max(out[c], value) : out[c] + value;
      }
    }
    if (!maximum) {
      for (double& value : out) value /= static_cast<double>(size);
    }
    y.push_back(out);
  }
  return y;
}

// The gradient of x; that of a maximum goes to the first step of the window that has it.
inline std::vector<Vector> pool_windows_backward(bool maximum, size_t size, size_t stride,
                                                 const std::vector<Vector>& x,
                                                 const std::vector<Vector>& dy) {
  std::vector<Vector> dx(x.size(), Vector(x.empty() ? 0 : x[0].size(), 0.0));
  for (size_t t = 0; t < dy.size(); ++t) {
    const size_t begin = t * stride;
    for (size_t c = 0; c < dy[t].size(); ++c) {
      size_t largest = begin;
      for (size_t k = 0; k < size; ++k) {
        if (x[begin + k][c] > x[largest][c]) largest = begin + k;
        if (!maximum) dx[begin + k][c] += dy[t][c] / static_cast<double>(size);
      }
      if (maximum) dx[largest][c] += dy[t][c];
    }
  }
  return dx;
}

}  // namespace ostinato::reference
