// One direction of one recurrent layer in execution: the one time loop of the library. It knows no
// cell; a cell is its constants (CellInfo) and two kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/layer.h"
#include "core/loop_dropout.h"
#include "core/norm_buffers.h"
#include "core/parallel.h"
#include "core/recurrence_segments.h"
#include "core/recurrent_weights.h"

namespace ostinato {

class Recurrence {
 public:
  // checkpoint_every: steps, kCheckpointNever or kCheckpointAuto.
  Recurrence(const RecurrentWeights& weights, bool reverse, int64_t checkpoint_every,
             const LoopDropout& dropout)
      : weights_(weights),
        reverse_(reverse),
        checkpoint_every_(checkpoint_every),
        dropout_(dropout) {}

  // keep_outputs: whether somebody reads the outputs of all steps, not of the last ones only.
  void plan(Workspace& workspace, const Pass& pass, bool keep_outputs);

  // Segment by segment: projects the inputs [N, I] of its steps in one product, then walks the
  // steps. The output [N, H] is valid until the next forward; without `keep_outputs` nobody may
  // read it.
  Matrix forward(const Pass& pass, const Matrix& x);

  // Segments from the last to the first, each but the last after its forward steps were run again.
  // dy: gradient of the output [N, H], or empty; set_final_gradient adds to it. Adds to the
  // gradients of the parameters; writes dx [N, I] (adds to it when accumulate_dx) unless empty.
  void backward(const Pass& pass, const ParamTable& params, const Matrix& x, const Matrix& dy,
                const Matrix& dx, bool accumulate_dx);

  // States in batch order, rows of H floats (a projected h: P) without padding. A null source means
  // zeros; without a call since the last forward (backward) they are zeros too.
  void set_initial(const Geometry& geometry, size_t state, const float* source);
  void get_final(const Geometry& geometry, size_t state, float* destination) const;
  void set_final_gradient(const Geometry& geometry, size_t state, const float* source);
  void add_final_gradient(const Geometry& geometry, size_t state, const float* source);
  void get_initial_gradient(const Geometry& geometry, size_t state, float* destination);

  // Adds dy [B, H] in sorted order to the gradient of the final h of the rows that have steps: the
  // upstream gradient of a layer that returns its last step. After set_final_gradient.
  void add_final_gradient(const Geometry& geometry, const Matrix& dy);
  // The final h of sorted row b, or null for a row without steps.
  const float* last_output(const Geometry& geometry, int64_t b) const;

 private:
  // Who computes what: whole rows through all steps without a barrier, or panels of units with a
  // barrier a step and phase; or one thread walks the steps while the others project the inputs of
  // coming ones.
  struct Split {
    int threads = 1;
    bool by_rows = true;
    bool ahead = false;
  };
  // A part of one step's rows and panels.
  struct Part {
    int64_t row_begin, row_end, panel_begin, panel_end;
    Member member{};  // among those that have panels of the same rows
    int owner = -1;   // the member of whose own rows it makes use, or none
  };
  // A thread's part of what has H columns and of what has those of h; the same, unless h is
  // projected.
  struct Parts {
    Part units, hidden;
  };

  const CellInfo& info(const Pass& pass) const { return weights_.info(*pass.kernels); }
  // Recurrent multiply-adds of a row and step.
  int64_t row_work(const Pass& pass) const {
    const int64_t units = weights_.units(), hidden = weights_.hidden();
    return info(pass).gates * units * (info(pass).elementwise ? 1 : hidden) +
           (weights_.projects() ? units * hidden : 0);
  }
  // `projects`: inputs are still to be projected, which may go on beside the steps.
  Split choose_split(const Pass& pass, bool projects) const;
  // The choice, or what the pass's trial asks for.
  Split split_for(const Pass& pass, bool projects) const;
  // Panels of a row that one thread takes together: those of a panel of the projection's products.
  int64_t panels_together(const Pass& pass) const {
    return weights_.projects() ? pass.kernels->gemm_width / pass.kernels->width : 1;
  }
  Parts parts_of(const Pass& pass, const Split& split, const Member& member) const;
  // Rows of step t whose state comes from the step before (after) it in processing order; the
  // others begin (end) there.
  int64_t continuing(const Geometry& geometry, int64_t t) const;
  int64_t continued(const Geometry& geometry, int64_t t) const;
  // Every other step takes the panels of weights from the last to the first, so that it begins with
  // those that the step before it has left in the cache.
  static bool descends(int64_t t) { return (t & 1) != 0; }
  int64_t step_before(int64_t t) const { return reverse_ ? t + 1 : t - 1; }
  int64_t step_after(int64_t t) const { return reverse_ ? t - 1 : t + 1; }

