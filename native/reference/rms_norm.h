// RMS normalisation (Zhang and Sennrich, arXiv:1910.07467) of each row over its columns:
//   y = x / sqrt(mean(x^2) + epsilon) * gamma.
#pragma once

#include <cmath>
#include <cstddef>

#include "reference/matrix.h"

namespace ostinato::reference {

struct RmsNormGradients {
  Matrix x;      // [rows, cols]
  Vector gamma;  // [cols]
};

inline double mean_square(const Vector& x) {
  double sum = 0.0;
  for (double value : x) sum += value * value;
  return sum / static_cast<double>(x.size());
}

inline Matrix rms_norm_forward(const Vector& gamma, double epsilon, const Matrix& x) {
  Matrix y(x.rows(), x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    const double root = std::sqrt(mean_square(x.row(r)) + epsilon);
    for (size_t c = 0; c < x.cols(); ++c) y(r, c) = x(r, c) / root * gamma.at(c);
  }
  return y;
}

// From dy [rows, cols]. The root's own derivative by x_c is x_c / (cols root).
inline RmsNormGradients rms_norm_backward(const Vector& gamma, double epsilon, const Matrix& x,
                                          const Matrix& dy) {
  RmsNormGradients gradients{Matrix(x.rows(), x.cols()), Vector(x.cols(), 0.0)};
  for (size_t r = 0; r < x.rows(); ++r) {
    const double root = std::sqrt(mean_square(x.row(r)) + epsilon);
    double by_root = 0.0;
    for (size_t c = 0; c < x.cols(); ++c) {
      gradients.gamma[c] += dy(r, c) * x(r, c) / root;
      by_root -= dy(r, c) * gamma.at(c) * x(r, c) / (root * root);
    }
    for (size_t c = 0; c < x.cols(); ++c) {
      gradients.x(r, c) = dy(r, c) * gamma.at(c) / root +
                          by_root * x(r, c) / (static_cast<double>(x.cols()) * root);
    }
  }
  return gradients;
}

}  // namespace ostinato::reference
