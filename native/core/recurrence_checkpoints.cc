// How a recurrence gets from one segment of its steps to the next, and back again.
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

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
    workspace.want(&checkpoints_[s], kept * batch, weights_.units(), Lifetime::kSaved);
    workspace.want(&final_[s], batch, weights_.units(), Lifetime::kSaved);
  }
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
  forward_segment(pass, x, true);
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
