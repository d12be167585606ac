// Elman network (Elman 1990): h' = phi(W x + b_ih + R h + b_hh), phi = tanh or relu.
#pragma once

#include "kernels/cells/cell.h"

namespace ostinato::OSTINATO_ISA {
namespace {

template <bool kRelu>
struct Elman {
  static constexpr CellInfo kInfo = {
      .name = kRelu ? "elman_relu" : "elman_tanh",
      .gates = 1,
      .states = 1,
      .state_names = {"h"},
      .phases = 1,
      .phase_gates = {0, 1},
      .split_gates = 0,
      .operand = 0,
  };

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    // max(0, x) with x second lets a NaN through.
    put_state(x, 0, kRelu ? max(zero(), sum[0]) : tanh(sum[0]));
  }

  // The derivative follows from the output h, so nothing is saved.
  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf dh) {
    const Vf h = load(x.next[0]);
    store(x.gates, kRelu ? select(gt(h, zero()), dh, zero()) : dh * tanh_slope(h));
    store(x.dstate[0], zero());
  }
};

using ElmanTanh = Elman<false>;
using ElmanRelu = Elman<true>;

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
