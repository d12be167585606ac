#include "core/dataset.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/error.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// Inputs of fewer floats are copied sooner than a team of threads starts.
constexpr int64_t kFloatsForATeam = 64 << 10;

std::string text(int64_t value) { return std::to_string(value); }

[[noreturn]] void mismatch(const std::string& message) {
  throw Error("ERR_SHAPE_MISMATCH", message);
}

bool all_below(const std::vector<int32_t>& values, int64_t bound) {
  return std::all_of(values.begin(), values.end(),
                     [bound](int32_t value) { return value >= 0 && value < bound; });
}

// Windows lie inside the storage of so many rows, for each sample.
void check_windows(const char* name, const std::vector<int64_t>& offsets, const Dataset& data,
                   const ValueShape& shape, int64_t rows) {
  if (static_cast<int64_t>(offsets.size()) != data.samples()) {
    mismatch("Expected " + text(data.samples()) + " offsets of " + name + " but received " +
             text(static_cast<int64_t>(offsets.size())));
  }
  for (size_t i = 0; i < offsets.size(); ++i) {
    const int64_t span = data.rows_of(shape, static_cast<int64_t>(i));
    if (offsets[i] >= 0 && offsets[i] <= rows - span) continue;
    mismatch("Expected " + std::string(name) + " of sample " + text(static_cast<int64_t>(i)) +
             " inside " + text(rows) + " rows but received " + text(span) + " rows from row " +
             text(offsets[i]));
  }
}

void check_lengths(const Dataset& data, bool timed) {
  for (size_t i = 0; i < data.length.size(); ++i) {
    if (timed ? data.length[i] >= 0 : data.length[i] == 1) continue;
    mismatch(std::string("Expected a length of ") + (timed ? "at least 0" : "1") + " at sample " +
             text(static_cast<int64_t>(i)) + " but received " + text(data.length[i]));
  }
}

void check_more_lengths(const Dataset& data, size_t axes) {
  if (data.more_lengths.size() + 1 != axes) {
    mismatch("Expected lengths for " + text(static_cast<int64_t>(axes)) +
             " time axes but received " + text(static_cast<int64_t>(data.more_lengths.size() + 1)));
  }
  for (const AxisLengths& axis : data.more_lengths) {
    if (axis.length.size() != data.length.size()) {
      mismatch("Expected " + text(data.samples()) + " lengths for each time axis but received " +
               text(static_cast<int64_t>(axis.length.size())));
    }
    for (size_t i = 0; i < axis.length.size(); ++i) {
      if (axis.length[i] >= 0 && axis.length[i] <= axis.steps) continue;
      mismatch("Expected a length from 0 to " + text(axis.steps) + " at sample " +
               text(static_cast<int64_t>(i)) + " but received " + text(axis.length[i]));
    }
  }
}

void check_inputs(const Dataset& all, const InputData& data, const ValueShape& input,
                  int64_t vocabulary) {
  if (data.tokens != input.tokens) {
    mismatch(std::string("Expected ") + (input.tokens ? "token ids" : "features") +
             " for the model's input but received " + (data.tokens ? "token ids" : "features"));
  }
  if (!data.tokens && data.features != input.features) {
    mismatch("Expected " + text(input.features) +
             " features a step for the model's input but received " + text(data.features));
  }
  const auto stored = static_cast<int64_t>(data.tokens ? data.input_tokens.size()
                                                       : data.input_floats.size() / data.features);
  check_windows("inputs", data.input_offset, all, input, stored);
  // Storage first: windows may overlap many times. Where it holds a wrong id, find who reads it.
  if (!data.tokens || all_below(data.input_tokens, vocabulary)) return;
  for (int64_t i = 0; i < all.samples(); ++i) {
    const int64_t span = all.rows_of(input, i);
    for (int64_t t = 0; t < span; ++t) {
      const int32_t token = data.input_tokens[data.input_offset[i] + t];
      if (token >= 0 && token < vocabulary) continue;
      throw Error("ERR_INVALID_ARGUMENT", "Expected a token id in [0, " + text(vocabulary) +
                                              ") at sample " + text(i) + ", step " + text(t) +
                                              " but received " + text(token));
    }
  }
}