  const float* state_before(const Geometry& geometry, size_t state, int64_t t, int64_t row) const;
  float* state_after(const Geometry& geometry, size_t state, int64_t t, int64_t row) const;
  // Rows of step t in buffers that may hold the current segment only.
  float* sequence_row(const Geometry& geometry, size_t state, int64_t t, int64_t row) const {
    return sequence_[state].row(geometry.row(row, t) -
                                (windowed_[state] ? segment_.state_base : 0));
  }
  float* gates_row(const Matrix& gates, const Geometry& geometry, int64_t t, int64_t row) const {
    return gates.row(geometry.row(row, t) - segment_.gate_base);
  }
  // The rows of the current segment, or of steps of it.
  Matrix gates_of(const Matrix& gates, const Segment& steps) const {
    return rows_of(gates, steps.first_row - steps.gate_base, steps.rows);
  }
  const Matrix& product_gates() const { return recurrent_gates_ ? recurrent_gates_ : gates_; }
  // Whether the gradients of the recurrent products are others than those of the inputs' products.
  bool splits(const Pass& pass) const {
    return info(pass).split_gates != 0 || weights_.norm().apart();
  }
  static Matrix rows_of(const Matrix& matrix, int64_t first, int64_t count) {
    return {matrix.row(first), count, matrix.cols, matrix.ld};
  }

  // What the cell computes of a state at step t: the state itself, unless zoneout comes after.
  float* computed_row(const Pass& pass, int state, int64_t t, int64_t row) const {
    const Geometry& geometry = *pass.geometry;
    if (!computed_[state]) return state_after(geometry, state, t, row);
    return computed_[state].row(pass.gradients ? geometry.row(row, t) - segment_.first_row : row);
  }
  // What the product of step t multiplies, where h is masked.
  float* masked_row(const Geometry& geometry, int64_t t, int64_t row) const {
    return masked_.row(geometry.row(row, t) - segment_.first_row);
  }
  // fn(first, rows) for the part's rows that are alive at step t: those that go on, and those whose
  // sequences begin there.
  template <class Fn>
  void for_pieces(const Geometry& geometry, int64_t t, const Part& part, const Fn& fn) const {
    const int64_t end = std::min(part.row_end, geometry.active(t));
    const int64_t cut =
        std::clamp(continuing(geometry, t), part.row_begin, std::max(part.row_begin, end));
    if (part.row_begin < cut) fn(part.row_begin, cut - part.row_begin);
    if (cut < end) fn(cut, end - cut);
  }

  // The same in the backward pass: fn(first, rows, followed), where pieces also differ in whether a
  // later step sends them gradients.
  template <class Fn>
  void for_backward_pieces(const Geometry& geometry, int64_t t, const Part& part,
                           const Fn& fn) const {
    const int64_t end = std::min(part.row_end, geometry.active(t));
    const int64_t from = continuing(geometry, t), to = continued(geometry, t);
    const int64_t cuts[] = {part.row_begin, std::min(from, to), std::max(from, to), end};
    for (int i = 0; i < 3; ++i) {
      const int64_t first = std::max(cuts[i], part.row_begin);
      const int64_t last = std::min(cuts[i + 1], end);
      if (first < last) fn(first, last - first, first < to);
    }
  }

  int64_t most_block_rows() const;  // of several steps; one step may have more
  template <class Body>
  void for_blocks(const Pass& pass, bool backwards, const Body& body);
  template <class Body>
  void run_loop(const Pass& pass, const Split& split, bool backwards, int first_phase,
                const Body& body);
  template <class Body>
  void run_ahead(const Pass& pass, const Split& split, const Matrix& x, int first_phase,
                 const Body& body);
  // Phases of a step, from 0 on: those of the cell, then forward that of a projection; or the two
  // of a normalised cell.
  int loop_phases(const Pass& pass, bool backwards) const {
    if (normalizes()) return 2;
    return info(pass).phases + (weights_.projects() && !backwards ? 1 : 0);
  }
  void project_inputs(const Pass& pass, int threads, const Matrix& x, const Segment& steps) const;
  void forward_segment(const Pass& pass, const Matrix& x, bool keep_gates);
  // Whether each step projects its own inputs.
  bool projects_stepwise(const Pass& pass) const;
  // x: the inputs, or null when their projection lies in the gates.
  void forward_step(const Pass& pass, int64_t t, int phase, const Part& part, bool keep_gates,
                    const Matrix* x) const;
  // The arguments for `rows` rows from row `first` of step t on, but for panels and `training`.
  CellForwardArgs forward_args(const Pass& pass, int64_t t, int64_t first, int64_t rows,
                               int phase) const;
  void backward_step(const Pass& pass, int64_t t, int phase, const Part& part) const;
  // The arguments for `rows` rows from row `first` of step t on, but for panels; `followed`: a
  // later step sends them gradients.
  CellBackwardArgs backward_args(const Pass& pass, int64_t t, int64_t first, int64_t rows,
                                 bool followed) const;
  void input_gradient(const Pass& pass, const ParamTable& params, const Matrix& dx,
                      bool accumulate) const;
  void finish_initial_gradient();
  void finish_initial_gradient_of_segment();

