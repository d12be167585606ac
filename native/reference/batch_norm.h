// Batch normalisation (Ioffe and Szegedy 2015) of each column over its rows, by the batch's own
// statistics or by given ones:
//   y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, the variance being the biased one.
#pragma once

#include <cmath>
#include <cstddef>

#include "reference/matrix.h"

namespace ostinato::reference {

struct Statistics {
  Vector mean, variance;
};

struct BatchNormParams {
  Vector gamma, beta;
  double epsilon = 1e-5;
};

struct BatchNormGradients {
  Matrix x;
  Vector gamma, beta;
};

inline Statistics statistics_of(const Matrix& x) {
  const double n = static_cast<double>(x.rows());
  Statistics s{Vector(x.cols(), 0.0), Vector(x.cols(), 0.0)};
  for (size_t c = 0; c < x.cols(); ++c) {
    for (size_t r = 0; r < x.rows(); ++r) s.mean[c] += x(r, c) / n;
    for (size_t r = 0; r < x.rows(); ++r) {
      s.variance[c] += (x(r, c) - s.mean[c]) * (x(r, c) - s.mean[c]) / n;
    }
  }
  return s;
}

inline Matrix batch_norm_forward(const BatchNormParams& params, const Statistics& s,
                                 const Matrix& x) {
  Matrix y(x.rows(), x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    for (size_t c = 0; c < x.cols(); ++c) {
      const double normal = (x(r, c) - s.mean[c]) / std::sqrt(s.variance[c] + params.epsilon);
      y(r, c) = normal * params.gamma[c] + params.beta[c];
    }
  }
  return y;
}

// From dy. With `of_batch` the statistics are those of x and follow it; else they are constants.
inline BatchNormGradients batch_norm_backward(const BatchNormParams& params, const Statistics& s,
                                              bool of_batch, const Matrix& x, const Matrix& dy) {
  const double n = static_cast<double>(x.rows());
  BatchNormGradients d{Matrix(x.rows(), x.cols()), Vector(x.cols(), 0.0), Vector(x.cols(), 0.0)};
  for (size_t c = 0; c < x.cols(); ++c) {
    const double deviation = std::sqrt(s.variance[c] + params.epsilon);
    double dmean = 0.0, dvariance = 0.0;
    for (size_t r = 0; r < x.rows(); ++r) {
      const double centered = x(r, c) - s.mean[c];
      d.gamma[c] += dy(r, c) * centered / deviation;
      d.beta[c] += dy(r, c);
      dmean -= dy(r, c) * params.gamma[c] / deviation;
      dvariance -= dy(r, c) * params.gamma[c] * centered / (2 * std::pow(deviation, 3));
    }
    for (size_t r = 0; r < x.rows(); ++r) {
      d.x(r, c) = dy(r, c) * params.gamma[c] / deviation;
      if (of_batch) d.x(r, c) += dmean / n + dvariance * 2 * (x(r, c) - s.mean[c]) / n;
    }
  }
  return d;
}

}  // namespace ostinato::reference
