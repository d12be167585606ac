#include "core/recurrence_segments.h"

#include <algorithm>
#include <limits>

namespace ostinato {

namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
// Passes that keep less than this are not cut by kCheckpointAuto.
constexpr int64_t kAutoLimit = 64 * kMebibyte;
// Passes without gradients are cut, at no cost, when their gates take more than this.
constexpr int64_t kGateLimit = 32 * kMebibyte;
// What the gates of a segment may take where its length is free, and the rows below which products
// over a segment would lose speed.
constexpr int64_t kSegmentBytes = 16 * kMebibyte;
constexpr int64_t kSegmentRows = 256;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t bytes(int64_t floats) { return floats * static_cast<int64_t>(sizeof(float)); }

// The most rows of a segment whose length is free, such that segments are about equal.
int64_t free_rows(int64_t rows, const RowFloats& floats) {
  const int64_t most = std::max(kSegmentRows, kSegmentBytes / bytes(floats.gates));
  return ceil_div(rows, ceil_div(rows, most));
}

}  // namespace

void Segments::plan(const Geometry& geometry, bool reverse, int64_t checkpoint_every,
                    bool gradients, const RowFloats& floats) {
  reverse_ = reverse;
  const int64_t steps = geometry.steps(), rows = geometry.rows();
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  int64_t most_rows = kAll, most_steps = kAll;
  if (!gradients) {
    if (bytes(rows * floats.gates) > kGateLimit) most_rows = free_rows(rows, floats);
  } else if (checkpoint_every == kCheckpointAuto) {
    if (bytes(rows * floats.saved) > kAutoLimit) most_rows = free_rows(rows, floats);
  } else if (checkpoint_every > 0) {
    most_steps = checkpoint_every;
  }
  begins_.assign(1, 0);
  int64_t largest = 0;
  for (int64_t begin = 0; begin < steps;) {
    int64_t end = begin + 1;
    while (end < steps && end - begin < most_steps &&
           geometry.offset(end + 1) - geometry.offset(begin) <= most_rows) {
      ++end;
    }
    largest = std::max(largest, geometry.offset(end) - geometry.offset(begin));
    begins_.push_back(end);
    begin = end;
  }
  if (steps == 0) begins_.push_back(0);
  buffer_rows_ = largest + (cut() ? geometry.batch() : 0);
}

Segment Segments::at(const Geometry& geometry, int64_t index) const {
  const int64_t place = reverse_ ? count() - 1 - index : index;
  Segment segment;
  segment.index = index;
  segment.begin = begins_[place];
  segment.end = begins_[place + 1];
  segment.first_row = geometry.offset(segment.begin);
  segment.rows = geometry.offset(segment.end) - segment.first_row;
  // The step before a segment in time comes before it in processing order, too, or after it.
  const int64_t with_earlier = geometry.offset(std::max<int64_t>(segment.begin - 1, 0));
  segment.state_base = reverse_ ? segment.first_row : with_earlier;
  segment.gate_base = reverse_ ? with_earlier : segment.first_row;
  return segment;
}

}  // namespace ostinato
