#include "core/checks.h"

#include <sstream>

#include "core/error.h"

namespace ostinato {

namespace {

std::string number_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

[[noreturn]] void wrong_input(const LayerConfig& config, const std::string& wanted,
                              const std::string& received, const std::string& advice) {
  throw Error("ERR_SHAPE_MISMATCH", "Expected " + wanted + " for the input of layer \"" +
                                        config.name + "\" (" + config.type + ") but received " +
                                        received + ". " + advice);
}

}  // namespace

int64_t positive_option(const LayerConfig& config, const std::string& key) {
  const int64_t value = config.integer(key, 0);
  if (value >= 1) return value;
  throw Error("ERR_INVALID_ARGUMENT",
              "Expected a positive integer for \"" + key + "\" of layer \"" + config.name +
                  "\" but received " +
                  (config.options.count(key) ? std::to_string(value) + " (number)" : "nothing"));
}

int64_t steps_option(const LayerConfig& config, const std::string& key) {
  const int64_t value = positive_option(config, key);
  if (value <= kMaxSteps) return value;
  throw Error("ERR_INVALID_ARGUMENT", "Expected at most " + std::to_string(kMaxSteps) + " for \"" +
                                          key + "\" of layer \"" + config.name +
                                          "\" but received " + std::to_string(value) + " (number)");
}

double range_option(const LayerConfig& config, const std::string& key, double otherwise, double low,
                    double high) {
  const double value = config.number(key, otherwise);
  if (value >= low && value < high) return value;
  throw Error("ERR_INVALID_ARGUMENT", "Expected a number in [" + number_text(low) + ", " +
                                          number_text(high) + ") for \"" + key + "\" of layer \"" +
                                          config.name + "\" but received " + number_text(value) +
                                          " (number)");
}

void expect_floats(const LayerConfig& config, const ValueShape& input) {
  if (input.tokens) {
    wrong_input(config, "features", "token ids", "Put an embedding layer before it.");
  }
}

void expect_tokens(const LayerConfig& config, const ValueShape& input) {
  if (!input.tokens) {
    wrong_input(config, "token ids", std::to_string(input.features) + " features",
                "An embedding layer comes first in a model and reads integers.");
  }
}

void expect_steps(const LayerConfig& config, const ValueShape& input) {
  if (!input.timed) {
    wrong_input(config, "a sequence", "a single vector per row",
                "Let the recurrent layer before it return sequences.");
  }
}

}  // namespace ostinato
