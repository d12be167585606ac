// Long short-term memory with options:
//   peepholes (Gers & Schmidhuber 2000): i and f also see the cell state before the step, o the one
//     after it, each unit its own: a_i + p_i c, a_f + p_f c, a_o + p_o c'
//   coupled gates (CIFG; Greff et al. 2017): one gate decides on both, i = 1 - f
//   a bound on the cell state: c' = clamp(f c + i g, -cell_clip, cell_clip)
// All of these cells clip; an infinite bound changes nothing. The plain LSTM is a cell of its own.
#pragma once

#include "kernels/cells/lstm.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// kIfGiven: when `vectors` is not null.
enum class Peepholes { kNone, kAll, kIfGiven };

template <bool kCoupled, Peepholes kPeepholes, bool kDrops = false>
struct LstmMaths {
  // Gates i, f, g, o, or f, g, o when i follows from f; peepholes in the same order.
  static constexpr int kForget = kCoupled ? 0 : 1;
  static constexpr int kCandidate = kForget + 1;
  static constexpr int kOutput = kForget + 2;
  static constexpr int kOutputPeephole = kForget + 1;
  static constexpr bool kPeephole = kPeepholes == Peepholes::kAll;

  static constexpr CellInfo kInfo = {
      .name = kCoupled ? (kPeephole ? "lstm_coupled_peephole" : "lstm_coupled")
                       : (kPeephole ? "lstm_peephole" : "lstm_clipped"),
      .gates = kOutput + 1,
      .states = 2,
      .state_names = {"h", "c"},
      .phases = 1,
      .phase_gates = {0, kOutput + 1},
      .split_gates = 0,
      .operand = 0,
      .vectors = kPeepholes == Peepholes::kNone ? 0 : kOutputPeephole + 1,
      .vector = {{0, 1, false}, {kCoupled ? kOutput : kForget, 1, kCoupled}, {kOutput, 1, true}},
      .elementwise = false,
      .clips = true,
      .projects = true,
  };

  template <class Lanes>
  static OSTINATO_INLINE bool has_peepholes(const Lanes& x) {
    if constexpr (kPeepholes == Peepholes::kIfGiven) return x.vectors != nullptr;
    return kPeephole;
  }
  static OSTINATO_INLINE Vf peephole(const float* vectors, int index) {
    return load(vectors + index * Vf::kWidth);
  }
  template <class Lanes>
  static OSTINATO_INLINE Vf dropped(const Lanes& x, Vf value) {
    return kDrops ? load(x.candidate) * value : value;
  }

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    const bool peeps = has_peepholes(x);
    const Vf before = load(x.previous[1]);
    Vf a_f = sum[kForget];
    if (peeps) a_f = fma(peephole(x.vectors, kForget), before, a_f);
    const Vf f = sigmoid(a_f);
    const Vf g = tanh(sum[kCandidate]);
    const Vf added = dropped(x, g);
    Vf c;
    if constexpr (kCoupled) {
      c = fma(f, before - added, added);
    } else {
      Vf a_i = sum[0];
      if (peeps) a_i = fma(peephole(x.vectors, 0), before, a_i);
      const Vf i = sigmoid(a_i);
      c = fma(f, before, i * added);
      if (x.training) put_gate(x, x.gates, i);
    }
    c = min(set1(x.cell_clip), max(set1(-x.cell_clip), c));  // lets a NaN through
    Vf a_o = sum[kOutput];
    if (peeps) a_o = fma(peephole(x.vectors, kOutputPeephole), c, a_o);
    const Vf o = sigmoid(a_o);
    put_state(x, 1, c);
    put_state(x, 0, o * tanh(c));
    if (!x.training) return;
    put_gate(x, x.gates + kForget * Vf::kWidth, f);
    put_gate(x, x.gates + kCandidate * Vf::kWidth, g);
    put_gate(x, x.gates + kOutput * Vf::kWidth, o);
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf dh) {
    const bool peeps = has_peepholes(x);
    const Vf f = load(x.gates + kForget * Vf::kWidth);
    const Vf g = load(x.gates + kCandidate * Vf::kWidth);
    const Vf o = load(x.gates + kOutput * Vf::kWidth);
    const Vf added = dropped(x, g);
    const Vf before = load(x.previous[1]);
    const Vf c = load(x.next[1]);
    const Vf m = tanh(c);
    const Vf da_o = dh * m * sigmoid_slope(o);
    Vf dc = fma(dh * o, tanh_slope(m), load(x.dstate[1]));
    if (peeps) dc = fma(da_o, peephole(x.vectors, kOutputPeephole), dc);
    // What was clipped stands at the bound: nothing before it had a part in it.
    dc = select(ge(abs(c), set1(x.cell_clip)), zero(), dc);
    Vf before_gradient = dc * f;
    Vf da_f;
    if constexpr (kCoupled) {
      da_f = dc * (before - added) * sigmoid_slope(f);
      store(x.gates + kCandidate * Vf::kWidth, dropped(x, fnma(f, dc, dc)) * tanh_slope(g));
    } else {
      const Vf i = load(x.gates);
      const Vf da_i = dc * added * sigmoid_slope(i);
      if (peeps) before_gradient = fma(da_i, peephole(x.vectors, 0), before_gradient);
      da_f = dc * before * sigmoid_slope(f);
      store(x.gates, da_i);
      store(x.gates + kCandidate * Vf::kWidth, dropped(x, dc * i) * tanh_slope(g));
    }
    if (peeps) before_gradient = fma(da_f, peephole(x.vectors, kForget), before_gradient);
    store(x.gates + kForget * Vf::kWidth, da_f);
    store(x.gates + kOutput * Vf::kWidth, da_o);
    store(x.dstate[0], zero());
    store(x.dstate[1], before_gradient);
  }
};

using LstmClipped = LstmMaths<false, Peepholes::kNone>;
using LstmPeephole = LstmMaths<false, Peepholes::kAll>;
using LstmCoupled = LstmMaths<true, Peepholes::kNone>;
using LstmCoupledPeephole = LstmMaths<true, Peepholes::kAll>;

// With dropout of the candidate, c' = f c + i d g. One cell for each number of gates does for all,
// the plain LSTM among them: whether there are peepholes it finds out as it runs, and a bound may
// be infinite. So dropout adds two pairs of kernels, not five.
template <bool kCoupled>
struct LstmDropped : LstmMaths<kCoupled, Peepholes::kIfGiven, true> {
  static constexpr bool kDropsCandidate = true;
};

template <>
struct WithCandidateDropout<Lstm> {
  using Type = LstmDropped<false>;
};
template <bool kCoupled, Peepholes kPeepholes>
struct WithCandidateDropout<LstmMaths<kCoupled, kPeepholes>> {
  using Type = LstmDropped<kCoupled>;
};

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
