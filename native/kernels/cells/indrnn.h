// Independently recurrent network (Li et al. 2018): each unit sees its own past alone,
//   h' = phi(W x + b_ih + u h + b_hh), phi = relu or tanh, u a vector.
#pragma once

#include "kernels/cells/cell.h"

namespace ostinato::OSTINATO_ISA {
namespace {

template <bool kRelu>
struct IndRnn {
  static constexpr CellInfo kInfo = {
      .name = kRelu ? "indrnn_relu" : "indrnn_tanh",
      .gates = 1,
      .states = 1,
      .state_names = {"h"},
      .phases = 1,
      .phase_gates = {0, 1},
      .split_gates = 0,
      .operand = 0,
      .vectors = 1,
      .vector = {{0, 0, false}},
      .elementwise = true,
  };

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    const Vf a = fma(load(x.vectors), load(x.previous[0]), sum[0]);
    // max(0, a) with a second lets a NaN through.
    put_state(x, 0, kRelu ? max(zero(), a) : tanh(a));
  }

  // The derivative follows from the output h, so nothing is saved.
  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf dh) {
    const Vf h = load(x.next[0]);
    const Vf da = kRelu ? select(gt(h, zero()), dh, zero()) : dh * tanh_slope(h);
    store(x.gates, da);
    store(x.dstate[0], da * load(x.vectors));
  }
};

using IndRnnTanh = IndRnn<false>;
using IndRnnRelu = IndRnn<true>;

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
