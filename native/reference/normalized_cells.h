// Elman, LSTM and GRU (reset-after) with layer normalisation inside (Ba, Kiros and Hinton,
// arXiv:1607.06450). N(a) has mean 0 and variance 1 over the elements of a; scales g multiply it.
//
// "gates": of each gate, a = W x + R h without biases becomes g N(a), and then the biases are
// added. The GRU's candidate is n = tanh(g N(W_n x) + b_in + r (g' N(R_n h) + b_hn)), since r comes
// between its two products.
//
// "ba": the products are normalised apart and, but for the GRU's candidate, for all gates together:
// g N(W x) + b_ih + g' N(R h) + b_hh. The LSTM's output is made of the normalised cell state,
// h' = o tanh(g_c N(c') + b_c).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "reference/cell.h"
#include "reference/layer_norm.h"

namespace ostinato::reference {

inline constexpr double kCellNormEpsilon = 1e-5;

// Both summands of pre-activations, after their normalisation: [G*H] each.
struct Summands {
  Vector input, recurrent;
};

// What is normalised together: gates [first, last) of the input product, of the recurrent one, or
// of their sum, which then counts as input.
struct NormalizedPart {
  size_t first, last;
  bool input, recurrent;
  std::string scale;  // the vector of scales that it has a share in
  size_t offset;      // where that begins, in units
};

using NormalizedParts = std::vector<NormalizedPart>;

inline Vector part_of(const NormalizedPart& part, size_t units, const Vector& all) {
  return Vector(all.begin() + static_cast<std::ptrdiff_t>(part.first * units),
                all.begin() + static_cast<std::ptrdiff_t>(part.last * units));
}

inline NormalizedRow normalize_part(const NormalizedPart& part, const CellWeights& weights,
                                    const Vector& x, const Vector& h) {
  Vector all(weights.ih.rows(), 0.0);
  if (part.input) add(all, multiply(weights.ih, x));
  if (part.recurrent) add(all, multiply(weights.hh, h));
  return normalize(part_of(part, weights.units(), all), kCellNormEpsilon);
}

inline Summands summands(const NormalizedParts& parts, const CellWeights& weights, const Vector& x,
                         const Vector& h) {
  const size_t units = weights.units();
  Summands result{weights.bias_ih, weights.bias_hh};
  for (const NormalizedPart& part : parts) {
    const NormalizedRow row = normalize_part(part, weights, x, h);
    Vector& sum = part.input ? result.input : result.recurrent;
    for (size_t j = 0; j < row.values.size(); ++j) {
      sum.at(part.first * units + j) +=
          weights.norms.at(part.scale).at(part.offset * units + j) * row.values[j];
    }
  }
  return result;
}

// From the gradients d of the summands to those of x, of h (returned) and of all parameters.
inline Vector summands_backward(const NormalizedParts& parts, const CellWeights& weights,
                                const Vector& x, const Vector& h, const Summands& d,
                                CellWeights& gradients, Vector& dx) {
  const size_t units = weights.units();
  add(gradients.bias_ih, d.input);
  add(gradients.bias_hh, d.recurrent);
  Vector d_input(weights.ih.rows(), 0.0), d_recurrent(weights.ih.rows(), 0.0);
  for (const NormalizedPart& part : parts) {
    const NormalizedRow row = normalize_part(part, weights, x, h);
    Vector d_row = part_of(part, units, part.input ? d.input : d.recurrent);
    for (size_t j = 0; j < d_row.size(); ++j) {
      const size_t place = part.offset * units + j;
      gradients.norms.at(part.scale).at(place) += d_row[j] * row.values[j];
      d_row[j] *= weights.norms.at(part.scale).at(place);
    }
    d_row = normalize_backward(row, d_row);
    for (size_t j = 0; j < d_row.size(); ++j) {
      if (part.input) d_input[part.first * units + j] = d_row[j];
      if (part.recurrent) d_recurrent[part.first * units + j] = d_row[j];
    }
  }
  add_outer(gradients.ih, d_input, x);
  add_outer(gradients.hh, d_recurrent, h);
  dx = multiply_transposed(weights.ih, d_input);
  return multiply_transposed(weights.hh, d_recurrent);
}

// ---- the cells' maths from the summands -----------------------------------------------------

template <bool kRelu>
struct NormalizedElman {
  static States after(const CellWeights&, const Summands& a, const States&) {
    Vector h = sum(a.input, a.recurrent);
    for (double& value : h) value = kRelu ? std::max(value, 0.0) : std::tanh(value);
    return {h};
  }
  // The gradients of the states before, without the way through the products.
  static States backward(const CellWeights& weights, const Summands& a, const States& before,
                         const States& d_after, Summands& d, CellWeights&) {
    const Vector h = after(weights, a, before)[0];
    for (size_t j = 0; j < h.size(); ++j) {
      const double slope = kRelu ? (h[j] > 0.0 ? 1.0 : 0.0) : 1.0 - h[j] * h[j];
      d.input[j] = d.recurrent[j] = d_after[0][j] * slope;
    }
    return {Vector(h.size(), 0.0)};
  }
};

struct NormalizedGru {
  static States after(const CellWeights& weights, const Summands& a, const States& before) {
    const size_t units = weights.units();
    Vector h(units);
    for (size_t j = 0; j < units; ++j) {
      const double r = sigmoid(a.input[j] + a.recurrent[j]);
      const double z = sigmoid(a.input[units + j] + a.recurrent[units + j]);
      const double n = std::tanh(a.input[2 * units + j] + r * a.recurrent[2 * units + j]);
      h[j] = (1.0 - z) * n + z * before[0][j];
    }
    return {h};
  }
  static States backward(const CellWeights& weights, const Summands& a, const States& before,
                         const States& d_after, Summands& d, CellWeights&) {
    const size_t units = weights.units();
    Vector dh_before(units);
    for (size_t j = 0; j < units; ++j) {
      const double dh = d_after[0][j], q = a.recurrent[2 * units + j];
      const double r = sigmoid(a.input[j] + a.recurrent[j]);
      const double z = sigmoid(a.input[units + j] + a.recurrent[units + j]);
      const double n = std::tanh(a.input[2 * units + j] + r * q);
      const double da_n = dh * (1.0 - z) * (1.0 - n * n);
      d.input[2 * units + j] = da_n;
      d.recurrent[2 * units + j] = da_n * r;
      d.input[j] = d.recurrent[j] = da_n * q * r * (1.0 - r);
      d.input[units + j] = d.recurrent[units + j] = dh * (before[0][j] - n) * z * (1.0 - z);
      dh_before[j] = dh * z;
    }
    return {dh_before};
  }
};

// kMemory: h' is made of the normalised c'.
template <bool kMemory>
struct NormalizedLstm {
  struct Gates {
    Vector i, f, g, o, c;
  };
  static Gates gates(const CellWeights& weights, const Summands& a, const States& before) {
    const size_t units = weights.units();
    Gates it{Vector(units), Vector(units), Vector(units), Vector(units), Vector(units)};
    for (size_t j = 0; j < units; ++j) {
      it.i[j] = sigmoid(a.input[j] + a.recurrent[j]);
      it.f[j] = sigmoid(a.input[units + j] + a.recurrent[units + j]);
      it.g[j] = std::tanh(a.input[2 * units + j] + a.recurrent[2 * units + j]);
      it.o[j] = sigmoid(a.input[3 * units + j] + a.recurrent[3 * units + j]);
      it.c[j] = it.f[j] * before[1][j] + it.i[j] * it.g[j];
    }
    return it;
  }
  // What the output is made of.
  static Vector shown(const CellWeights& weights, const Vector& c) {
    if (!kMemory) return c;
    Vector m = normalize(c, kCellNormEpsilon).values;
    for (size_t j = 0; j < m.size(); ++j) {
      m[j] = m[j] * weights.norms.at("weight_ln_c").at(j) + weights.norms.at("bias_ln_c").at(j);
    }
    return m;
  }
  static States after(const CellWeights& weights, const Summands& a, const States& before) {
    const Gates it = gates(weights, a, before);
    Vector h = shown(weights, it.c);
    for (size_t j = 0; j < h.size(); ++j) h[j] = it.o[j] * std::tanh(h[j]);
    return {h, it.c};
  }
  static States backward(const CellWeights& weights, const Summands& a, const States& before,
                         const States& d_after, Summands& d, CellWeights& gradients) {
    const size_t units = weights.units();
    const auto [i, f, g, o, c] = gates(weights, a, before);
    const Vector m = shown(weights, c);
    Vector da(4 * units), dm(units), dc_before(units);
    for (size_t j = 0; j < units; ++j) {
      const double tanh_m = std::tanh(m[j]);
      da[3 * units + j] = d_after[0][j] * tanh_m * o[j] * (1.0 - o[j]);
      dm[j] = d_after[0][j] * o[j] * (1.0 - tanh_m * tanh_m);
    }
    if (kMemory) {
      const NormalizedRow row = normalize(c, kCellNormEpsilon);
      for (size_t j = 0; j < units; ++j) {
        gradients.norms.at("weight_ln_c").at(j) += dm[j] * row.values[j];
        gradients.norms.at("bias_ln_c").at(j) += dm[j];
        dm[j] *= weights.norms.at("weight_ln_c").at(j);
      }
      dm = normalize_backward(row, dm);
    }
    for (size_t j = 0; j < units; ++j) {
      const double dc = d_after[1][j] + dm[j];
      da[j] = dc * g[j] * i[j] * (1.0 - i[j]);
      da[units + j] = dc * before[1][j] * f[j] * (1.0 - f[j]);
      da[2 * units + j] = dc * i[j] * (1.0 - g[j] * g[j]);
      dc_before[j] = dc * f[j];
    }
    d.input = d.recurrent = da;
    return {Vector(units, 0.0), dc_before};
  }
};

// ---- the cells --------------------------------------------------------------------------------

template <class Maths, const NormalizedParts& kParts>
struct NormalizedCell {
  static States step(const CellWeights& weights, const Vector& x, const States& before) {
    return Maths::after(weights, summands(kParts, weights, x, before[0]), before);
  }
  static StepGradients step_backward(const CellWeights& weights, const Vector& x,
                                     const States& before, const States& d_after,
                                     CellWeights& gradients) {
    const Summands a = summands(kParts, weights, x, before[0]);
    Summands d{Vector(a.input.size(), 0.0), Vector(a.input.size(), 0.0)};
    StepGradients result;
    result.before = Maths::backward(weights, a, before, d_after, d, gradients);
    add(result.before[0], summands_backward(kParts, weights, x, before[0], d, gradients, result.x));
    return result;
  }
  static Cell cell(const char* plain, const char* norm, size_t gates,
                   std::vector<std::string> states, std::vector<CellNormVector> vectors) {
    return {.name = std::string(plain) + "_" + norm,
            .gates = gates,
            .states = std::move(states),
            .step = step,
            .step_backward = step_backward,
            .plain = plain,
            .norm = norm,
            .norms = std::move(vectors)};
  }
};

inline const NormalizedParts kElmanGates{{0, 1, true, true, "weight_ln", 0}};
inline const NormalizedParts kElmanBa{{0, 1, true, false, "weight_ln_ih", 0},
                                      {0, 1, false, true, "weight_ln_hh", 0}};
inline const NormalizedParts kLstmGateByGate{{0, 1, true, true, "weight_ln", 0},
                                             {1, 2, true, true, "weight_ln", 1},
                                             {2, 3, true, true, "weight_ln", 2},
                                             {3, 4, true, true, "weight_ln", 3}};
inline const NormalizedParts kLstmBa{{0, 4, true, false, "weight_ln_ih", 0},
                                     {0, 4, false, true, "weight_ln_hh", 0}};
inline const NormalizedParts kGruGateByGate{{0, 1, true, true, "weight_ln", 0},
                                            {1, 2, true, true, "weight_ln", 1},
                                            {2, 3, true, false, "weight_ln", 2},
                                            {2, 3, false, true, "weight_ln_hh", 0}};
inline const NormalizedParts kGruBa{{0, 2, true, false, "weight_ln_ih", 0},
                                    {2, 3, true, false, "weight_ln_ih", 2},
                                    {0, 2, false, true, "weight_ln_hh", 0},
                                    {2, 3, false, true, "weight_ln_hh", 2}};

inline const std::vector<Cell>& normalized_cells() {
  static const std::vector<Cell> cells{
      NormalizedCell<NormalizedElman<false>, kElmanGates>::cell("elman_tanh", "gates", 1, {"h"},
                                                                {{"weight_ln", 1}}),
      NormalizedCell<NormalizedElman<true>, kElmanGates>::cell("elman_relu", "gates", 1, {"h"},
                                                               {{"weight_ln", 1}}),
      NormalizedCell<NormalizedElman<false>, kElmanBa>::cell(
          "elman_tanh", "ba", 1, {"h"}, {{"weight_ln_ih", 1}, {"weight_ln_hh", 1}}),
      NormalizedCell<NormalizedLstm<false>, kLstmGateByGate>::cell("lstm", "gates", 4, {"h", "c"},
                                                                   {{"weight_ln", 4}}),
      NormalizedCell<NormalizedLstm<true>, kLstmBa>::cell(
          "lstm", "ba", 4, {"h", "c"},
          {{"weight_ln_ih", 4}, {"weight_ln_hh", 4}, {"weight_ln_c", 1}, {"bias_ln_c", 1}}),
      NormalizedCell<NormalizedGru, kGruGateByGate>::cell("gru", "gates", 3, {"h"},
                                                          {{"weight_ln", 3}, {"weight_ln_hh", 1}}),
      NormalizedCell<NormalizedGru, kGruBa>::cell("gru", "ba", 3, {"h"},
                                                  {{"weight_ln_ih", 3}, {"weight_ln_hh", 3}}),
  };
  return cells;
}

}  // namespace ostinato::reference
