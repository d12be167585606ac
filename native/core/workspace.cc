#include "core/workspace.h"

#include <algorithm>

#include "kernels/kernels.h"

namespace ostinato {

void Workspace::begin() {
  requests_.clear();
  saved_ = 0;
  scratch_ = 0;
  scratch_top_ = 0;
}

void Workspace::next_layer() {
  scratch_top_ = std::max(scratch_top_, scratch_);
  scratch_ = 0;
}

void Workspace::want(float** pointer, int64_t floats, Lifetime lifetime) {
  int64_t& top = lifetime == Lifetime::kSaved ? saved_ : scratch_;
  requests_.push_back({pointer, top, lifetime});
  top += padded(std::max<int64_t>(floats, 0));
}

void Workspace::want(Matrix* matrix, int64_t rows, int64_t cols, Lifetime lifetime) {
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->ld = padded(cols);
  want(&matrix->data, rows * matrix->ld, lifetime);
}

void Workspace::want_spread(Matrix* matrix, int64_t rows, int64_t cols, Lifetime lifetime) {
  constexpr int64_t kAvoided = 1024 / sizeof(float);
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->ld = padded(cols) + (padded(cols) % kAvoided == 0 ? kPad : 0);
  want(&matrix->data, rows * matrix->ld, lifetime);
}

void Workspace::realise() {
  scratch_top_ = std::max(scratch_top_, scratch_);
  // One more line, so that a region of no floats still has an address inside the block.
  arena_.reserve(saved_ + scratch_top_ + kPad);
  for (const Request& request : requests_) {
    const int64_t base = request.lifetime == Lifetime::kSaved ? 0 : saved_;
    *request.pointer = arena_.data() + base + request.offset;
  }
  // A ragged batch of the same model wants some regions more than a dense one.
  if (requests_.capacity() < requests_.size() + 4) requests_.reserve(2 * requests_.size() + 8);
}

int64_t Workspace::bytes() const { return arena_.size() * static_cast<int64_t>(sizeof(float)); }

}  // namespace ostinato
