// Gated recurrent unit with the reset gate applied before the product (Cho 2014, third version;
// Keras' resetAfter: false):
//   r, z = sigmoid(.), s = r h, n = tanh(W_n x + b_in + R_n s + b_hn), h' = (1 - z) n + z h
// The second product waits for the first, hence two phases in each direction.
#pragma once

#include "kernels/cells/cell.h"

namespace ostinato::OSTINATO_ISA {
namespace {

struct GruResetBefore {
  static constexpr CellInfo kInfo = {
      .name = "gru_reset_before",
      .gates = 3,  // r, z, n
      .states = 1,
      .state_names = {"h"},
      .phases = 2,
      .phase_gates = {0, 2, 3},
      .split_gates = 0,
      .operand = 1,
  };

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    if constexpr (kPhase == 0) {
      const Vf r = sigmoid(sum[0]);
      store(x.gates, r);
      store(x.gates + Vf::kWidth, sigmoid(sum[1]));
      store(x.operand, r * load(x.previous[0]));
    } else {
      const Vf z = load(x.gates + Vf::kWidth);
      const Vf n = tanh(sum[0]);
      store(x.next[0], fma(z, load(x.previous[0]) - n, n));
      if (x.training) store(x.gates + 2 * Vf::kWidth, n);
    }
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf d) {
    if constexpr (kPhase == 0) {
      const Vf dh = d;
      const Vf z = load(x.gates + Vf::kWidth);
      const Vf n = load(x.gates + 2 * Vf::kWidth);
      store(x.gates + Vf::kWidth, dh * (load(x.previous[0]) - n) * sigmoid_slope(z));
      store(x.gates + 2 * Vf::kWidth, fnma(z, dh, dh) * tanh_slope(n));
      store(x.dstate[0], dh * z);
    } else {
      const Vf ds = d;
      const Vf r = load(x.gates);
      store(x.gates, ds * load(x.previous[0]) * sigmoid_slope(r));
      store(x.dstate[0], fma(ds, r, load(x.dstate[0])));
    }
  }
};

// h' = (1 - z) d n + z h; what belongs to r and its operand is as it was.
struct GruResetBeforeDropped {
  static constexpr bool kDropsCandidate = true;
  static constexpr CellInfo kInfo = GruResetBefore::kInfo;

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    if constexpr (kPhase == 0) {
      GruResetBefore::forward<0>(x, sum);
    } else {
      const Vf z = load(x.gates + Vf::kWidth);
      const Vf n = tanh(sum[0]);
      const Vf kept = load(x.candidate) * n;
      store(x.next[0], fma(z, load(x.previous[0]) - kept, kept));
      if (x.training) store(x.gates + 2 * Vf::kWidth, n);
    }
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf d) {
    if constexpr (kPhase == 0) {
      const Vf dh = d;
      const Vf z = load(x.gates + Vf::kWidth);
      const Vf n = load(x.gates + 2 * Vf::kWidth);
      const Vf mask = load(x.candidate);
      store(x.gates + Vf::kWidth, dh * fnma(mask, n, load(x.previous[0])) * sigmoid_slope(z));
      store(x.gates + 2 * Vf::kWidth, fnma(z, dh, dh) * mask * tanh_slope(n));
      store(x.dstate[0], dh * z);
    } else {
      GruResetBefore::backward<1>(x, d);
    }
  }
};

template <>
struct WithCandidateDropout<GruResetBefore> {
  using Type = GruResetBeforeDropped;
};

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
