// Cuts the steps of a recurrence into segments, so that the buffers of one segment serve for all.
//
// Without gradients only the gate buffer is cut. With gradients a pass of segments is recomputation
// (Chen et al. 2016, "Training deep nets with sublinear memory cost"; for recurrent networks
// Gruslys et al. 2016, "Memory-efficient backpropagation through time"): the states before each
// segment are kept, and the backward pass runs a segment's forward steps again before its backward
// steps.
#pragma once

#include <cstdint>
#include <vector>

#include "core/geometry.h"

namespace ostinato {

// How often a layer keeps its states in training: every so many steps, or
inline constexpr int64_t kCheckpointNever = -1;  // at every step
inline constexpr int64_t kCheckpointAuto = 0;    // as often as its memory asks for

// Floats that a pass keeps for each packed row when it is not cut.
struct RowFloats {
  int64_t gates = 0;  // one gate buffer
  int64_t saved = 0;  // everything that is kept until the backward pass
};

// The steps [begin, end) and where their rows lie in buffers that hold one segment. Such a buffer
// has room for one neighbouring step more: buffers of states for the step before the segment in
// processing order, buffers of gates for the step after it, whose gradients its backward pass
// reads.
struct Segment {
  int64_t index = 0;  // in processing order
  int64_t begin = 0, end = 0;
  int64_t first_row = 0, rows = 0;  // packed rows of the segment
  int64_t state_base = 0;           // packed row that lies at row 0 of a buffer of states,
  int64_t gate_base = 0;            // of gates

  bool has(int64_t step) const { return begin <= step && step < end; }
};

class Segments {
 public:
  // Allocates nothing once it has seen its largest number of segments.
  void plan(const Geometry& geometry, bool reverse, int64_t checkpoint_every, bool gradients,
            const RowFloats& floats);

  int64_t count() const { return static_cast<int64_t>(begins_.size()) - 1; }
  // Whether there is more than one.
  bool cut() const { return count() > 1; }
  // Rows of buffers that hold any one segment and, when cut, its neighbouring step.
  int64_t buffer_rows() const { return buffer_rows_; }
  // The segment that is processed as number `index`.
  Segment at(const Geometry& geometry, int64_t index) const;

 private:
  bool reverse_ = false;
  std::vector<int64_t> begins_{0};  // ascending first steps, then the number of steps
  int64_t buffer_rows_ = 0;
};

}  // namespace ostinato