  void prepare_initial(const Geometry& geometry);
  const float* const* previous_rows(const Geometry& geometry);
  TnProduct recurrent_product(const Pass& pass, const ParamTable& params);
  void vector_gradients(const Pass& pass, const ParamTable& params);
  void weight_gradients(const Pass& pass, const ParamTable& params, const Matrix& x);
  // Of recurrent weights that are vectors: the block's share (recurrence_vectors.cc).
  void cell_vector_gradients(const Pass& pass, const ParamTable& params);

  // ---- rows of a thread's own (recurrence_own_rows.cc) ----
  // A row for each of the batch, those of a member of a team at a distance from all others'.
  struct SpacedRows {
    Matrix rows;
    int64_t gap = 0;
    float* row(int64_t row, int owner) const { return rows.row(row + owner * gap); }
  };
  void plan_own_rows(Workspace& workspace, const Pass& pass);
  bool takes_own_rows(const Split& split, const Member& member) const;
  template <class Copy>
  void for_running_rows(const Pass& pass, bool backwards, const Part& part, const Copy& copy);
  void enter_own_rows(const Pass& pass, bool backwards, const Part& part);
  void leave_own_rows(const Pass& pass, bool backwards, const Part& part);
  // Whether t is the first step of the block in processing order.
  bool begins_block(int64_t t) const { return t == (reverse_ ? block_.end - 1 : block_.begin); }
  // Puts them in place of what step t has in common with other threads' steps.
  void use_own_rows(const Pass& pass, int64_t t, int64_t first, const Part& part,
                    CellForwardArgs& args) const;
  void use_own_rows(const Pass& pass, int64_t first, const Part& part,
                    CellBackwardArgs& args) const;

  // ---- dropout in the loop (recurrence_dropout.cc) ----
  bool zones(const Pass& pass, int state) const {
    return state < info(pass).states && dropout_.zoneout[state] > 0;
  }
  // Whether a step has more to it than its kernels.
  bool drops(const Pass& pass) const { return dropout_.zones() || dropout_.masks(pass); }
  void plan_dropout(Workspace& workspace, const Pass& pass, Lifetime lifetime);
  // Floats that it keeps of a packed row.
  int64_t dropout_floats(const Pass& pass) const;
  // Draws the factors of row `number` of the recurrence's masks.
  void draw_factors(const Pass& pass, float rate, int64_t number, float* row) const;
  // Draws the mask on h for all rows of the batch.
  void draw_mask(const Pass& pass) const;
  // Draws the factors of the candidates of all steps of a block.
  void draw_candidate_masks(const Pass& pass, const Segment& steps) const;
  // The cell's kernels, with or without dropout of the candidate.
  auto forward_kernel(const Pass& pass) const {
    return (candidate_mask_ ? pass.kernels->cell_forward_dropped
                            : pass.kernels->cell_forward)[weights_.cell()];
  }
  auto backward_kernel(const Pass& pass) const {
    return (candidate_mask_ ? pass.kernels->cell_backward_dropped
                            : pass.kernels->cell_backward)[weights_.cell()];
  }
  float* candidate_row(const Geometry& geometry, int64_t t, int64_t row) const {
    return candidate_mask_ ? candidate_mask_.row(geometry.row(row, t) - segment_.first_row)
                           : nullptr;
  }
  // What the product of step t multiplies; all of the part's rows must be there before it.
  void mask_step(const Pass& pass, int64_t t, const Part& part) const;
  // A state after step t, from what the cell has computed, if there is zoneout of it.
  void zone_out(const Pass& pass, int state, int64_t t, int64_t first, int64_t rows,
                const Part& part) const;
  template <class Call>
  void for_zoneout(const Pass& pass, int state, int64_t t, int64_t first, int64_t rows,
                   const Part& part, const Call& call) const;
  // The way back: leaves in `gradient`, of rows of the state, what goes into the cell, and gives
  // what goes past it.
  void zone_gradient(const Pass& pass, int state, int64_t t, int64_t first, int64_t rows,
                     const Part& part, float* gradient, float* kept) const;
  // Adds the product of the following gates to the gradient of h through the mask: nothing is left
  // of it in `args`.
  void collect_masked_product(const Pass& pass, int64_t first, const Part& part,
                              CellBackwardArgs& args) const;
  // One backward call of the cell, with what stands before and after it.
  void backward_dropped(const Pass& pass, int64_t t, int64_t first, const Part& part,
                        CellBackwardArgs args) const;
  void clear_product_gradient() const;
  // Moves the gradient of the masked h to that of h.
  void unmask_gradient(const Pass& pass, int64_t first, int64_t rows, const Part& part) const;

