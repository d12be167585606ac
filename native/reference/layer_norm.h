// Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) of each row over its columns:
//   y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, the variance being the biased one.
#pragma once

#include <cmath>
#include <cstddef>

#include "reference/matrix.h"

namespace ostinato::reference {

struct LayerNormParams {
  Vector gamma;           // [cols]
  Vector beta;            // [cols], or empty
  double epsilon = 1e-5;  // PyTorch's default; Keras' is 1e-3
};

struct LayerNormGradients {
  Matrix x;      // [rows, cols]
  Vector gamma;  // [cols]
  Vector beta;   // [cols], also without a beta
};

struct NormalizedRow {
  Vector values;  // [cols] of mean 0 and variance 1
  double rstd;    // 1 / sqrt(variance + epsilon)
};

inline NormalizedRow normalize(const Vector& x, double epsilon) {
  const double n = static_cast<double>(x.size());
  double mean = 0.0, variance = 0.0;
  for (double value : x) mean += value / n;
  for (double value : x) variance += (value - mean) * (value - mean) / n;
  NormalizedRow row{x, 1.0 / std::sqrt(variance + epsilon)};
  for (double& value : row.values) value = (value - mean) * row.rstd;
  return row;
}

// The gradient of x from d, that of the normalised values:
//   dx = rstd (d - mean(d) - xhat mean(d xhat)).
inline Vector normalize_backward(const NormalizedRow& row, const Vector& d) {
  const double n = static_cast<double>(d.size());
  double mean_d = 0.0, mean_d_xhat = 0.0;
  for (size_t c = 0; c < d.size(); ++c) {
    mean_d += d[c] / n;
    mean_d_xhat += d[c] * row.values[c] / n;
  }
  Vector dx(d.size());
  for (size_t c = 0; c < d.size(); ++c) {
    dx[c] = row.rstd * (d[c] - mean_d - row.values[c] * mean_d_xhat);
  }
  return dx;
}

inline Matrix layer_norm_forward(const LayerNormParams& params, const Matrix& x) {
  Matrix y(x.rows(), x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    const NormalizedRow row = normalize(x.row(r), params.epsilon);
    for (size_t c = 0; c < x.cols(); ++c) {
      y(r, c) =
          row.values[c] * params.gamma.at(c) + (params.beta.empty() ? 0.0 : params.beta.at(c));
    }
  }
  return y;
}

// From dy [rows, cols].
inline LayerNormGradients layer_norm_backward(const LayerNormParams& params, const Matrix& x,
                                              const Matrix& dy) {
  LayerNormGradients gradients{Matrix(x.rows(), x.cols()), Vector(x.cols(), 0.0),
                               Vector(x.cols(), 0.0)};
  for (size_t r = 0; r < x.rows(); ++r) {
    const NormalizedRow row = normalize(x.row(r), params.epsilon);
    Vector d(x.cols());
    for (size_t c = 0; c < x.cols(); ++c) {
      d[c] = dy(r, c) * params.gamma.at(c);
      gradients.gamma[c] += dy(r, c) * row.values[c];
      gradients.beta[c] += dy(r, c);
    }
    gradients.x.set_row(r, normalize_backward(row, d));
  }
  return gradients;
}

}  // namespace ostinato::reference
