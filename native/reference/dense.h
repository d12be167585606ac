// The dense layer y = phi(W x + b) with PyTorch's layout of W, and its activation functions. It
// acts on rows, whatever these are: batch rows, or the steps of sequences.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "reference/cell.h"
#include "reference/matrix.h"

namespace ostinato::reference {

// gelu is the exact one, x Phi(x) (Hendrycks and Gimpel, arXiv:1606.08415); silu is x sigmoid(x).
enum class Activation { kLinear, kTanh, kRelu, kSigmoid, kSoftmax, kGelu, kSilu };

inline Vector softmax(const Vector& a) {
  const double largest = *std::max_element(a.begin(), a.end());
  Vector y(a.size());
  double total = 0.0;
  for (size_t j = 0; j < a.size(); ++j) total += y[j] = std::exp(a[j] - largest);
  for (double& value : y) value /= total;
  return y;
}

// The distribution function and the density of the standard normal distribution.
inline double normal_cdf(double a) { return 0.5 * std::erfc(-a / std::sqrt(2.0)); }
inline double normal_density(double a) {
  return std::exp(-0.5 * a * a) / std::sqrt(2.0 * std::acos(-1.0));
}

// One row [units].
inline Vector activate(Activation activation, const Vector& a) {
  if (activation == Activation::kSoftmax) return softmax(a);
  Vector y = a;
  for (double& v : y) {
    switch (activation) {
      case Activation::kTanh:
        v = std::tanh(v);
        break;
      case Activation::kRelu:
        v = std::max(v, 0.0);
        break;
      case Activation::kSigmoid:
        v = sigmoid(v);
        break;
      case Activation::kGelu:
        v = v * normal_cdf(v);
        break;
      case Activation::kSilu:
        v = v * sigmoid(v);
        break;
      case Activation::kLinear:
      case Activation::kSoftmax:
        break;
    }
  }
  return y;
}

// The gradient with respect to the argument a of one row, from that of the result. The derivative
// of relu at zero is taken as zero.
inline Vector activate_backward(Activation activation, const Vector& a, const Vector& dy) {
  const Vector y = activate(activation, a);
  Vector da(a.size());
  double dy_dot_y = 0.0;
  for (size_t j = 0; j < a.size(); ++j) dy_dot_y += dy.at(j) * y[j];
  for (size_t j = 0; j < a.size(); ++j) {
    switch (activation) {
      case Activation::kLinear:
        da[j] = dy[j];
        break;
      case Activation::kTanh:
        da[j] = dy[j] * (1.0 - y[j] * y[j]);
        break;
      case Activation::kRelu:
        da[j] = a[j] > 0.0 ? dy[j] : 0.0;
        break;
      case Activation::kSigmoid:
        da[j] = dy[j] * y[j] * (1.0 - y[j]);
        break;
      case Activation::kSoftmax:
        da[j] = y[j] * (dy[j] - dy_dot_y);
        break;
      case Activation::kGelu:
        da[j] = dy[j] * (normal_cdf(a[j]) + a[j] * normal_density(a[j]));
        break;
      case Activation::kSilu:
        da[j] = dy[j] * sigmoid(a[j]) * (1.0 + a[j] * (1.0 - sigmoid(a[j])));
        break;
    }
  }
  return da;
}

struct DenseParams {
  Matrix weight;  // [units, inputs]
  Vector bias;    // [units], or empty
};

struct DenseGradients {
  Matrix x;       // [rows, inputs]
  Matrix weight;  // [units, inputs]
  Vector bias;    // [units], also without a bias
};

// W x + b of every row: [rows, units].
inline Matrix dense_preactivation(const DenseParams& params, const Matrix& x) {
  Matrix a(x.rows(), params.weight.rows());
  for (size_t r = 0; r < x.rows(); ++r) {
    Vector row = multiply(params.weight, x.row(r));
    if (!params.bias.empty()) add(row, params.bias);
    a.set_row(r, row);
  }
  return a;
}

// x [rows, inputs] -> y [rows, units].
inline Matrix dense_forward(const DenseParams& params, Activation activation, const Matrix& x) {
  Matrix y = dense_preactivation(params, x);
  for (size_t r = 0; r < y.rows(); ++r) y.set_row(r, activate(activation, y.row(r)));
  return y;
}

// From dy [rows, units].
inline DenseGradients dense_backward(const DenseParams& params, Activation activation,
                                     const Matrix& x, const Matrix& dy) {
  const Matrix a = dense_preactivation(params, x);
  DenseGradients gradients{Matrix(x.rows(), x.cols()),
                           Matrix(params.weight.rows(), params.weight.cols()),
                           Vector(params.weight.rows(), 0.0)};
  for (size_t r = 0; r < x.rows(); ++r) {
    const Vector da = activate_backward(activation, a.row(r), dy.row(r));
    add_outer(gradients.weight, da, x.row(r));
    add(gradients.bias, da);
    gradients.x.set_row(r, multiply_transposed(params.weight, da));
  }
  return gradients;
}

}  // namespace ostinato::reference
