// Several matrices made one, row by row: sum, product, and side by side.
#pragma once

#include <string>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

// kind: "add", "multiply" or "concat".
inline Matrix merge_forward(const std::string& kind, const std::vector<Matrix>& inputs) {
  const size_t rows = inputs[0].rows();
  size_t cols = 0;
  for (const Matrix& x : inputs) cols = kind == "concat" ? cols + x.cols() : x.cols();
  Matrix y(rows, cols);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      if (kind == "concat") {
        size_t i = 0, column = c;
        while (column >= inputs[i].cols()) column -= inputs[i++].cols();
        y(r, c) = inputs[i](r, column);
        continue;
      }
      double value = kind == "add" ? 0.0 : 1.0;
      for (const Matrix& x : inputs) value = kind == "add" ? value + x(r, c) : value * x(r, c);
      y(r, c) = value;
    }
  }
  return y;
}

inline std::vector<Matrix> merge_backward(const std::string& kind,
                                          const std::vector<Matrix>& inputs, const Matrix& dy) {
  std::vector<Matrix> gradients;
  size_t first = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Matrix dx(inputs[i].rows(), inputs[i].cols());
    for (size_t r = 0; r < dx.rows(); ++r) {
      for (size_t c = 0; c < dx.cols(); ++c) {
        double value = dy(r, kind == "concat" ? first + c : c);
        for (size_t k = 0; kind == "multiply" && k < inputs.size(); ++k) {
          if (k != i) value *= inputs[k](r, c);
        }
        dx(r, c) = value;
      }
    }
    first += dx.cols();
    gradients.push_back(dx);
  }
  return gradients;
}

}  // namespace ostinato::reference
