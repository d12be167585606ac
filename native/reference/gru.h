// Gated recurrent unit, reset gate after the recurrent product: the form of arXiv:1406.1078v1 (Cho
// et al., 2014) that PyTorch, cuDNN and Keras' default share. Gates in PyTorch's order r, z, n:
//   r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)     z likewise
//   q = W_hn h + b_hn     n = tanh(W_in x + b_in + r q)     h' = (1 - z) n + z h
#pragma once

#include <cmath>

#include "reference/cell.h"

namespace ostinato::reference {

struct GruGates {
  Vector r, z, n;  // [H] each
  Vector q;        // [H] the recurrent product that r scales
};

inline GruGates gru_gates(const CellWeights& weights, const Vector& x, const States& before) {
  const size_t units = weights.units();
  const Vector input = input_product(weights, x);
  const Vector recurrent = recurrent_product(weights, before[0]);
  GruGates gates{Vector(units), Vector(units), Vector(units), Vector(units)};
  for (size_t j = 0; j < units; ++j) {
    gates.r[j] = sigmoid(input[j] + recurrent[j]);
    gates.z[j] = sigmoid(input[units + j] + recurrent[units + j]);
    gates.q[j] = recurrent[2 * units + j];
    gates.n[j] = std::tanh(input[2 * units + j] + gates.r[j] * gates.q[j]);
  }
  return gates;
}

inline States gru_step(const CellWeights& weights, const Vector& x, const States& before) {
  const auto [r, z, n, q] = gru_gates(weights, x, before);
  Vector h(weights.units());
  for (size_t j = 0; j < h.size(); ++j) {
    h[j] = (1.0 - z[j]) * weights.candidate(j) * n[j] + z[j] * before[0][j];
  }
  return {h};
}

inline StepGradients gru_step_backward(const CellWeights& weights, const Vector& x,
                                       const States& before, const States& d_after,
                                       CellWeights& gradients) {
  const size_t units = weights.units();
  const auto [r, z, n, q] = gru_gates(weights, x, before);
  const Vector& h = before[0];
  Vector d_input(3 * units), d_recurrent(3 * units), dh_before(units);
  for (size_t j = 0; j < units; ++j) {
    const double dh = d_after[0][j];
    const double mask = weights.candidate(j);
    const double da_n = dh * (1.0 - z[j]) * mask * (1.0 - n[j] * n[j]);
    const double da_z = dh * (h[j] - mask * n[j]) * z[j] * (1.0 - z[j]);
    const double da_r = da_n * q[j] * r[j] * (1.0 - r[j]);
    d_input[j] = d_recurrent[j] = da_r;
    d_input[units + j] = d_recurrent[units + j] = da_z;
    d_input[2 * units + j] = da_n;
    d_recurrent[2 * units + j] = da_n * r[j];
    dh_before[j] = dh * z[j];
  }
  StepGradients result;
  add(dh_before, products_backward(weights, x, h, d_input, d_recurrent, gradients, result.x));
  result.before = {dh_before};
  return result;
}

inline const Cell kGru{"gru", 3, {"h"}, gru_step, gru_step_backward};

}  // namespace ostinato::reference
