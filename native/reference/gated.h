// Gated layers on rows: the gated linear unit (Dauphin et al. 2017) and the highway layer
// (Srivastava et al. 2015).
#pragma once

#include <cstddef>

#include "reference/dense.h"
#include "reference/matrix.h"

namespace ostinato::reference {

// y = a sigmoid(b) of rows u = [a, b].
inline Matrix glu_forward(const Matrix& u) {
  Matrix y(u.rows(), u.cols() / 2);
  for (size_t r = 0; r < y.rows(); ++r) {
    for (size_t c = 0; c < y.cols(); ++c) y(r, c) = u(r, c) * sigmoid(u(r, y.cols() + c));
  }
  return y;
}

// du [rows, 2 cols] from dy [rows, cols].
inline Matrix glu_backward(const Matrix& u, const Matrix& dy) {
  Matrix du(u.rows(), u.cols());
  for (size_t r = 0; r < dy.rows(); ++r) {
    for (size_t c = 0; c < dy.cols(); ++c) {
      const double gate = sigmoid(u(r, dy.cols() + c));
      du(r, c) = dy(r, c) * gate;
      du(r, dy.cols() + c) = dy(r, c) * u(r, c) * gate * (1.0 - gate);
    }
  }
  return du;
}

struct HighwayParams {
  DenseParams h, t;  // both as wide as the input
};

struct HighwayGradients {
  Matrix x;
  DenseGradients h, t;  // of the parameters; their x is part of the one above
};

inline Matrix highway_forward(const HighwayParams& params, Activation activation, const Matrix& x) {
  const Matrix h = dense_forward(params.h, activation, x);
  const Matrix t = dense_forward(params.t, Activation::kSigmoid, x);
  Matrix y(x.rows(), x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    for (size_t c = 0; c < x.cols(); ++c) y(r, c) = t(r, c) * h(r, c) + (1 - t(r, c)) * x(r, c);
  }
  return y;
}

inline HighwayGradients highway_backward(const HighwayParams& params, Activation activation,
                                         const Matrix& x, const Matrix& dy) {
  const Matrix h = dense_forward(params.h, activation, x);
  const Matrix t = dense_forward(params.t, Activation::kSigmoid, x);
  Matrix dh(x.rows(), x.cols()), dt(x.rows(), x.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    for (size_t c = 0; c < x.cols(); ++c) {
      dh(r, c) = dy(r, c) * t(r, c);
      dt(r, c) = dy(r, c) * (h(r, c) - x(r, c));
    }
  }
  HighwayGradients gradients{Matrix(x.rows(), x.cols()),
                             dense_backward(params.h, activation, x, dh),
                             dense_backward(params.t, Activation::kSigmoid, x, dt)};
  for (size_t r = 0; r < x.rows(); ++r) {
    for (size_t c = 0; c < x.cols(); ++c) {
      gradients.x(r, c) = dy(r, c) * (1 - t(r, c)) + gradients.h.x(r, c) + gradients.t.x(r, c);
    }
  }
  return gradients;
}

}  // namespace ostinato::reference
