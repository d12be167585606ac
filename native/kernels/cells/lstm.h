// Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers 2000):
//   i, f, o = sigmoid(.), g = tanh(.), c' = f c + i g, h' = o tanh(c')
#pragma once

#include "kernels/cells/cell.h"

namespace ostinato::OSTINATO_ISA {
namespace {

struct Lstm {
  static constexpr CellInfo kInfo = {
      .name = "lstm",
      .gates = 4,  // i, f, g, o
      .states = 2,
      .state_names = {"h", "c"},
      .phases = 1,
      .phase_gates = {0, 4},
      .split_gates = 0,
      .operand = 0,
      .projects = true,
  };

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    const Vf i = sigmoid(sum[0]);
    const Vf f = sigmoid(sum[1]);
    const Vf g = tanh(sum[2]);
    const Vf o = sigmoid(sum[3]);
    const Vf c = fma(f, load(x.previous[1]), i * g);
    put_state(x, 1, c);
    put_state(x, 0, o * tanh(c));
    if (!x.training) return;
    put_gate(x, x.gates, i);
    put_gate(x, x.gates + Vf::kWidth, f);
    put_gate(x, x.gates + 2 * Vf::kWidth, g);
    put_gate(x, x.gates + 3 * Vf::kWidth, o);
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf dh) {
    const Vf i = load(x.gates);
    const Vf f = load(x.gates + Vf::kWidth);
    const Vf g = load(x.gates + 2 * Vf::kWidth);
    const Vf o = load(x.gates + 3 * Vf::kWidth);
    const Vf m = tanh(load(x.next[1]));  // cheaper again than stored and fetched
    const Vf dc = fma(dh * o, tanh_slope(m), load(x.dstate[1]));
    store(x.gates, dc * g * sigmoid_slope(i));
    store(x.gates + Vf::kWidth, dc * load(x.previous[1]) * sigmoid_slope(f));
    store(x.gates + 2 * Vf::kWidth, dc * i * tanh_slope(g));
    store(x.gates + 3 * Vf::kWidth, dh * m * sigmoid_slope(o));
    store(x.dstate[0], zero());
    store(x.dstate[1], dc * f);
  }
};

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
