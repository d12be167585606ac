// Owned copies of training data, and the assembly of packed batches from them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/arena.h"
#include "core/config.h"
#include "core/geometry.h"
#include "core/large_pages.h"
#include "core/loss.h"
#include "core/tensor.h"

namespace ostinato {

// What one input of a model reads. Samples are windows over flat storage, so that overlapping
// windows of a text share it: sample i has as many steps as its time axis says (one row when the
// input is not timed) that begin at row input_offset[i].
struct InputData {
  bool tokens = false;
  int64_t features = 0;  // floats of an input step; 1 for tokens
  std::vector<int32_t> input_tokens;
  FloatStorage input_floats;
  std::vector<int64_t> input_offset;  // [samples]
};

// What one output is compared with: the targets of sample i begin at row target_offset[i] (one row
// a step when `target_timed`, else one row).
struct TargetData {
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
};

// The lengths of the sequences on a further time axis.
struct AxisLengths {
  std::vector<int32_t> length;  // [samples]
  int64_t steps = 0;            // of the longest, padding included: predictions are that long
};

// Samples for all inputs and outputs of a model. Those of the first input and output are the
// dataset's own fields, since most models have no others.
struct Dataset : InputData, TargetData {
  // [samples]: steps of the sequences on the first time axis; 1 without any.
  std::vector<int32_t> length;
  std::vector<AxisLengths> more_lengths{};
  std::vector<InputData> more_inputs{};
  std::vector<TargetData> more_targets{};

  const InputData& input(size_t i) const { return i == 0 ? *this : more_inputs[i - 1]; }
  InputData& input(size_t i) { return i == 0 ? *this : more_inputs[i - 1]; }
  const TargetData& target(size_t i) const { return i == 0 ? *this : more_targets[i - 1]; }
  int64_t samples() const { return static_cast<int64_t>(length.size()); }
  // Of all samples on the axis with those lengths.
  const std::vector<int32_t>& lengths(size_t i) const {
    return i == 0 ? length : more_lengths[i - 1].length;
  }
  // Rows of a sample of such a value.
  int64_t rows_of(const ValueShape& shape, int64_t sample) const {
    return shape.timed ? shape.axis.length_of(lengths(shape.axis.lengths)[sample]) : 1;
  }
  // Steps of such a value in a dense array, padding included; `first` are those of the first axis.
  int64_t padded_steps(const ValueShape& shape, int64_t first) const {
    if (!shape.timed) return 1;
    const size_t lengths = shape.axis.lengths;
    return shape.axis.length_of(lengths == 0 ? first : more_lengths[lengths - 1].steps);
  }
  // Overwrites rows of an input's storage, from the first row of a sample on. Throws
  // ERR_SHAPE_MISMATCH beyond its end and for tokens that targets are read from,
  // ERR_INVALID_ARGUMENT for tokens outside [0, vocabulary); nothing is changed then.
  void write_tokens(size_t input, int64_t sample, const std::vector<int32_t>& values,
                    int64_t vocabulary);
  void write_floats(size_t input, int64_t sample, const std::vector<float>& values);
  // Throws ERR_SHAPE_MISMATCH / ERR_INVALID_ARGUMENT when an offset leaves the storage, or a token
  // or label is outside [0, vocabulary) / [0, classes).
  void validate(const ValueShape& input, int64_t vocabulary, const ValueShape& output) const;
  // The same for any number of inputs, each with its vocabulary (0 for floats), and outputs.
  void validate(const ModelShape& shape, const std::vector<int64_t>& vocabularies) const;
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
  const Geometry& geometry() const { return geometries_.front(); }
  const Value& input() const { return inputs_[0]; }
  const Targets& targets(size_t output = 0) const { return targets_[output].view; }

  // For a model of any shape.
  void assemble(const Dataset& data, const int32_t* samples, int64_t count, const ModelShape& shape,
                int threads = 1);
  void assemble_inputs(const Dataset& data, const int32_t* samples, int64_t count,
                       const ModelShape& shape, int threads = 1);
  std::span<const Value> inputs() const { return inputs_; }
  // One for each of the shape's time axes. Each sorts the samples by its own lengths; values
  // without a time axis are in the order of the first.
  std::span<const Geometry> geometries() const { return geometries_; }
  const Geometry& geometry_of(const ModelShape& shape, const ValueShape& value) const {
    return geometries_[shape.axis_of(value)];
  }

 private:
  struct InputRows {
    std::vector<int32_t> tokens;
    AlignedBuffer floats;
  };
  struct TargetRows {
    Targets view;
    std::vector<int32_t> labels;
    AlignedBuffer dense;
    std::vector<float> weights, mask;
  };

  void begin(const Dataset& data, const int32_t* samples, int64_t count, const TimeAxis* axes,
             size_t axis_count, size_t inputs, size_t outputs);
  void assemble_input(const InputData& data, const int32_t* samples, bool timed,
                      const Geometry& geometry, size_t i, int threads);
  static void assemble_targets(const Dataset& all, const TargetData& data, const int32_t* samples,
                               bool output_timed, const Geometry& geometry, TargetRows& to);

  std::vector<Geometry> geometries_{1};
  std::vector<Value> inputs_;
  std::vector<InputRows> input_rows_;
  std::vector<TargetRows> targets_;
  std::vector<int32_t> lengths_;
};

}  // namespace ostinato
