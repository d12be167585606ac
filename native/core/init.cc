#include "core/init.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/orthogonal.h"

namespace ostinato {

namespace {

struct Parameter {
  const char* initializer;
  const char* name;
  double otherwise;
};

constexpr Parameter kParameters[] = {
    {"constant", "value", 0.0},          {"uniform", "limit", 0.05},  {"normal", "stddev", 0.05},
    {"truncatedNormal", "stddev", 0.05}, {"orthogonal", "gain", 1.0}, {"identity", "gain", 1.0},
};

}  // namespace

Initializer initializer_option(const LayerConfig& config, const std::string& key,
                               const std::string& otherwise) {
  Initializer initializer{config.text(key, otherwise)};
  for (const Parameter& parameter : kParameters) {
    if (initializer.name != parameter.initializer) continue;
    initializer.scale = config.number(key + "." + parameter.name, parameter.otherwise);
  }
  return initializer;
}

void initialize(const Initializer& initializer, float* w, int64_t rows, int64_t cols,
                int64_t torch_fan, const RandomStream& random) {
  const auto& [name, scale] = initializer;
  const int64_t n = rows * cols;
  const auto uniform = [&](double limit) { random.fill_uniform(w, n, -limit, limit); };
  const auto normal = [&](double deviation) { random.fill_normal(w, n, deviation); };
  const double fan_in = static_cast<double>(std::max<int64_t>(cols, 1));
  const double fan_sum = static_cast<double>(std::max<int64_t>(rows + cols, 1));
  if (name == "zeros") {
    std::fill_n(w, n, 0.0f);
  } else if (name == "ones") {
    std::fill_n(w, n, 1.0f);
  } else if (name == "constant") {
    std::fill_n(w, n, static_cast<float>(scale));
  } else if (name == "identity") {
    std::fill_n(w, n, 0.0f);
    for (int64_t i = 0; i < std::min(rows, cols); ++i) w[i * cols + i] = static_cast<float>(scale);
  } else if (name == "uniform") {
    uniform(scale);
  } else if (name == "unitUniform") {
    random.fill_uniform(w, n, 0.0, 1.0);
  } else if (name == "normal") {
    normal(scale);
  } else if (name == "truncatedNormal") {
    random.fill_truncated_normal(w, n, scale);
  } else if (name == "glorotUniform") {
    uniform(std::sqrt(6.0 / fan_sum));
  } else if (name == "glorotNormal") {
    normal(std::sqrt(2.0 / fan_sum));
  } else if (name == "heUniform") {
    uniform(std::sqrt(6.0 / fan_in));
  } else if (name == "heNormal") {
    normal(std::sqrt(2.0 / fan_in));
  } else if (name == "lecunUniform") {
    uniform(std::sqrt(3.0 / fan_in));
  } else if (name == "lecunNormal") {
    normal(std::sqrt(1.0 / fan_in));
  } else if (name == "orthogonal") {
    orthogonal(w, rows, cols, scale, random);
  } else if (name == "torch") {
    uniform(1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(torch_fan, 1))));
  } else {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected the name of an initializer for \"initializer\" but received \"" + name +
                    "\" (string)");
  }
}

}  // namespace ostinato
