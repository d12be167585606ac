// How a recurrence gets from one segment of its steps to the next, and back again.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// Rows that are recomputed in one call: enough for whole tiles, few enough to stay in the cache.
constexpr int64_t kRowsPerCall = 96;

void copy_rows(const float* from, float* to, int64_t rows, int64_t ld) {
  std::memmove(to, from, rows * ld * sizeof(float));
}

}  // namespace

void Recurrence::plan_checkpoints(Workspace& workspace, const Pass& pass) {
  const int64_t batch = pass.geometry->batch();
  // Without a backward pass the states are only carried over.
  const int64_t kept = pass.gradients ? segments_.count() - 1 : 1;
  for (int s = 0; s < info(pass).states; ++s) {
    if (!windowed_[s]) continue;
    workspace.want(&checkpoints_[s], kept * batch, weights_.width(s), Lifetime::kSaved);
    workspace.want(&final_[s], batch, weights_.width(s), Lifetime::kSaved);
  }
  repeated_ = {};
  if (pass.gradients && segments_.cut() && recomputes_gates(pass) && !zones(pass, 0)) {
    workspace.want(&repeated_, segments_.buffer_rows(), weights_.units(), Lifetime::kScratch);
  }
}

bool Recurrence::recomputes_gates(const Pass& pass) const {
  return !normalizes() &&
         std::none_of(windowed_, windowed_ + info(pass).states, [](bool it) { return it; });
}

// Of the rows that go on from segment index - 1 to segment `index`.
Matrix Recurrence::checkpoint(size_t state, int64_t index) const {
  const Matrix& all = checkpoints_[state];
  const int64_t batch = final_[state].rows;
  return rows_of(all, all.rows == batch ? 0 : (index - 1) * batch, batch);
}

void Recurrence::enter_next(const Pass& pass) {
  const Geometry& geometry = *pass.geometry;
  const Segment next = segments_.at(geometry, segment_.index + 1);
  const int64_t last_step = reverse_ ? segment_.begin : segment_.end - 1;
  for (int s = 0; s < info(pass).states; ++s) {
    if (!windowed_[s]) continue;
    copy_rows(sequence_row(geometry, s, last_step, 0), checkpoint(s, next.index).data,
              continued(geometry, last_step), sequence_[s].ld);
  }
  segment_ = next;
  load_checkpoints(pass);
}

// Puts the states before the segment where its first step looks for them.
void Recurrence::load_checkpoints(const Pass& pass) {
  if (segment_.index == 0) return;
  const Geometry& geometry = *pass.geometry;
  const int64_t first_step = reverse_ ? segment_.end - 1 : segment_.begin;
  for (int s = 0; s < info(pass).states; ++s) {
    if (!windowed_[s]) continue;
    copy_rows(checkpoint(s, segment_.index).data,
              sequence_row(geometry, s, step_before(first_step), 0),
              continuing(geometry, first_step), sequence_[s].ld);
  }
}

void Recurrence::return_to_previous(const Pass& pass, const Matrix& x) {
  const Geometry& geometry = *pass.geometry;
  finish_initial_gradient_of_segment();
  // The gradients of the gates of this segment's first step are read by the step before it.
  const int64_t first_step = reverse_ ? segment_.end - 1 : segment_.begin;
  const float* following = gates_row(product_gates(), geometry, first_step, 0);
  segment_ = segments_.at(geometry, segment_.index - 1);
  copy_rows(following, gates_row(product_gates(), geometry, first_step, 0),
            continuing(geometry, first_step), product_gates().ld);
  load_checkpoints(pass);
  if (recomputes_gates(pass)) {
    recompute_gates(pass, x);
  } else {
    forward_segment(pass, x, true);
  }
}

// Steps do not wait for each other then: threads share them out without a barrier, and the rows of
// many steps of a dense batch are one call, which uses each weight once for all of them.
void Recurrence::recompute_gates(const Pass& pass, const Matrix& x) const {
  const Geometry& geometry = *pass.geometry;
  const CellInfo& cell = info(pass);
  const int64_t panels = padded(weights_.units()) / pass.kernels->width;
  const int64_t steps_per_call =
      geometry.dense() ? std::max<int64_t>(1, kRowsPerCall / geometry.batch()) : 1;
  const auto call = [&](int64_t t, int64_t first, int64_t rows, int phase) {
    if (rows == 0) return;
    CellForwardArgs args = forward_args(pass, t, first, rows, phase);
    args.panel_end = panels;
    args.training = true;
    // Other threads read the outputs of all steps: they stay untouched. What zoneout mixes them of
    // is needed again.
    if (!computed_[0]) args.next[0] = repeated_.row(geometry.row(first, t) - segment_.first_row);
    forward_kernel(pass)(args);
  };
  const auto steps = [&](int64_t begin, int64_t end) {
    const int64_t rows = geometry.offset(end) - geometry.offset(begin);
    // Rows that go on come first, but for the first step of a dense batch: none do.
    const int64_t going_on = continuing(geometry, begin);
    for (int64_t t = begin; t < end && masked_; ++t) {
      mask_step(pass, t, {0, geometry.active(t), 0, panels});
    }
    for (int phase = 0; phase < cell.phases; ++phase) {
      if (end - begin > 1) {
        call(begin, 0, rows, phase);
      } else {
        call(begin, 0, going_on, phase);
        call(begin, going_on, rows - going_on, phase);
      }
    }
  };
  project_inputs(pass, pass.threads, x, segment_);
  pass.check_cancel();
  draw_candidate_masks(pass, segment_);
  const int64_t work = segment_.rows * row_work(pass);
  parallel_for(threads_for(work, pass.threads), segment_.end - segment_.begin, steps_per_call,
               [&](int64_t begin, int64_t end) {
                 for (int64_t t = segment_.begin + begin; t < segment_.begin + end;) {
                   // The step that all rows of a dense batch begin with is a call of its own.
                   const int64_t first_step = reverse_ ? geometry.steps() - 1 : 0;
                   int64_t last = std::min(t + steps_per_call, segment_.begin + end);
                   if (t == first_step) last = t + 1;
                   if (t < first_step && first_step < last) last = first_step;
                   steps(t, last);
                   t = last;
                 }
               });
  pass.check_cancel();
}

// The final states of the rows that end in the segment.
void Recurrence::keep_finals(const Geometry& geometry) {
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    const int64_t last_step = reverse_ ? 0 : geometry.length(b) - 1;
    if (geometry.length(b) == 0 || !segment_.has(last_step)) continue;
    for (size_t s = 0; s < kMaxStates; ++s) {
      if (!windowed_[s]) continue;
      copy_rows(sequence_row(geometry, s, last_step, b), final_[s].row(b), 1, sequence_[s].ld);
    }
  }
}

}  // namespace ostinato
