// What a cell's pointwise maths sees: one vector of V units of one batch row. Pointers are to V
// floats of that row and panel; a gate's slot g in a gate buffer lies at `gates + g * V`.
//
// A cell is a struct with
//   static constexpr CellInfo kInfo                    its constants, see kernels.h
//   template <int kPhase> forward(ForwardLanes, sum)   sum[i]: recurrent product of gate
//       phase_gates[kPhase] + i, plus, unless the gate is split, its input projection and biases
//   template <int kPhase> backward(BackwardLanes, d)   phase 0: d = dL/dh of the step;
//       phase 1: d = the gradient of the second product's operand
#pragma once

#include "kernels/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

struct ForwardLanes {
  bool training;
  float* gates;  // in: input projection with biases; out, when training: what backward needs
  float* recurrent_gates;  // split cells when training, else null
  float* operand;          // two-phase cells
  const float* candidate;  // factors of the candidate; only of cells with dropout of it
  const float* previous[kMaxStates];
  float* next[kMaxStates];
  float* sequence[kMaxStates];  // as in CellForwardArgs
  const float* vectors;         // vector v at `vectors + v * V`; set where the cell may have any
  float cell_clip;              // set where the cell clips
};

struct BackwardLanes {
  float* gates;            // in: what forward stored; out: gradients of the pre-activations
  float* recurrent_gates;  // split cells: out: gradients of the recurrent products
  const float* candidate;  // as in forward
  const float* previous[kMaxStates];
  const float* next[kMaxStates];
  float*
      dstate[kMaxStates];  // in: gradients of `next` past h; out: of `previous`, without products
  const float* vectors;    // as forward
  float cell_clip;
};

// Type: the cell with dropout of its candidate, what it adds to its memory at a step (Semeniuta,
// Severyn & Barth, COLING 2016), as a cell of its own. Cells that have a candidate specialise this;
// the other cell's `kDropsCandidate` is true, and its lanes have `candidate`.
template <class Cell>
struct WithCandidateDropout {
  using Type = void;
};

template <class Cell>
inline constexpr bool kDropsCandidate = requires {
  Cell::kDropsCandidate;
};

constexpr bool kStreamsSteps = Vf::kWidth * sizeof(float) == 64;

// Stores a state after the step.
OSTINATO_INLINE void put_state(const ForwardLanes& x, int state, Vf value) {
  store(x.next[state], value);
  if (kStreamsSteps && x.sequence[state] != nullptr) stream(x.sequence[state], value);
}
// Stores, in training, what the backward pass needs of a gate.
OSTINATO_INLINE void put_gate(const ForwardLanes& x, float* gate, Vf value) {
  if (kStreamsSteps && x.sequence[0] != nullptr) {
    stream(gate, value);
  } else {
    store(gate, value);
  }
}

// x (1 - x): the derivative of a sigmoid from its value.
OSTINATO_INLINE Vf sigmoid_slope(Vf y) { return fnma(y, y, y); }
// 1 - y^2: the derivative of tanh from its value.
OSTINATO_INLINE Vf tanh_slope(Vf y) { return fnma(y, y, set1(1.0f)); }

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
