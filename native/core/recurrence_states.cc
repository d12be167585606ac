// States of a recurrence at the door: initial and final ones, their gradients, in batch order
// outside and in sorted order inside.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// Copies rows of `units` floats from batch order into sorted, padded rows; zeros for a null source.
void load_rows(const Geometry& geometry, const float* source, int64_t units, AlignedBuffer& to) {
  const int64_t ld = padded(units);
  to.reserve(geometry.batch() * ld);
  if (source == nullptr) {
    std::memset(to.data(), 0, geometry.batch() * ld * sizeof(float));
    return;
  }
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    float* row = to.data() + b * ld;
    std::memcpy(row, source + geometry.batch_row(b) * units, units * sizeof(float));
    std::fill(row + units, row + ld, 0.0f);
  }
}

}  // namespace

void Recurrence::set_initial(const Geometry& geometry, size_t state, const float* source) {
  load_rows(geometry, source, weights_.width(state), initial_[state]);
  initial_set_[state] = source != nullptr;
}

void Recurrence::prepare_initial(const Geometry& geometry) {
  initial_zero_ = true;
  for (int s = 0; s < kMaxStates && (s == 0 || sequence_[s]); ++s) {
    if (initial_set_[s]) {
      initial_zero_ = false;
    } else {
      load_rows(geometry, nullptr, weights_.width(s), initial_[s]);
    }
    initial_set_[s] = false;
    if (s > 0 && sequence_is_running_) {
      std::memcpy(sequence_[s].data, initial_[s].data(),
                  geometry.batch() * padded(weights_.width(s)) * sizeof(float));
    }
  }
}

void Recurrence::get_final(const Geometry& geometry, size_t state, float* destination) const {
  const int64_t width = weights_.width(state);
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    const int64_t length = geometry.length(b);
    const float* row = state > 0 && sequence_is_running_ ? sequence_[state].row(b)
                       : length == 0 ? initial_[state].data() + b * padded(width)
                       : windowed_[state]
                           ? final_[state].row(b)
                           : sequence_[state].row(geometry.row(b, reverse_ ? 0 : length - 1));
    std::memcpy(destination + geometry.batch_row(b) * width, row, width * sizeof(float));
  }
}

const float* Recurrence::last_output(const Geometry& geometry, int64_t b) const {
  const int64_t length = geometry.length(b);
  if (length == 0) return nullptr;
  if (windowed_[0]) return final_[0].row(b);
  return sequence_[0].row(geometry.row(b, reverse_ ? 0 : length - 1));
}

void Recurrence::set_final_gradient(const Geometry& geometry, size_t state, const float* source) {
  load_rows(geometry, source, weights_.width(state), dstate_[state]);
  dstate_set_[state] = true;
}

void Recurrence::add_final_gradient(const Geometry& geometry, size_t state, const float* source) {
  const int64_t width = weights_.width(state);
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    float* row = dstate_[state].data() + b * padded(width);
    const float* from = source + geometry.batch_row(b) * width;
    for (int64_t j = 0; j < width; ++j) row[j] += from[j];
  }
}

void Recurrence::add_final_gradient(const Geometry& geometry, const Matrix& dy) {
  if (!dstate_set_[0]) set_final_gradient(geometry, 0, nullptr);
  for (int64_t b = 0; b < geometry.batch() && geometry.length(b) > 0; ++b) {
    float* row = dstate_[0].data() + b * padded(weights_.hidden());
    for (int64_t j = 0; j < weights_.hidden(); ++j) row[j] += dy.row(b)[j];
  }
}

// The last product of the backward pass, needed only when somebody asks for these gradients.
void Recurrence::finish_initial_gradient() {
  if (!initial_gradient_pending_) return;
  initial_gradient_pending_ = false;
  if (pass_.geometry->rows() > 0) finish_initial_gradient_of_segment();
}

// … of the rows that begin in the segment whose gates are in memory.
void Recurrence::finish_initial_gradient_of_segment() {
  const Geometry& geometry = *pass_.geometry;
  const int64_t ld = padded(weights_.hidden());
  const ScopedFlushDenormals flush;
  for (int64_t t = segment_.begin; t < segment_.end; ++t) {
    const int64_t first = continuing(geometry, t), last = geometry.active(t);
    if (first >= last) continue;
    CellBackwardArgs args{};
    args.rows = last - first;
    args.units = weights_.units();
    args.hidden = weights_.hidden();
    args.panel_end = ld / pass_.kernels->width;
    args.weight_rows = weight_rows_;
    if (weight_rows_ == nullptr) args.weights = weights_.recurrent_backward(0);
    args.following = gates_row(product_gates(), geometry, t, first);
    args.following_ld = product_gates().ld;
    args.dstate[0] =
        product_gradient_ ? product_gradient_.row(first) : dstate_[0].data() + first * ld;
    args.dstate_ld = ld;
    args.tape = weights_.tape();
    pass_.kernels->cell_backward[weights_.cell()](args);
    if (product_gradient_) {
      unmask_gradient(pass_, first, args.rows, {first, last, 0, args.panel_end});
    }
  }
}

void Recurrence::get_initial_gradient(const Geometry& geometry, size_t state, float* destination) {
  finish_initial_gradient();
  const int64_t width = weights_.width(state);
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    std::memcpy(destination + geometry.batch_row(b) * width,
                dstate_[state].data() + b * padded(width), width * sizeof(float));
  }
}

}  // namespace ostinato
