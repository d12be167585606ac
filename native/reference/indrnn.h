// Independently recurrent network (Li, Li, Cook, Zhu and Gao, "Independently Recurrent Neural
// Network (IndRNN)", CVPR 2018):
//   h' = phi(W_ih x + b_ih + u h + b_hh), phi = relu or tanh, u [H], the product unit by unit.
#pragma once

#include <algorithm>
#include <cmath>

#include "reference/cell.h"

namespace ostinato::reference {

// The argument of phi: [H].
inline Vector indrnn_preactivation(const CellWeights& weights, const Vector& x,
                                   const States& before) {
  Vector a = sum(input_product(weights, x), weights.bias_hh);
  for (size_t j = 0; j < a.size(); ++j) a[j] += weights.hh(0, j) * before[0][j];
  return a;
}

inline States indrnn_tanh_step(const CellWeights& weights, const Vector& x, const States& before) {
  Vector h = indrnn_preactivation(weights, x, before);
  for (double& value : h) value = std::tanh(value);
  return {h};
}

inline States indrnn_relu_step(const CellWeights& weights, const Vector& x, const States& before) {
  Vector h = indrnn_preactivation(weights, x, before);
  for (double& value : h) value = std::max(value, 0.0);
  return {h};
}

// From the gradient of phi's argument, da [H].
inline StepGradients indrnn_argument_backward(const CellWeights& weights, const Vector& x,
                                              const States& before, const Vector& da,
                                              CellWeights& gradients) {
  StepGradients result;
  result.x = multiply_transposed(weights.ih, da);
  add_outer(gradients.ih, da, x);
  add(gradients.bias_ih, da);
  add(gradients.bias_hh, da);
  Vector dh(da.size());
  for (size_t j = 0; j < da.size(); ++j) {
    gradients.hh(0, j) += da[j] * before[0][j];
    dh[j] = da[j] * weights.hh(0, j);
  }
  result.before = {dh};
  return result;
}

inline StepGradients indrnn_tanh_step_backward(const CellWeights& weights, const Vector& x,
                                               const States& before, const States& d_after,
                                               CellWeights& gradients) {
  Vector da = indrnn_tanh_step(weights, x, before)[0];
  for (size_t j = 0; j < da.size(); ++j) da[j] = d_after[0][j] * (1.0 - da[j] * da[j]);
  return indrnn_argument_backward(weights, x, before, da, gradients);
}

// The derivative at zero, where there is none, is taken as zero.
inline StepGradients indrnn_relu_step_backward(const CellWeights& weights, const Vector& x,
                                               const States& before, const States& d_after,
                                               CellWeights& gradients) {
  Vector da = indrnn_preactivation(weights, x, before);
  for (size_t j = 0; j < da.size(); ++j) da[j] = da[j] > 0.0 ? d_after[0][j] : 0.0;
  return indrnn_argument_backward(weights, x, before, da, gradients);
}

inline const Cell kIndRnnTanh{.name = "indrnn_tanh",
                              .gates = 1,
                              .states = {"h"},
                              .step = indrnn_tanh_step,
                              .step_backward = indrnn_tanh_step_backward,
                              .elementwise = true};
inline const Cell kIndRnnRelu{.name = "indrnn_relu",
                              .gates = 1,
                              .states = {"h"},
                              .step = indrnn_relu_step,
                              .step_backward = indrnn_relu_step_backward,
                              .elementwise = true};

}  // namespace ostinato::reference
