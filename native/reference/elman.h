// The simple recurrent cell (Elman, "Finding Structure in Time", Cognitive Science 14, 1990):
//   h' = phi(W_ih x + b_ih + W_hh h + b_hh), phi = tanh or relu.
#pragma once

#include <algorithm>
#include <cmath>

#include "reference/cell.h"

namespace ostinato::reference {

// The argument of phi: [H].
inline Vector elman_preactivation(const CellWeights& weights, const Vector& x,
                                  const States& before) {
  return sum(input_product(weights, x), recurrent_product(weights, before[0]));
}

inline States elman_tanh_step(const CellWeights& weights, const Vector& x, const States& before) {
  Vector h = elman_preactivation(weights, x, before);
  for (double& value : h) value = std::tanh(value);
  return {h};
}

inline StepGradients elman_tanh_step_backward(const CellWeights& weights, const Vector& x,
                                              const States& before, const States& d_after,
                                              CellWeights& gradients) {
  const Vector h = elman_tanh_step(weights, x, before)[0];
  Vector da(h.size());
  for (size_t j = 0; j < h.size(); ++j) da[j] = d_after[0][j] * (1.0 - h[j] * h[j]);
  StepGradients result;
  result.before = {products_backward(weights, x, before[0], da, da, gradients, result.x)};
  return result;
}

inline States elman_relu_step(const CellWeights& weights, const Vector& x, const States& before) {
  Vector h = elman_preactivation(weights, x, before);
  for (double& value : h) value = std::max(value, 0.0);
  return {h};
}

// The derivative at zero, where there is none, is taken as zero.
inline StepGradients elman_relu_step_backward(const CellWeights& weights, const Vector& x,
                                              const States& before, const States& d_after,
                                              CellWeights& gradients) {
  const Vector a = elman_preactivation(weights, x, before);
  Vector da(a.size());
  for (size_t j = 0; j < a.size(); ++j) da[j] = a[j] > 0.0 ? d_after[0][j] : 0.0;
  StepGradients result;
  result.before = {products_backward(weights, x, before[0], da, da, gradients, result.x)};
  return result;
}

inline const Cell kElman{"elman_tanh", 1, {"h"}, elman_tanh_step, elman_tanh_step_backward};
inline const Cell kElmanRelu{"elman_relu", 1, {"h"}, elman_relu_step, elman_relu_step_backward};

}  // namespace ostinato::reference