  // ---- a projected h (recurrence_projection.cc) ----
  void plan_projection(Workspace& workspace, const Pass& pass, Lifetime lifetime);
  // The first state that is as the cell makes it; a projected h is not.
  int first_cell_state() const { return weights_.projects() ? 1 : 0; }
  // Floats that a projection keeps of a packed row.
  int64_t projection_floats() const {
    return weights_.projects() ? padded(weights_.units()) + padded(weights_.hidden()) : 0;
  }
  // What the cell puts out at step t, before the projection.
  float* unprojected_row(const Pass& pass, int64_t t, int64_t row) const {
    const Geometry& geometry = *pass.geometry;
    return unprojected_.row(pass.gradients ? geometry.row(row, t) - segment_.first_row : row);
  }
  float* hidden_gradient_row(const Geometry& geometry, int64_t t, int64_t row) const {
    return hidden_gradient_.row(geometry.row(row, t) - segment_.first_row);
  }
  // h after step t; all of the cell's output must be there before it.
  void project_step(const Pass& pass, int64_t t, const Part& part) const;
  // The gradient of the projection's output at step t; all gates of the following step must be
  // there before it.
  void hidden_backward_step(const Pass& pass, int64_t t, const Part& part) const;
  // Makes the gradient of what the cell puts out, which is all that the cell is given of h.
  void unproject_gradient(const Pass& pass, int64_t t, int64_t first, const Part& part,
                          CellBackwardArgs& args) const;
  void projection_gradient(const Pass& pass, const ParamTable& params) const;

  // ---- layer normalisation in the loop (recurrence_norm.cc) ----
  bool normalizes() const { return weights_.norm().on(); }
  void plan_norm(Workspace& workspace, const Pass& pass, Lifetime lifetime);
  // Floats that it keeps of a packed row.
  int64_t norm_floats(const Pass& pass) const;
  // The part's share of the rows that are alive at step t, whole.
  Part whole_rows(const Pass& pass, int64_t t, const Part& part) const;
  int64_t gate_index(const Geometry& geometry, int64_t t, int64_t row) const {
    return geometry.row(row, t) - segment_.gate_base;
  }
  GateNormPlace norm_place(const Pass& pass, const GateNorm& norm) const;
  GateNormPlace memory_place() const;
  // Normalisation number `index` of `rows` rows from row `row` of the gate buffers on, of the
  // inputs' projection and in its place.
  GateNormArgs norm_args(const Pass& pass, size_t index, int64_t row, int64_t rows,
                         bool keep) const;
  // What does not depend on the state, for all steps of a block.
  void normalize_inputs(const Pass& pass, bool keep) const;
  // Phase 0 multiplies the part's panels, phase 1 does the rest on whole rows.
  void normalized_step(const Pass& pass, int64_t t, int phase, const Part& part, bool keep) const;
  void multiply_state(const Pass& pass, int64_t t, const Part& part) const;
  void normalize_sums(const Pass& pass, int64_t t, int64_t first, int64_t rows, bool keep) const;
  void apply_cell(const Pass& pass, int64_t t, int64_t first, int64_t rows, bool keep) const;
  void put_out_memory(const Pass& pass, int64_t t, int64_t first, const CellForwardArgs& step,
                      bool keep) const;
  void clear_norm_sums() const;
  // Phase 0 gathers the gradient of h in the part's panels, phase 1 does the rest on whole rows.
  void normalized_backward_step(const Pass& pass, int64_t t, int phase, const Part& part) const;
  // The cell's derivatives, once the gradients of its states are complete.
  void cell_gradient(const Pass& pass, int64_t t, int64_t first,
                     const CellBackwardArgs& args) const;
  void memory_gradient(const Pass& pass, int64_t t, int64_t first,
                       const CellBackwardArgs& args) const;
  void norm_gradient(const Pass& pass, int64_t t, int64_t first, int64_t rows) const;
  // From the sums of each row, once all steps are done.
  void norm_parameter_gradients(const Pass& pass, const ParamTable& params) const;

