#include "core/recurrence.h"

#include <algorithm>

#include "core/work_ahead.h"

namespace ostinato {

namespace {

// Rows of an average step from which each step projects its own inputs.
constexpr int64_t kStepwiseRows = 2;
// Rows that are projected ahead in one piece: several tiles of the product, since each piece reads
// the weights again, yet few, since the first one is waited for.
constexpr int64_t kRowsAhead = 12;
// Before the phases of a cell: forward, where h is masked, since the product needs all units of a
// row; backward, where the gradient of a projected h is made, for the same reason.
constexpr int kMaskPhase = -1, kHiddenPhase = -1;

}  // namespace

// ---- the time loop --------------------------------------------------------------------------

int64_t Recurrence::continuing(const Geometry& geometry, int64_t t) const {
  if (reverse_) return geometry.active(t + 1);
  return t > 0 ? geometry.active(t) : 0;
}

int64_t Recurrence::continued(const Geometry& geometry, int64_t t) const {
  if (!reverse_) return geometry.active(t + 1);
  return t > 0 ? geometry.active(t) : 0;
}

const float* Recurrence::state_before(const Geometry& geometry, size_t state, int64_t t,
                                      int64_t row) const {
  if (state > 0 && sequence_is_running_) return sequence_[state].row(row);
  if (row < continuing(geometry, t)) return sequence_row(geometry, state, step_before(t), row);
  return initial_[state].data() + row * padded(weights_.width(state));
}

float* Recurrence::state_after(const Geometry& geometry, size_t state, int64_t t,
                               int64_t row) const {
  if (state > 0 && sequence_is_running_) return sequence_[state].row(row);
  return sequence_row(geometry, state, t, row);
}

// body() with the segment's blocks as block_, one after the other, in processing order or in the
// opposite one. All work on a block is done while its gates are in a cache.
template <class Body>
void Recurrence::for_blocks(const Pass& pass, bool backwards, const Body& body) {
  const Geometry& geometry = *pass.geometry;
  const int64_t most_rows = most_block_rows();
  const auto rows = [&](int64_t begin, int64_t end) {
    return geometry.offset(end) - geometry.offset(begin);
  };
  block_ = segment_;
  const bool ascending = reverse_ == backwards;
  for (int64_t left = segment_.end - segment_.begin; left > 0;) {
    if (ascending) {
      block_.begin = segment_.end - left;
      block_.end = block_.begin + 1;
      while (block_.end < segment_.end && rows(block_.begin, block_.end + 1) <= most_rows) {
        ++block_.end;
      }
    } else {
      block_.end = segment_.begin + left;
      block_.begin = block_.end - 1;
      while (block_.begin > segment_.begin && rows(block_.begin - 1, block_.end) <= most_rows) {
        --block_.begin;
      }
    }
    block_.first_row = geometry.offset(block_.begin);
    block_.rows = rows(block_.begin, block_.end);
    left -= block_.end - block_.begin;
    body();
  }
}

// body(t, phase, parts) for the block's steps in processing order, or in the opposite one, and for
// the phases of each from `first_phase` to loop_phases().
template <class Body>
void Recurrence::run_loop(const Pass& pass, const Split& split, bool backwards, int first_phase,
                          const Body& body) {
  const int phases = loop_phases(pass, backwards);
  Barrier barrier;
  parallel_team(split.threads, [&](const Member& member) {
    Parts parts = parts_of(pass, split, member);
    const bool own = takes_own_rows(split, member);
    if (own) {
      parts.units.owner = member.index;
      enter_own_rows(pass, backwards, parts.units);
    }
    for (int64_t i = 0; i < block_.end - block_.begin; ++i) {
      const int64_t t = reverse_ != backwards ? block_.end - 1 - i : block_.begin + i;
      for (int phase = first_phase; phase < phases; ++phase) {
        body(t, phase, parts);
        if (!split.by_rows) barrier.wait(member);
      }
    }
    if (own) leave_own_rows(pass, backwards, parts.units);
  });
}

// The same forward, all by one member, which the others are ahead of with the projection.
template <class Body>
void Recurrence::run_ahead(const Pass& pass, const Split& split, const Matrix& x, int first_phase,
                           const Body& body) {
  const int phases = loop_phases(pass, false);
  const int64_t steps = block_.end - block_.begin;
  const int64_t piece_steps =
      std::max({int64_t{1}, (kRowsAhead + pass.geometry->batch() - 1) / pass.geometry->batch(),
                (steps + WorkAhead::kMostPieces - 1) / WorkAhead::kMostPieces});
  WorkAhead projections((steps + piece_steps - 1) / piece_steps);
  const auto project = [&](int64_t piece) {
    const int64_t first = piece * piece_steps, last = std::min(first + piece_steps, steps);
    Segment part = block_;
    part.begin = reverse_ ? block_.end - last : block_.begin + first;
    part.end = reverse_ ? block_.end - first : block_.begin + last;
    part.first_row = pass.geometry->offset(part.begin);
    part.rows = pass.geometry->offset(part.end) - part.first_row;
    project_inputs(pass, 1, x, part);
  };
  projections.run(split.threads, project, [&](const auto& need) {
    const Parts parts = parts_of(pass, {}, {});
    for (int64_t i = 0; i < steps; ++i) {
      if (i % piece_steps == 0) need(i / piece_steps);
      const int64_t t = reverse_ ? block_.end - 1 - i : block_.begin + i;
      for (int phase = first_phase; phase < phases; ++phase) body(t, phase, parts);
    }
  });
}

// A step with its own projection saves the gates' way to memory and back; one product for all steps
// uses each weight on more rows, which counts when a step has few.
bool Recurrence::projects_stepwise(const Pass& pass) const {
  return weights_.has_input_panels() &&
         pass.geometry->rows() >= kStepwiseRows * pass.geometry->steps();
}

void Recurrence::forward_step(const Pass& pass, int64_t t, int phase, const Part& part,
                              bool keep_gates, const Matrix* x) const {
  const Geometry& geometry = *pass.geometry;
  const bool mixes = dropout_.zones() && phase + 1 == info(pass).phases;
  for_pieces(geometry, t, part, [&](int64_t first, int64_t rows) {
    CellForwardArgs args = forward_args(pass, t, first, rows, phase);
    args.panel_begin = part.panel_begin;
    args.panel_end = part.panel_end;
    args.training = keep_gates;
    if (x != nullptr) {
      args.inputs = x->row(geometry.row(first, t));
      args.inputs_ld = x->ld;
      args.input_size = weights_.inputs();
      args.input_weights = weights_.input_panels(phase);
      args.input_bias = weights_.input_bias();
      if (!keep_gates) args.gates = gates_.row(first);  // the same rows in all steps
    }
    if (part.owner >= 0) use_own_rows(pass, t, first, part, args);
    forward_kernel(pass)(args);
    // A projected h is not there yet.
    for (int s = first_cell_state(); mixes && s < info(pass).states; ++s) {
      zone_out(pass, s, t, first, rows, part);
    }
  });
}

CellForwardArgs Recurrence::forward_args(const Pass& pass, int64_t t, int64_t first, int64_t rows,
                                         int phase) const {
  const Geometry& geometry = *pass.geometry;
  CellForwardArgs args{};
  args.rows = rows;
  args.units = weights_.units();
  args.hidden = weights_.hidden();
  args.descending = descends(t);
  args.phase = phase;
  args.weights = weights_.recurrent_forward(phase);
  args.recurrent_bias = weights_.recurrent_bias();
  args.gates = gates_row(gates_, geometry, t, first);
  args.gates_ld = gates_.ld;
  if (recurrent_gates_) args.recurrent_gates = gates_row(recurrent_gates_, geometry, t, first);
  if (operand_) {
    args.operand =
        operand_.row(pass.gradients ? geometry.row(first, t) - segment_.first_row : first);
  }
  args.operand_ld = operand_.ld;
  for (int s = 0; s < info(pass).states; ++s) {
    args.previous[s] = state_before(geometry, s, t, first);
    args.next[s] = computed_row(pass, s, t, first);
  }
  args.candidate = candidate_row(geometry, t, first);
  args.multiplied = masked_ ? masked_row(geometry, t, first) : args.previous[0];
  args.multiplied_ld = padded(weights_.hidden());
  // Made of what the first product multiplies: the operand of a second one, and a cell's own
  // product unit by unit.
  if (phase + 1 < info(pass).phases || info(pass).elementwise) args.previous[0] = args.multiplied;
  // A cell whose h is projected does not look at it, whose rows are others.
  if (unprojected_) args.previous[0] = args.next[0] = unprojected_row(pass, t, first);
  args.previous_ld = padded(weights_.units());
  args.next_ld = padded(weights_.units());
  args.vectors = weights_.packed_cell_vectors();
  args.cell_clip = weights_.cell_clip();
  args.tape = weights_.tape();
  args.params = weights_.packed_vectors();
  return args;
}

Matrix Recurrence::forward(const Pass& pass, const Matrix& x) {
  const Geometry& geometry = *pass.geometry;
  prepare_initial(geometry);
  draw_mask(pass);
  if (geometry.rows() == 0) return sequence_[0];
  segment_ = segments_.at(geometry, 0);
  for (;;) {
    const bool last = segment_.index + 1 == segments_.count();
    forward_segment(pass, x, pass.gradients && last);
    if (segments_.cut()) keep_finals(geometry);
    if (last) return sequence_[0];
    enter_next(pass);
  }
}

void Recurrence::project_inputs(const Pass& pass, int threads, const Matrix& x,
                                const Segment& steps) const {
  multiply(*pass.kernels, threads, rows_of(x, steps.first_row, steps.rows),
           weights_.input_forward(), normalizes() ? nullptr : weights_.input_bias(), false,
           gates_of(gates_, steps));
}

void Recurrence::forward_segment(const Pass& pass, const Matrix& x, bool keep_gates) {
  const bool stepwise = projects_stepwise(pass);
  const int first_phase = dropout_.masks(pass) ? kMaskPhase : 0;
  const auto step = [&](int64_t t, int phase, const Parts& parts) {
    if (phase == kMaskPhase) return mask_step(pass, t, parts.hidden);
    if (normalizes()) return normalized_step(pass, t, phase, parts.units, keep_gates);
    if (phase == info(pass).phases) return project_step(pass, t, parts.hidden);
    forward_step(pass, t, phase, parts.units, keep_gates, stepwise ? &x : nullptr);
  };
  for_blocks(pass, false, [&] {
    draw_candidate_masks(pass, block_);
    const Split split = split_for(pass, !stepwise && !normalizes());
    if (split.ahead) {
      run_ahead(pass, split, x, first_phase, step);
    } else {
      if (!stepwise) {
        project_inputs(pass, pass.threads, x, block_);
        pass.check_cancel();
      }
      if (normalizes()) normalize_inputs(pass, keep_gates);
      run_loop(pass, split, false, first_phase, step);
    }
    pass.check_cancel();
  });
}

// ---- backward ---------------------------------------------------------------------------------

CellBackwardArgs Recurrence::backward_args(const Pass& pass, int64_t t, int64_t first, int64_t rows,
                                           bool followed) const {
  const Geometry& geometry = *pass.geometry;
  CellBackwardArgs args{};
  args.rows = rows;
  args.units = weights_.units();
  args.hidden = weights_.hidden();
  args.descending = descends(t);
  args.weight_rows = weight_rows_;
  if (weight_rows_ == nullptr) args.weights = weights_.recurrent_backward(0);
  if (followed) args.following = gates_row(product_gates(), geometry, step_after(t), first);
  args.following_ld = product_gates().ld;
  args.gates = gates_row(gates_, geometry, t, first);
  args.gates_ld = gates_.ld;
  if (recurrent_gates_) args.recurrent_gates = gates_row(recurrent_gates_, geometry, t, first);
  if (dy_) args.dy = dy_.row(geometry.row(first, t));
  args.dy_ld = dy_.ld;
  for (int s = 0; s < info(pass).states; ++s) {
    args.previous[s] = state_before(geometry, s, t, first);
    args.next[s] = computed_row(pass, s, t, first);
    args.dstate[s] = dstate_[s].data() + first * padded(weights_.width(s));
  }
  args.previous_ld = padded(weights_.units());
  args.next_ld = padded(weights_.units());
  args.dstate_ld = padded(weights_.units());
  args.vectors = weights_.packed_cell_vectors();
  args.cell_clip = weights_.cell_clip();
  args.candidate = candidate_row(geometry, t, first);
  args.tape = weights_.tape();
  args.params = weights_.packed_vectors();
  if (vector_gradients_) {
    args.param_gradients = gates_row(vector_gradients_, geometry, t, first);
    args.param_gradients_ld = vector_gradients_.ld;
  }
  return args;
}

void Recurrence::backward_step(const Pass& pass, int64_t t, int phase, const Part& part) const {
  const bool dropped = drops(pass);
  for_backward_pieces(*pass.geometry, t, part, [&](int64_t first, int64_t rows, bool followed) {
    CellBackwardArgs args = backward_args(pass, t, first, rows, followed);
    args.panel_begin = part.panel_begin;
    args.panel_end = part.panel_end;
    args.phase = phase;
    if (phase > 0 && weight_rows_ == nullptr) args.weights = weights_.recurrent_backward(phase);
    if (part.owner >= 0) use_own_rows(pass, first, part, args);
    if (weights_.projects()) unproject_gradient(pass, t, first, part, args);
    if (dropped) {
      backward_dropped(pass, t, first, part, args);
    } else {
      backward_kernel(pass)(args);
    }
  });
}

void Recurrence::backward(const Pass& pass, const ParamTable& params, const Matrix& x,
                          const Matrix& dy, const Matrix& dx, bool accumulate_dx) {
  const int states = info(pass).states;
  for (int s = 0; s < states; ++s) {
    if (!dstate_set_[s]) set_final_gradient(*pass.geometry, s, nullptr);
    dstate_set_[s] = false;
  }
  pass_ = pass;
  initial_gradient_pending_ = true;
  if (pass.geometry->rows() == 0) return;
  dy_ = dy;
  clear_product_gradient();
  clear_norm_sums();
  weight_rows_ =
      weights_.recurrent_in_place(*pass.geometry) ? params.value(weights_.weight_hh()) : nullptr;
  for (;;) {
    for_blocks(pass, true, [&] {
      run_loop(pass, split_for(pass, false), true, weights_.projects() ? kHiddenPhase : 0,
               [&](int64_t t, int phase, const Parts& parts) {
                 if (phase == kHiddenPhase) return hidden_backward_step(pass, t, parts.hidden);
                 if (normalizes()) return normalized_backward_step(pass, t, phase, parts.units);
                 backward_step(pass, t, phase, parts.units);
               });
      pass.check_cancel();
      weight_gradients(pass, params, rows_of(x, block_.first_row, block_.rows));
      pass.check_cancel();
      if (dx) {
        input_gradient(pass, params, rows_of(dx, block_.first_row, block_.rows), accumulate_dx);
      }
    });
    if (segment_.index == 0) break;
    return_to_previous(pass, x);
  }
  norm_parameter_gradients(pass, params);
}

}  // namespace ostinato
