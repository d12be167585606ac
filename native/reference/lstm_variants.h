// Long short-term memory with peepholes (Gers and Schmidhuber, "Recurrent nets that time and
// count", IJCNN 2000), with coupled gates (Greff, Srivastava, Koutník, Steunebrink and Schmidhuber,
// "LSTM: A Search Space Odyssey", IEEE TNNLS 28(10), 2017), and with a bound on the cell state:
//   i = sigmoid(a_i + p_i c)   f = sigmoid(a_f + p_f c)   g = tanh(a_g)
//   c' = clamp(f c + i g, -clip, clip)
//   o = sigmoid(a_o + p_o c')  h' = o tanh(c')
// Gates are i, f, g, o and peepholes p_i, p_f, p_o. Coupled: i = 1 - f, gates f, g, o, peepholes
// p_f, p_o. Cells without peepholes have none of the p.
#pragma once

#include <algorithm>
#include <cmath>

#include "reference/cell.h"

namespace ostinato::reference {

// One unit at one step, and where its numbers lie.
struct LstmVariantUnit {
  double i, f, g, o, unbounded, c;
};

template <bool kCoupled, bool kPeephole>
struct LstmVariant {
  static constexpr size_t kForget = kCoupled ? 0 : 1;
  static constexpr size_t kCandidate = kForget + 1, kOutput = kForget + 2;
  static constexpr size_t kForgetPeephole = kForget, kOutputPeephole = kForget + 1;

  static double peephole(const CellWeights& weights, size_t index, size_t unit) {
    return kPeephole ? weights.ch.at(index * weights.units() + unit) : 0.0;
  }

  static LstmVariantUnit unit(const CellWeights& weights, const Vector& a, double before,
                              size_t j) {
    const size_t units = weights.units();
    LstmVariantUnit u{};
    u.f = sigmoid(a[kForget * units + j] + peephole(weights, kForgetPeephole, j) * before);
    u.i = kCoupled ? 1.0 - u.f : sigmoid(a[j] + peephole(weights, 0, j) * before);
    u.g = std::tanh(a[kCandidate * units + j]);
    u.unbounded = u.f * before + u.i * weights.candidate(j) * u.g;
    u.c = std::clamp(u.unbounded, -weights.cell_clip, weights.cell_clip);
    u.o = sigmoid(a[kOutput * units + j] + peephole(weights, kOutputPeephole, j) * u.c);
    return u;
  }

  static States step(const CellWeights& weights, const Vector& x, const States& before) {
    const size_t units = weights.units();
    const Vector a = sum(input_product(weights, x), recurrent_product(weights, before[0]));
    Vector h(units), c(units);
    for (size_t j = 0; j < units; ++j) {
      const LstmVariantUnit u = unit(weights, a, before[1][j], j);
      c[j] = u.c;
      h[j] = u.o * std::tanh(u.c);
    }
    return {h, c};
  }

  static StepGradients step_backward(const CellWeights& weights, const Vector& x,
                                     const States& before, const States& d_after,
                                     CellWeights& gradients) {
    const size_t units = weights.units();
    const Vector a = sum(input_product(weights, x), recurrent_product(weights, before[0]));
    Vector da(a.size()), dc_before(units);
    for (size_t j = 0; j < units; ++j) {
      const LstmVariantUnit u = unit(weights, a, before[1][j], j);
      const double dh = d_after[0][j], tanh_c = std::tanh(u.c);
      const double da_o = dh * tanh_c * u.o * (1.0 - u.o);
      double dc = d_after[1][j] + dh * u.o * (1.0 - tanh_c * tanh_c) +
                  da_o * peephole(weights, kOutputPeephole, j);
      // Beyond the bound c' does not depend on anything.
      if (std::abs(u.unbounded) >= weights.cell_clip) dc = 0.0;
      const double mask = weights.candidate(j);
      const double df = dc * before[1][j], di = dc * mask * u.g;
      const double da_f = (kCoupled ? df - di : df) * u.f * (1.0 - u.f);
      const double da_i = kCoupled ? 0.0 : di * u.i * (1.0 - u.i);
      da[kForget * units + j] = da_f;
      if (!kCoupled) da[j] = da_i;
      da[kCandidate * units + j] = dc * u.i * mask * (1.0 - u.g * u.g);
      da[kOutput * units + j] = da_o;
      dc_before[j] =
          dc * u.f + da_f * peephole(weights, kForgetPeephole, j) + da_i * peephole(weights, 0, j);
      if (!kPeephole) continue;
      if (!kCoupled) gradients.ch.at(j) += da_i * before[1][j];
      gradients.ch.at(kForgetPeephole * units + j) += da_f * before[1][j];
      gradients.ch.at(kOutputPeephole * units + j) += da_o * u.c;
    }
    StepGradients result;
    const Vector dh_before = products_backward(weights, x, before[0], da, da, gradients, result.x);
    result.before = {dh_before, dc_before};
    return result;
  }

  static Cell cell(const char* name) {
    return {.name = name,
            .gates = kOutput + 1,
            .states = {"h", "c"},
            .step = step,
            .step_backward = step_backward,
            .peepholes = !kPeephole ? size_t{0} : kOutputPeephole + 1};
  }
};

inline const Cell kLstmClipped = LstmVariant<false, false>::cell("lstm_clipped");
inline const Cell kLstmPeephole = LstmVariant<false, true>::cell("lstm_peephole");
inline const Cell kLstmCoupled = LstmVariant<true, false>::cell("lstm_coupled");
inline const Cell kLstmCoupledPeephole = LstmVariant<true, true>::cell("lstm_coupled_peephole");

}  // namespace ostinato::reference