  // ---- from segment to segment (recurrence_checkpoints.cc) ----
  void plan_checkpoints(Workspace& workspace, const Pass& pass);
  // Forward: makes the next segment the current one; keeps the states at its beginning.
  void enter_next(const Pass& pass);
  // Backward: makes the segment before the current one, which is done, the current one and runs its
  // forward steps again.
  void return_to_previous(const Pass& pass, const Matrix& x);
  Matrix checkpoint(size_t state, int64_t index) const;
  // Whether a segment's gates alone are computed again: where the states of all steps are kept, and
  // nothing lies between the products and the cell.
  bool recomputes_gates(const Pass& pass) const;
  void recompute_gates(const Pass& pass, const Matrix& x) const;
  void load_checkpoints(const Pass& pass);
  void keep_finals(const Geometry& geometry);

  const RecurrentWeights& weights_;
  const bool reverse_;
  const int64_t checkpoint_every_;
  const LoopDropout dropout_;

  // S stands for Segments::buffer_rows(). What is of h has P columns where it is projected.
  Segments segments_;
  Segment segment_;                   // the one that lies in the buffers
  Segment block_;                     // steps of it that are worked on together
  Matrix gates_, recurrent_gates_;    // [S, G Hp]
  Matrix operand_;                    // [S, H], or [B, H] without gradients
  Matrix vector_gradients_;           // [S, vectors Hp]: of a cell's learned vectors, of each row
  Matrix sequence_[kMaxStates];       // [N, H]; states but the first are [B, H] without gradients
  bool sequence_is_running_ = false;  // … and are overwritten from step to step
  bool windowed_[kMaxStates] = {};    // … or a sequence is [S, H], of one segment only
  Matrix checkpoints_[kMaxStates];    // of windowed ones, before each segment but the first: [B, H]
  Matrix final_[kMaxStates];          // of windowed ones: [B, H], sorted rows with steps
  Matrix repeated_;                   // [S, H]: outputs that are computed again and not needed
  Matrix computed_[kMaxStates];       // [S, H], or [B, H] without gradients: before zoneout
  Matrix kept_[kMaxStates];           // [B, H]: gradients that zoneout takes past the cell
  Matrix mask_;                       // [B, H]: of h before the product
  Matrix masked_;                     // [S, H]: the masked h that each step's product multiplies
  Matrix candidate_mask_;             // [S, H]: factors of the candidates
  Matrix product_gradient_;           // [B, H]: of the masked h, until it is added to that of h
  Matrix unprojected_;                // [S, H], or [B, H] without gradients: what is projected
  Matrix unprojected_gradient_;       // [B, H]: of it
  Matrix hidden_gradient_;            // [S, P]: of what it was projected to
  NormBuffers norm_;
  // h of two steps, the other states, and the gradients of all.
  SpacedRows own_hidden_[2], own_memory_[kMaxStates], own_gradient_[kMaxStates];
  std::vector<const float*> previous_rows_;  // of a block of a ragged batch
  float* tn_scratch_ = nullptr;
  float* bias_sums_ = nullptr;
  float* cell_vector_sums_ = nullptr;   // [Hp]
  Matrix dy_;                           // of the running backward
  const float* weight_rows_ = nullptr;  // … the recurrent weights in place, if it reads them there

  AlignedBuffer initial_[kMaxStates];  // [B, Hp], sorted rows
  bool initial_set_[kMaxStates] = {};  // since the last forward
  bool initial_zero_ = true;           // all initial states of the last forward
  AlignedBuffer dstate_[kMaxStates];   // [B, Hp]
  bool dstate_set_[kMaxStates] = {};   // since the last backward
  bool initial_gradient_pending_ = false;
  Pass pass_;  // of the last backward
};

}  // namespace ostinato
