#include "core/config.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/error.h"

namespace ostinato {

namespace {

std::string describe(const Option& option) {
  std::ostringstream text;
  if (const bool* flag = std::get_if<bool>(&option)) {
    text << (*flag ? "true" : "false") << " (boolean)";
  } else if (const double* number = std::get_if<double>(&option)) {
    text << *number << " (number)";
  } else {
    text << '"' << std::get<std::string>(option) << "\" (string)";
  }
  return text.str();
}

[[noreturn]] void wrong_kind(const LayerConfig& config, const std::string& key, const char* wanted,
                             const Option& option) {
  throw Error("ERR_INVALID_ARGUMENT", std::string("Expected ") + wanted + " for \"" + key +
                                          "\" of layer \"" + config.name + "\" but received " +
                                          describe(option));
}

const Option* find(const LayerConfig& config, const std::string& key) {
  const auto at = config.options.find(key);
  return at == config.options.end() ? nullptr : &at->second;
}

}  // namespace

double LayerConfig::number(const std::string& key, double otherwise) const {
  const Option* option = find(*this, key);
  if (option == nullptr) return otherwise;
  const double* value = std::get_if<double>(option);
  if (value == nullptr || !std::isfinite(*value))
    wrong_kind(*this, key, "a finite number", *option);
  return *value;
}

int64_t LayerConfig::integer(const std::string& key, int64_t otherwise) const {
  const Option* option = find(*this, key);
  if (option == nullptr) return otherwise;
  const double* value = std::get_if<double>(option);
  // Beyond 2^53 a double does not hold every integer.
  if (value == nullptr || std::trunc(*value) != *value || std::abs(*value) > 9007199254740992.0) {
    wrong_kind(*this, key, "an integer", *option);
  }
  return static_cast<int64_t>(*value);
}

bool LayerConfig::flag(const std::string& key, bool otherwise) const {
  const Option* option = find(*this, key);
  if (option == nullptr) return otherwise;
  const bool* value = std::get_if<bool>(option);
  if (value == nullptr) wrong_kind(*this, key, "a boolean", *option);
  return *value;
}

std::string LayerConfig::text(const std::string& key, const std::string& otherwise) const {
  const Option* option = find(*this, key);
  if (option == nullptr) return otherwise;
  const std::string* value = std::get_if<std::string>(option);
  if (value == nullptr) wrong_kind(*this, key, "a string", *option);
  return *value;
}

size_t ModelShape::data_axes() const {
  return static_cast<size_t>(
      std::count_if(axes.begin(), axes.end(), [](const TimeAxis& axis) { return axis.of_data(); }));
}

size_t ModelShape::axis_of(const ValueShape& shape) const {
  if (!shape.timed) return 0;
  return static_cast<size_t>(std::find(axes.begin(), axes.end(), shape.axis) - axes.begin());
}

}  // namespace ostinato
