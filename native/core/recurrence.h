// One direction of one recurrent layer in execution: the one time loop of the library. It knows no
// cell; a cell is its constants (CellInfo) and two kernels.
#pragma once

#include <cstdint>

#include "core/arena.h"
#include "core/layer.h"
#include "core/parallel.h"
#include "core/recurrent_weights.h"

namespace ostinato {

class Recurrence {
 public:
  Recurrence(const RecurrentWeights& weights, bool reverse)
      : weights_(weights), reverse_(reverse) {}

  void plan(Workspace& workspace, const Pass& pass);

  // Projects the inputs [N, I] of all steps in one product, then walks the steps. The output
  // [N, H] is valid until the next forward.
  Matrix forward(const Pass& pass, const Matrix& x);

  // dy: gradient of the output [N, H], or empty; set_final_gradient adds to it. Adds to the
  // gradients of the parameters; writes dx [N, I] (adds to it when accumulate_dx) unless empty.
  void backward(const Pass& pass, const ParamTable& params, const Matrix& x, const Matrix& dy,
                const Matrix& dx, bool accumulate_dx);

  // States in batch order, rows of H floats without padding. A null source means zeros; without a
  // call since the last forward (backward) they are zeros too.
  void set_initial(const Geometry& geometry, size_t state, const float* source);
  void get_final(const Geometry& geometry, size_t state, float* destination) const;
  void set_final_gradient(const Geometry& geometry, size_t state, const float* source);
  void get_initial_gradient(const Geometry& geometry, size_t state, float* destination);

  // Adds dy [B, H] in sorted order to the gradient of the final h of the rows that have steps: the
  // upstream gradient of a layer that returns its last step. After set_final_gradient.
  void add_final_gradient(const Geometry& geometry, const Matrix& dy);
  // The final h of sorted row b, or null for a row without steps.
  const float* last_output(const Geometry& geometry, int64_t b) const;

 private:
  // Who computes what: whole rows through all steps without a barrier, or panels of units with a
  // barrier a step.
  struct Split {
    int threads = 1;
    bool by_rows = true;
  };
  // A part of one step's rows and panels.
  struct Part {
    int64_t row_begin, row_end, panel_begin, panel_end;
  };

  const CellInfo& info(const Pass& pass) const { return pass.kernels->cells[weights_.cell()]; }
  Split choose_split(const Pass& pass) const;
  Split split_for(const Pass& pass) const;  // the choice, or what the pass's trial asks for
  Part part_of(const Pass& pass, const Split& split, const Member& member) const;
  // Rows of step t whose state comes from the step before (after) it in processing order; the
  // others begin (end) there.
  int64_t continuing(const Geometry& geometry, int64_t t) const;
  int64_t continued(const Geometry& geometry, int64_t t) const;
  int64_t step_before(int64_t t) const { return reverse_ ? t + 1 : t - 1; }
  int64_t step_after(int64_t t) const { return reverse_ ? t - 1 : t + 1; }

  const float* state_before(const Geometry& geometry, size_t state, int64_t t, int64_t row) const;
  float* state_after(const Geometry& geometry, size_t state, int64_t t, int64_t row) const;

  template <class Body>
  void run_loop(const Pass& pass, bool backwards, const Body& body) const;
  void forward_step(const Pass& pass, int64_t t, int phase, const Part& part) const;
  void backward_step(const Pass& pass, int64_t t, int phase, const Part& part) const;
  void finish_initial_gradient();

  void prepare_initial(const Geometry& geometry);
  void recurrent_weight_gradient(const Pass& pass, const ParamTable& params);
  void gather_previous(const Pass& pass);
  void bias_gradient(const Pass& pass, const ParamTable& params);

  const RecurrentWeights& weights_;
  const bool reverse_;

  Matrix gates_, recurrent_gates_;    // [N, G Hp]
  Matrix operand_;                    // [N, H], or [B, H] without gradients
  Matrix sequence_[kMaxStates];       // [N, H]; states but the first are [B, H] without gradients
  bool sequence_is_running_ = false;  // … and are overwritten from step to step
  Matrix gathered_;                   // [N, H]: states before each step, of a ragged batch
  float* tn_scratch_ = nullptr;
  float* bias_sums_ = nullptr;
  Matrix dy_;  // of the running backward

  AlignedBuffer initial_[kMaxStates];  // [B, Hp], sorted rows
  bool initial_set_[kMaxStates] = {};  // since the last forward
  bool initial_zero_ = true;           // all initial states of the last forward
  AlignedBuffer dstate_[kMaxStates];   // [B, Hp]
  bool dstate_set_[kMaxStates] = {};   // since the last backward
  bool initial_gradient_pending_ = false;
  Pass pass_;  // of the last backward
};

}  // namespace ostinato
