// Gated recurrent unit, reset gate before the recurrent product: arXiv:1406.1078v3 (Cho et al.,
// 2014), Keras' `reset_after=False`. Gates in the order r, z, n, parameters as for the other form:
//   r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)     z likewise
//   n = tanh(W_in x + b_in + W_hn (r h) + b_hn)     h' = (1 - z) n + z h
#pragma once

#include <cmath>

#include "reference/cell.h"

namespace ostinato::reference {

struct GruResetBeforeGates {
  Vector r, z, n;  // [H] each
  Vector s;        // [H] r * h, the operand of the candidate's recurrent product
};

inline GruResetBeforeGates gru_reset_before_gates(const CellWeights& weights, const Vector& x,
                                                  const States& before) {
  const size_t units = weights.units();
  const Vector& h = before[0];
  const Vector input = input_product(weights, x);
  const Vector recurrent = recurrent_product(weights, h);
  GruResetBeforeGates gates{Vector(units), Vector(units), Vector(units), Vector(units)};
  for (size_t j = 0; j < units; ++j) {
    gates.r[j] = sigmoid(input[j] + recurrent[j]);
    gates.z[j] = sigmoid(input[units + j] + recurrent[units + j]);
    gates.s[j] = gates.r[j] * h[j];
  }
  // Of this second product only the candidate's third counts.
  const Vector candidate = recurrent_product(weights, gates.s);
  for (size_t j = 0; j < units; ++j) {
    gates.n[j] = std::tanh(input[2 * units + j] + candidate[2 * units + j]);
  }
  return gates;
}

inline States gru_reset_before_step(const CellWeights& weights, const Vector& x,
                                    const States& before) {
  const auto [r, z, n, s] = gru_reset_before_gates(weights, x, before);
  Vector h(weights.units());
  for (size_t j = 0; j < h.size(); ++j) {
    h[j] = (1.0 - z[j]) * weights.candidate(j) * n[j] + z[j] * before[0][j];
  }
  return {h};
}

inline StepGradients gru_reset_before_step_backward(const CellWeights& weights, const Vector& x,
                                                    const States& before, const States& d_after,
                                                    CellWeights& gradients) {
  const size_t units = weights.units();
  const auto [r, z, n, s] = gru_reset_before_gates(weights, x, before);
  const Vector& h = before[0];

  // The candidate first: its recurrent product has s for an operand, the other gates' have h.
  Vector d_candidate(3 * units, 0.0);
  for (size_t j = 0; j < units; ++j) {
    d_candidate[2 * units + j] =
        d_after[0][j] * (1.0 - z[j]) * weights.candidate(j) * (1.0 - n[j] * n[j]);
  }
  StepGradients result;
  const Vector ds = products_backward(weights, x, s, d_candidate, d_candidate, gradients, result.x);

  Vector d_gates(3 * units, 0.0), dh_before(units);
  for (size_t j = 0; j < units; ++j) {
    const double dh = d_after[0][j];
    d_gates[j] = ds[j] * h[j] * r[j] * (1.0 - r[j]);
    d_gates[units + j] = dh * (h[j] - weights.candidate(j) * n[j]) * z[j] * (1.0 - z[j]);
    dh_before[j] = dh * z[j] + ds[j] * r[j];
  }
  Vector dx_gates;
  add(dh_before, products_backward(weights, x, h, d_gates, d_gates, gradients, dx_gates));
  add(result.x, dx_gates);
  result.before = {dh_before};
  return result;
}

inline const Cell kGruResetBefore{
    "gru_reset_before", 3, {"h"}, gru_reset_before_step, gru_reset_before_step_backward};

}  // namespace ostinato::reference