void check_rows(const char* name, size_t received, int64_t expected) {
  if (received == 0 || static_cast<int64_t>(received) == expected) return;
  mismatch("Expected " + text(expected) + " values for the " + name + " but received " +
           text(static_cast<int64_t>(received)));
}

void check_targets(const Dataset& all, const TargetData& data, const ValueShape& output) {
  if (data.target_timed != output.timed) {
    mismatch(std::string("Expected targets for ") +
             (output.timed ? "every step" : "whole samples") +
             ", as the model's output is, but received targets for " +
             (data.target_timed ? "every step" : "whole samples"));
  }
  const bool labels = data.target_kind == Dataset::TargetKind::kLabels;
  // How many predictions a target has is the loss's business, and checked there.
  if (!labels && (data.target_features < 1 || output.features % data.target_features != 0)) {
    mismatch("Expected targets of " + text(output.features) +
             " features, as the model's output has, or a divisor of it, but received " +
             text(data.target_features));
  }
  if (labels && data.targets_are_inputs && !all.tokens) {
    mismatch("Expected token ids for inputs that serve as labels but received features");
  }
  const std::vector<int32_t>& label =
      data.targets_are_inputs ? all.input_tokens : data.target_labels;
  const auto stored = static_cast<int64_t>(
      labels ? label.size() : data.target_floats.size() / data.target_features);
  check_windows("targets", data.target_offset, all, output, stored);
  check_rows("sample weights", data.weights.size(), stored);
  check_rows("mask", data.mask.size(), stored);
  if (!labels || all_below(label, output.features)) return;
  for (int64_t i = 0; i < all.samples(); ++i) {
    const int64_t span = all.rows_of(output, i);
    for (int64_t t = 0; t < span; ++t) {
      const int64_t row = data.target_offset[i] + t;
      if (!data.mask.empty() && data.mask[row] == 0.0f) continue;
      if (label[row] >= 0 && label[row] < output.features) continue;
      throw Error("ERR_INVALID_ARGUMENT", "Expected a label in [0, " + text(output.features) +
                                              ") at sample " + text(i) +
                                              (output.timed ? ", step " + text(t) : "") +
                                              " but received " + text(label[row]));
    }
  }
}

}  // namespace

namespace {

// The part of a storage of rows from the first one of a sample on, which must hold the values.
template <class Storage, class Values>
auto place_of(Storage& storage, const InputData& data, int64_t sample, const Values& values) {
  const int64_t begin = data.input_offset[sample] * data.features;
  const auto count = static_cast<int64_t>(values.size());
  if (begin + count > static_cast<int64_t>(storage.size())) {
    mismatch("Expected at most " + text(static_cast<int64_t>(storage.size()) - begin) +
             " values from sample " + text(sample) + " on but received " + text(count));
  }
  return storage.begin() + begin;
}

}  // namespace

void Dataset::write_tokens(size_t input_index, int64_t sample, const std::vector<int32_t>& values,
                           int64_t vocabulary) {
  if (targets_are_inputs) mismatch("Expected inputs that no target is read from");
  InputData& data = input(input_index);
  const auto to = place_of(data.input_tokens, data, sample, values);
  if (!all_below(values, vocabulary)) {
    throw Error("ERR_INVALID_ARGUMENT", "Expected token ids in [0, " + text(vocabulary) + ")");
  }
  std::copy(values.begin(), values.end(), to);
}

void Dataset::write_floats(size_t input_index, int64_t sample, const std::vector<float>& values) {
  InputData& data = input(input_index);
  std::copy(values.begin(), values.end(), place_of(data.input_floats, data, sample, values));
}

