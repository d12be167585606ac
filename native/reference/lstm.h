// Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9(8), 1997) with the
// forget gate of Gers, Schmidhuber and Cummins (Neural Computation 12(10), 2000).
// Gates in PyTorch's order i, f, g, o; a = W_ih x + b_ih + W_hh h + b_hh, split in four:
//   i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)
//   c' = f c + i g     h' = o tanh(c')
#pragma once

#include <cmath>

#include "reference/cell.h"

namespace ostinato::reference {

struct LstmGates {
  Vector i, f, g, o;  // [H] each
};

inline LstmGates lstm_gates(const CellWeights& weights, const Vector& x, const States& before) {
  const size_t units = weights.units();
  const Vector a = sum(input_product(weights, x), recurrent_product(weights, before[0]));
  LstmGates gates{Vector(units), Vector(units), Vector(units), Vector(units)};
  for (size_t j = 0; j < units; ++j) {
    gates.i[j] = sigmoid(a[j]);
    gates.f[j] = sigmoid(a[units + j]);
    gates.g[j] = std::tanh(a[2 * units + j]);
    gates.o[j] = sigmoid(a[3 * units + j]);
  }
  return gates;
}

inline States lstm_step(const CellWeights& weights, const Vector& x, const States& before) {
  const size_t units = weights.units();
  const auto [i, f, g, o] = lstm_gates(weights, x, before);
  Vector h(units), c(units);
  for (size_t j = 0; j < units; ++j) {
    c[j] = f[j] * before[1][j] + i[j] * weights.candidate(j) * g[j];
    h[j] = o[j] * std::tanh(c[j]);
  }
  return {h, c};
}

inline StepGradients lstm_step_backward(const CellWeights& weights, const Vector& x,
                                        const States& before, const States& d_after,
                                        CellWeights& gradients) {
  const size_t units = weights.units();
  const auto [i, f, g, o] = lstm_gates(weights, x, before);
  const Vector& c = before[1];
  Vector da(4 * units), dc_before(units);
  for (size_t j = 0; j < units; ++j) {
    const double dh = d_after[0][j];
    const double mask = weights.candidate(j);
    const double tanh_c = std::tanh(f[j] * c[j] + i[j] * mask * g[j]);
    // c' is reached on two ways: through h' and directly.
    const double dc = d_after[1][j] + dh * o[j] * (1.0 - tanh_c * tanh_c);
    da[j] = dc * mask * g[j] * i[j] * (1.0 - i[j]);
    da[units + j] = dc * c[j] * f[j] * (1.0 - f[j]);
    da[2 * units + j] = dc * i[j] * mask * (1.0 - g[j] * g[j]);
    da[3 * units + j] = dh * tanh_c * o[j] * (1.0 - o[j]);
    dc_before[j] = dc * f[j];
  }
  StepGradients result;
  const Vector dh_before = products_backward(weights, x, before[0], da, da, gradients, result.x);
  result.before = {dh_before, dc_before};
  return result;
}

inline const Cell kLstm{"lstm", 4, {"h", "c"}, lstm_step, lstm_step_backward};

}  // namespace ostinato::reference
