// Layers of several inputs that make one value of them: "add", "multiply" and "concat".
#pragma once

#include <memory>
#include <string>

#include "core/layer.h"

namespace ostinato {

bool is_merge(const std::string& type);

// No options. Two inputs or more, all sequences or none; add and multiply (element by element) need
// equal features, concat puts the features side by side in the inputs' order.
std::unique_ptr<Layer> make_merge(const LayerConfig& config);

}  // namespace ostinato
