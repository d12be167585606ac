// Owned copies of training data, and the assembly of packed batches from them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/config.h"
#include "core/geometry.h"
#include "core/large_pages.h"
#include "core/loss.h"
#include "core/tensor.h"

namespace ostinato {

// Samples are windows over flat storage, so that overlapping windows of a text share it: sample i
// has lengths[i] steps (1 when the input is not timed) that begin at step input_offset[i]; its
// targets begin at row target_offset[i] (one row a step when `target_timed`, else one row).
struct Dataset {
  bool tokens = false;
  int64_t features = 0;  // floats of an input step; 1 for tokens
  std::vector<int32_t> input_tokens;
  FloatStorage input_floats;
  std::vector<int64_t> input_offset;  // [samples]
  std::vector<int32_t> length;        // [samples]

  enum class TargetKind : uint8_t { kNone, kLabels, kDense };
  TargetKind target_kind = TargetKind::kNone;
  bool target_timed = false;
  int64_t target_features = 1;
  bool targets_are_inputs = false;  // labels are read from input_tokens (language models)
  std::vector<int32_t> target_labels;
  FloatStorage target_floats;
  std::vector<int64_t> target_offset;  // [samples]
  // Optional, indexed as targets are (by target_offset): weights, and a mask of 0 / 1.
  std::vector<float> weights;
  std::vector<float> mask;

  int64_t samples() const { return static_cast<int64_t>(length.size()); }
  // Throws ERR_SHAPE_MISMATCH / ERR_INVALID_ARGUMENT when an offset leaves the storage, or a token
  // or label is outside [0, vocabulary) / [0, classes).
  void validate(const ValueShape& input, int64_t vocabulary, const ValueShape& output) const;
};

// Gathers samples into packed rows. Buffers only grow. The input of a single sample whose rows need
// no padding is the data's own storage, so the data must live as long as the batch is used.
class Batch {
 public:
  // The samples' inputs and, unless the data has none, their targets in the order of the output's
  // rows. A row with mask 0 gets the label 0 and zeros as targets, whatever the data holds there.
  void assemble(const Dataset& data, const int32_t* samples, int64_t count, bool output_timed,
                int threads = 1);
  // The inputs alone; targets() is empty.
  void assemble_inputs(const Dataset& data, const int32_t* samples, int64_t count, int threads = 1);
  const Geometry& geometry() const { return geometry_; }
  const Value& input() const { return input_; }
  const Targets& targets() const { return targets_; }

 private:
  void assemble_targets(const Dataset& data, const int32_t* samples, bool output_timed);

  Geometry geometry_;
  Value input_;
  Targets targets_;
  std::vector<int32_t> lengths_, tokens_, labels_;
  AlignedBuffer floats_, dense_;
  std::vector<float> weights_, mask_;
};

}  // namespace ostinato
