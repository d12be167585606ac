// A model as data: what TypeScript hands over after it has validated the user's options.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace ostinato {

using Option = std::variant<bool, double, std::string>;

// One layer: its type ("lstm", "dense", …), its unique name, and its options by their public
// (camelCase) names. Reading an option that is absent gives the default; one of another kind
// throws ERR_INVALID_ARGUMENT.
struct LayerConfig {
  std::string type;
  std::string name;
  std::map<std::string, Option> options;

  double number(const std::string& key, double otherwise) const;
  int64_t integer(const std::string& key, int64_t otherwise) const;
  bool flag(const std::string& key, bool otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
};

// A time axis: the sequences on one axis have equal lengths, sample by sample.
struct TimeAxis {
  size_t lengths = 0;  // which of the data's lists of lengths
  int64_t steps = 0;   // where positive, the length of all sequences, whatever the data is
  // Of how many of the data's steps a step is made, and how far apart steps are there.
  int64_t window = 1, stride = 1;
  bool operator==(const TimeAxis&) const = default;

  // Whether the data's lengths are those of the sequences as they are.
  bool of_data() const { return steps == 0 && window == 1 && stride == 1; }
  // Steps of a sequence whose length is `length` in the data.
  int64_t length_of(int64_t length) const {
    if (steps > 0) return steps;
    return length < window ? 0 : (length - window) / stride + 1;
  }
  // The axis of whole windows of `size` steps of this one, `apart` from each other. Windows of
  // windows are windows, so axes of equal lengths compare equal.
  TimeAxis windows(int64_t size, int64_t apart) const {
    if (steps > 0) return {0, steps < size ? 0 : (steps - size) / apart + 1};
    return {lengths, 0, window + (size - 1) * stride, stride * apart};
  }
};

// The kind of value that flows between layers. Rows are packed rows (N of them) when `timed`,
// otherwise batch rows (B).
struct ValueShape {
  int64_t features = 0;  // for tokens: 1
  bool timed = true;
  bool tokens = false;  // int32 ids instead of floats
  TimeAxis axis{};      // of the steps; without meaning unless `timed`
};

// What goes into a model and what comes out.
struct ModelShape {
  std::vector<ValueShape> inputs, outputs;
  // All time axes of the model's values: those of the data's lengths in their order, then those of
  // fixed lengths. The first is there even if no value has a time axis.
  std::vector<TimeAxis> axes{TimeAxis{}};

  // How many of the axes have lengths that the data gives.
  size_t data_axes() const;
  // Which of the axes the rows of a value follow: its own, or for a value without a time axis the
  // first, whose order its rows have.
  size_t axis_of(const ValueShape& shape) const;
};

// One call of a layer. Values are numbered: inputs first, then the output of each node; a node
// reads values before its own only, so there are no cycles. Two nodes with one layer share its
// weights.
struct NodeConfig {
  size_t layer = 0;
  std::vector<size_t> inputs;
};

// A graph of layers. Inputs on one axis have sequences of equal lengths. Without nodes, the layers
// are a chain over the one input.
struct NetworkConfig {
  uint64_t seed = 0;
  std::vector<ValueShape> inputs;
  std::vector<LayerConfig> layers;
  std::vector<NodeConfig> nodes{};
  std::vector<size_t> outputs{};  // values, each once
};

}  // namespace ostinato