void Dataset::validate(const ValueShape& input, int64_t vocabulary,
                       const ValueShape& output) const {
  validate({{input}, {output}}, {vocabulary});
}

void Dataset::validate(const ModelShape& shape, const std::vector<int64_t>& vocabularies) const {
  if (more_inputs.size() + 1 != shape.inputs.size()) {
    mismatch("Expected data for " + text(static_cast<int64_t>(shape.inputs.size())) +
             " inputs but received " + text(static_cast<int64_t>(more_inputs.size() + 1)));
  }
  check_lengths(*this, std::any_of(shape.inputs.begin(), shape.inputs.end(),
                                   [](const ValueShape& input) { return input.timed; }));
  check_more_lengths(*this, shape.data_axes());
  for (size_t i = 0; i < shape.inputs.size(); ++i) {
    check_inputs(*this, this->input(i), shape.inputs[i], vocabularies[i]);
  }
  if (target_kind == TargetKind::kNone && more_targets.empty()) return;
  if (more_targets.size() + 1 != shape.outputs.size()) {
    mismatch("Expected targets for " + text(static_cast<int64_t>(shape.outputs.size())) +
             " outputs but received " + text(static_cast<int64_t>(more_targets.size() + 1)));
  }
  for (size_t i = 0; i < shape.outputs.size(); ++i) {
    if (target(i).target_kind != TargetKind::kNone)
      check_targets(*this, target(i), shape.outputs[i]);
  }
}

void Batch::begin(const Dataset& data, const int32_t* samples, int64_t count, const TimeAxis* axes,
                  size_t axis_count, size_t inputs, size_t outputs) {
  inputs_.resize(inputs);
  input_rows_.resize(inputs);
  targets_.resize(outputs);
  for (TargetRows& targets : targets_) targets.view = {};
  lengths_.resize(count);
  geometries_.resize(axis_count);
  for (size_t axis = 0; axis < axis_count; ++axis) {
    if (axes[axis].steps > 0) {
      geometries_[axis].assign(count, axes[axis].steps, nullptr);
      continue;
    }
    const std::vector<int32_t>& length = data.lengths(axes[axis].lengths);
    for (int64_t row = 0; row < count; ++row) {
      lengths_[row] = static_cast<int32_t>(axes[axis].length_of(length[samples[row]]));
    }
    geometries_[axis].assign(count, 0, lengths_.data());
  }
}

void Batch::assemble(const Dataset& data, const int32_t* samples, int64_t count, bool output_timed,
                     int threads) {
  assemble_inputs(data, samples, count, threads);
  assemble_targets(data, data, samples, output_timed, geometry(), targets_[0]);
}

void Batch::assemble_inputs(const Dataset& data, const int32_t* samples, int64_t count,
                            int threads) {
  const TimeAxis only;
  begin(data, samples, count, &only, 1, 1, 1);
  assemble_input(data, samples, true, geometry(), 0, threads);
}

void Batch::assemble(const Dataset& data, const int32_t* samples, int64_t count,
                     const ModelShape& shape, int threads) {
  assemble_inputs(data, samples, count, shape, threads);
  for (size_t i = 0; i <= data.more_targets.size(); ++i) {
    const ValueShape& output = shape.outputs[i];
    assemble_targets(data, data.target(i), samples, output.timed, geometry_of(shape, output),
                     targets_[i]);
  }
}

void Batch::assemble_inputs(const Dataset& data, const int32_t* samples, int64_t count,
                            const ModelShape& shape, int threads) {
  begin(data, samples, count, shape.axes.data(), shape.axes.size(), shape.inputs.size(),
        shape.outputs.size());
  for (size_t i = 0; i < shape.inputs.size(); ++i) {
    const ValueShape& input = shape.inputs[i];
    assemble_input(data.input(i), samples, input.timed, geometry_of(shape, input), i, threads);
  }
}

