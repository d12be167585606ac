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

struct NetworkConfig {
  uint64_t seed = 0;
  ValueShape input;
  std::vector<LayerConfig> layers;
};

}  // namespace ostinato
