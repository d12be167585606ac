// Checks of options and shapes that layers share.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"

namespace ostinato {

// A required option that counts something: throws ERR_INVALID_ARGUMENT unless it is at least 1.
int64_t positive_option(const LayerConfig& config, const std::string& key);

// Most steps that a layer may give a sequence, or make one step of.
constexpr int64_t kMaxSteps = int64_t{1} << 24;

// A required number of steps: throws ERR_INVALID_ARGUMENT unless it is from 1 to kMaxSteps.
int64_t steps_option(const LayerConfig& config, const std::string& key);

// An option in [low, high): throws ERR_INVALID_ARGUMENT elsewhere.
double range_option(const LayerConfig& config, const std::string& key, double otherwise, double low,
                    double high);

// Throws ERR_SHAPE_MISMATCH when the input of a layer is token ids / not token ids / has no steps.
void expect_floats(const LayerConfig& config, const ValueShape& input);
void expect_tokens(const LayerConfig& config, const ValueShape& input);
void expect_steps(const LayerConfig& config, const ValueShape& input);

}  // namespace ostinato