void Batch::assemble_input(const InputData& data, const int32_t* samples, bool timed,
                           const Geometry& geometry, size_t i, int threads) {
  const int64_t count = geometry.batch();
  const int64_t rows = timed ? geometry.rows() : count;
  Value& input = inputs_[i];
  input = {};
  input.rows = rows;
  int32_t* tokens = nullptr;
  if (data.tokens) {
    input_rows_[i].tokens.resize(rows);
    tokens = input_rows_[i].tokens.data();
    input.tokens = tokens;
  } else {
    const int64_t ld = padded(data.features);
    if (count == 1 && ld == data.features) {
      // The rows lie in the storage as they are wanted, and nobody writes to an input.
      const float* stored = data.input_floats.data() + data.input_offset[samples[0]] * ld;
      input.floats = {const_cast<float*>(stored), rows, ld, ld};
      return;
    }
    input_rows_[i].floats.reserve(rows * ld);
    input.floats = {input_rows_[i].floats.data(), rows, data.features, ld};
  }
  const size_t bytes = static_cast<size_t>(data.features) * sizeof(float);
  const auto gather = [&](int64_t sorted) {
    const int64_t offset = data.input_offset[samples[geometry.batch_row(sorted)]];
    const int64_t steps = timed ? geometry.length(sorted) : 1;
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t row = timed ? geometry.row(sorted, t) : sorted;
      if (data.tokens) {
        tokens[row] = data.input_tokens[offset + t];
      } else {
        std::memcpy(input.floats.row(row), data.input_floats.data() + (offset + t) * data.features,
                    bytes);
      }
    }
  };
  const bool large = rows * data.features >= kFloatsForATeam;
  parallel_for(large ? threads : 1, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t sorted = begin; sorted < end; ++sorted) gather(sorted);
  });
}

void Batch::assemble_targets(const Dataset& all, const TargetData& data, const int32_t* samples,
                             bool output_timed, const Geometry& geometry, TargetRows& to) {
  if (data.target_kind == Dataset::TargetKind::kNone) return;
  const int64_t rows = output_timed ? geometry.rows() : geometry.batch();
  if (output_timed) to.view.geometry = &geometry;
  const bool labels = data.target_kind == Dataset::TargetKind::kLabels;
  const std::vector<int32_t>& label =
      data.targets_are_inputs ? all.input_tokens : data.target_labels;
  if (labels) {
    to.labels.resize(rows);
    to.view.labels = to.labels.data();
  } else {
    const int64_t ld = padded(data.target_features);
    to.dense.reserve(rows * ld);
    to.view.dense = {to.dense.data(), rows, data.target_features, ld};
  }
  if (!data.weights.empty()) {
    to.weights.resize(rows);
    to.view.weights = to.weights.data();
  }
  if (!data.mask.empty()) {
    to.mask.resize(rows);
    to.view.mask = to.mask.data();
  }
  const auto gather = [&](int64_t row, int64_t source) {
    const bool counts = data.mask.empty() || data.mask[source] != 0.0f;
    if (!data.weights.empty()) to.weights[row] = data.weights[source];
    if (!data.mask.empty()) to.mask[row] = data.mask[source];
    if (labels) {
      to.labels[row] = counts ? label[source] : 0;
    } else if (counts) {
      std::copy_n(data.target_floats.data() + source * data.target_features, data.target_features,
                  to.view.dense.row(row));
    } else {
      std::fill_n(to.view.dense.row(row), data.target_features, 0.0f);
    }
  };
  for (int64_t sorted = 0; sorted < geometry.batch(); ++sorted) {
    const int64_t offset = data.target_offset[samples[geometry.batch_row(sorted)]];
    if (!output_timed) {
      gather(sorted, offset);
      continue;
    }
    for (int64_t t = 0; t < geometry.length(sorted); ++t) {
      gather(geometry.row(sorted, t), offset + t);
    }
  }
}

}  // namespace ostinato
