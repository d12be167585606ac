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

// The kind of value that flows between layers. Rows are packed rows (N of them) when `timed`,
// otherwise batch rows (B).
struct ValueShape {
  int64_t features = 0;  // for tokens: 1
  bool timed = true;
  bool tokens = false;  // int32 ids instead of floats
};

// What goes into a model and what comes out.
struct ModelShape {
  std::vector<ValueShape> inputs, outputs;
};

// One call of a layer. Values are numbered: inputs first, then the output of each node; a node
// reads values before its own only, so there are no cycles. Two nodes with one layer share its
// weights.
struct NodeConfig {
  size_t layer = 0;
  std::vector<size_t> inputs;
};

// A graph of layers. All sequences of a model have one batch's lengths. Without nodes, the layers
// are a chain over the one input.
struct NetworkConfig {
  uint64_t seed = 0;
  std::vector<ValueShape> inputs;
  std::vector<LayerConfig> layers;
  std::vector<NodeConfig> nodes{};
  std::vector<size_t> outputs{};  // values, each once
};

}  // namespace ostinato
