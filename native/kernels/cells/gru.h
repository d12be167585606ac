// Gated recurrent unit (Cho 2014, first version; cuDNN, PyTorch and Keras' default), the reset gate
// applied after the product:
//   r, z = sigmoid(.), q = R_n h + b_hn, n = tanh(W_n x + b_in + r q), h' = (1 - z) n + z h
#pragma once

#include "kernels/cells/cell.h"

namespace ostinato::OSTINATO_ISA {
namespace {

struct Gru {
  static constexpr CellInfo kInfo = {
      .name = "gru",
      .gates = 3,  // r, z, n
      .states = 1,
      .state_names = {"h"},
      .phases = 1,
      .phase_gates = {0, 3},
      .split_gates = 1u << 2,
      .operand = 0,
  };

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    const Vf r = sigmoid(sum[0]);
    const Vf z = sigmoid(sum[1]);
    const Vf q = sum[2];
    const Vf n = tanh(fma(r, q, load(x.gates + 2 * Vf::kWidth)));
    put_state(x, 0, fma(z, load(x.previous[0]) - n, n));
    if (!x.training) return;
    put_gate(x, x.gates, r);
    put_gate(x, x.gates + Vf::kWidth, z);
    put_gate(x, x.gates + 2 * Vf::kWidth, n);
    put_gate(x, x.recurrent_gates + 2 * Vf::kWidth, q);
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf dh) {
    const Vf r = load(x.gates);
    const Vf z = load(x.gates + Vf::kWidth);
    const Vf n = load(x.gates + 2 * Vf::kWidth);
    const Vf q = load(x.recurrent_gates + 2 * Vf::kWidth);
    const Vf dn = fnma(z, dh, dh) * tanh_slope(n);
    const Vf da_r = dn * q * sigmoid_slope(r);
    const Vf da_z = dh * (load(x.previous[0]) - n) * sigmoid_slope(z);
    store(x.gates, da_r);
    store(x.gates + Vf::kWidth, da_z);
    store(x.gates + 2 * Vf::kWidth, dn);
    store(x.recurrent_gates, da_r);
    store(x.recurrent_gates + Vf::kWidth, da_z);
    store(x.recurrent_gates + 2 * Vf::kWidth, dn * r);
    store(x.dstate[0], dh * z);
  }
};

// h' = (1 - z) d n + z h
struct GruDropped {
  static constexpr bool kDropsCandidate = true;
  static constexpr CellInfo kInfo = Gru::kInfo;

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    const Vf r = sigmoid(sum[0]);
    const Vf z = sigmoid(sum[1]);
    const Vf q = sum[2];
    const Vf n = tanh(fma(r, q, load(x.gates + 2 * Vf::kWidth)));
    const Vf kept = load(x.candidate) * n;
    store(x.next[0], fma(z, load(x.previous[0]) - kept, kept));
    if (!x.training) return;
    store(x.gates, r);
    store(x.gates + Vf::kWidth, z);
    store(x.gates + 2 * Vf::kWidth, n);
    store(x.recurrent_gates + 2 * Vf::kWidth, q);
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf dh) {
    const Vf r = load(x.gates);
    const Vf z = load(x.gates + Vf::kWidth);
    const Vf n = load(x.gates + 2 * Vf::kWidth);
    const Vf q = load(x.recurrent_gates + 2 * Vf::kWidth);
    const Vf d = load(x.candidate);
    const Vf dn = fnma(z, dh, dh) * d * tanh_slope(n);
    const Vf da_r = dn * q * sigmoid_slope(r);
    const Vf da_z = dh * fnma(d, n, load(x.previous[0])) * sigmoid_slope(z);
    store(x.gates, da_r);
    store(x.gates + Vf::kWidth, da_z);
    store(x.gates + 2 * Vf::kWidth, dn);
    store(x.recurrent_gates, da_r);
    store(x.recurrent_gates + Vf::kWidth, da_z);
    store(x.recurrent_gates + 2 * Vf::kWidth, dn * r);
    store(x.dstate[0], dh * z);
  }
};

template <>
struct WithCandidateDropout<Gru> {
  using Type = GruDropped;
};

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
