// What the core knows of a recurrent cell, and the arguments of the kernels that run one. The
// legend of shapes is in kernels.h.
#pragma once

#include <cstdint>

#include "kernels/cell_tape.h"

namespace ostinato {

inline constexpr int kMaxStates = 4;
inline constexpr int kMaxGates = 8;
inline constexpr int kMaxPhases = 2;
inline constexpr int kMaxVectors = 3;

// A recurrent weight that is a vector [H]: the cell's maths adds its product, unit by unit, with a
// state from before or after the step to the pre-activation of a gate.
struct CellVector {
  int gate;
  int state;
  bool after;
};

// What the core must know of a cell; the cell's header states it (kernels/cells/<cell>.h).
struct CellInfo {
  const char* name;
  int gates;   // G
  int states;  // how many state vectors, the first being the output h
  const char* state_names[kMaxStates];
  // Dependent products per step: 1, or 2 when a gate needs another gate's result first
  // (GRU reset-before). Phase p owns gates [phase_gates[p], phase_gates[p + 1]).
  int phases;
  int phase_gates[kMaxPhases + 1];
  // Bit g: the recurrent product of gate g must stay apart from its input product (GRU
  // reset-after's n). Its recurrent bias is then not merged into the input bias, and the gradients
  // of the recurrent products are stored in a buffer of their own (`recurrent_gates`).
  uint32_t split_gates;
  // Width, in units, of the saved operand of the second phase (r * h for GRU reset-before), or 0.
  int operand;
  // Recurrent weights that are vectors (an LSTM's peepholes): one parameter, [vectors * H].
  int vectors = 0;
  CellVector vector[kMaxVectors] = {};
  // The vectors are all recurrent weights that there are (IndRNN): the time loop makes no product.
  bool elementwise = false;
  bool clips = false;  // reads `cell_clip`
  // h is nothing but what the step puts out: the cell reads it in its product alone. Then it may be
  // projected (native/core/recurrence_projection.cc).
  bool projects = false;
};

// One time step, forward, of `rows` batch rows and the unit panels [panel_begin, panel_end).
// Panels hold V units. Gate buffers are panel-interleaved: [panel][gate][V] in a row.
struct CellForwardArgs {
  int64_t rows;
  int64_t units;   // H
  int64_t hidden;  // floats of h: H, or where it is projected P
  int64_t panel_begin, panel_end;
  bool descending;  // from the last panel to the first
  int phase;
  bool training;                // store the activated gates for the backward pass
  const float* weights;         // this phase's recurrent weights: [panel][H or P][its gates][V]
  const float* recurrent_bias;  // [panel][gate][V]; read for split gates only; may be null
  // In: input projection + bias, unless it is made here; out, when training: activated gates.
  // Without training a projection that is made here may leave anything in it.
  float* gates;
  int64_t gates_ld;
  // With `inputs` not null the call makes the projection of the inputs itself, in the same order of
  // sums: [rows, input_size] times this phase's [panel][I][gates of the phase][V], + the bias.
  const float* inputs;
  int64_t inputs_ld, input_size;
  const float* input_weights;
  const float* input_bias;  // [panel][gate][V], or null
  float* recurrent_gates;   // split cells, training: saved recurrent products
  float* operand;           // phase 0 writes it, phase 1 multiplies it: [rows, Hp]
  int64_t operand_ld;
  // What the product of phase 0 multiplies, [rows, hidden]: the h before the step, or what a mask
  // leaves of it. Where a cell makes an operand of h, or multiplies it itself, previous[0] is the
  // same.
  const float* multiplied;
  int64_t multiplied_ld;
  // Factors of the candidate, [rows, Hp] with previous_ld: of cell_forward_dropped only.
  const float* candidate;
  const float* previous[kMaxStates];  // states before the step, [rows, Hp]
  float* next[kMaxStates];            // states after the step; of h, what is to be projected
  int64_t previous_ld, next_ld;
  const float* vectors;  // [panel][vector][V], of cells that have them
  float cell_clip;       // of cells that clip; infinity: not at all
  const CellTape* tape;  // of a cell that is not compiled in, else null
  const float* params;   // its learned vectors: [param][Hp]
  // Not null: the states after the step go here, too, rows of next_ld floats, past the caches; so
  // do the activated gates. `next` are rows that no other thread comes near. Of states that only
  // the next step reads it is null. Where Kernels::streams_steps.
  float* sequence[kMaxStates];
};

// The maths of one time step alone, of cells of one phase: `step` without a product. The complete
// pre-activations lie in its `gates`, those of a split gate without its recurrent product, which
// lies in the same place of `product`.
struct CellApplyArgs {
  CellForwardArgs step;
  const float* product;
  int64_t product_ld;
};

// One time step, backward. With dG the gradients of the recurrent products of the step that
// follows in processing order (none: `following` is null), for units of the panels:
//   dh = dG . R + dstate[h] + dy
// then the cell's derivatives overwrite `gates` by the gradients of its pre-activations and
// `dstate` by the gradients that flow to the previous states past the recurrent product.
// With `gates` null the call only finishes: dstate[h] += dG . R + dy (the initial state's
// gradient). The panels are then those of h, and where it is projected no other call has
// `following` or `dy`.
struct CellBackwardArgs {
  int64_t rows;
  int64_t units, hidden;  // as in CellForwardArgs
  int64_t panel_begin, panel_end;
  bool descending;       // from the last panel to the first
  int phase;             // 0, then 1 for two-phase cells
  const float* weights;  // this phase's: [panel][G' * Hp][V], see recurrent_weights.h in the core
  // Or null, and the weights in place: all gates, [G * H, hidden], H and `hidden` multiples of
  // kPad. The same bits.
  const float* weight_rows;
  const float* following;  // dG of the following step, rows of following_ld floats
  int64_t following_ld;
  float* gates;  // in: activated gates; out: gradients of the pre-activations
  int64_t gates_ld;
  float* recurrent_gates;  // split cells: in: saved recurrent products; out: their gradients
  const float* dy;         // upstream gradient of the output h, or null
  int64_t dy_ld;
  const float* candidate;  // as in CellForwardArgs; of cell_backward_dropped only
  const float* previous[kMaxStates];
  const float* next[kMaxStates];
  int64_t previous_ld, next_ld;
  float* dstate[kMaxStates];
  int64_t dstate_ld;
  const float* vectors;  // as in CellForwardArgs
  float cell_clip;
  const CellTape* tape;    // as in CellForwardArgs
  const float* params;     // [param][Hp]
  float* param_gradients;  // out: their gradients of each row, [rows, param][Hp]
  int64_t param_gradients_ld;
};

// The output h of a cell whose memory (its second state) is normalised first, and the way back:
// from dh the gradients of the normalised memory and of the pre-activation of the gate that lets it
// out.
struct CellOutputArgs {
  int64_t rows, panels;
  float* gates;  // activated; backward: in the output's gate, out: its gradient
  int64_t gates_ld;
  const float* memory;  // normalised
  float* h;             // forward
  const float* dh;      // backward
  float* dmemory;
  int64_t ld;  // of memory, h and their gradients
};

// A cell in two halves: `apply` writes the memory and not the output, and keeps the activated gates
// whether it trains or not; `backward` takes a complete gradient of the memory in dstate[1] and
// leaves the output's gate alone.
struct CellHalves {
  void (*apply)(const CellApplyArgs&) noexcept;
  void (*backward)(const CellBackwardArgs&) noexcept;
  void (*output)(const CellOutputArgs&) noexcept;
  void (*output_grad)(const CellOutputArgs&) noexcept;
};

// The share of some rows in the gradient of one vector of a cell: sums[j] += gate[row, j] *
// state[row, j], summed row by row, for the units j of the panels.
struct CellVectorGradArgs {
  int64_t rows;
  int64_t panel_begin, panel_end;
  const float* gate;  // the vector's gate in panel 0 of the gradients of the pre-activations
  int64_t gate_ld;
  int64_t gate_panel;  // floats from panel to panel: G * V
  const float* state;
  int64_t state_ld;
  float* sums;  // [Hp]
};

}  // namespace ostinato
