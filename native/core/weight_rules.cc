#include "core/weight_rules.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/checks.h"
#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// Partial sums of an entry's penalty: the same for any number of threads.
constexpr int64_t kParts = 64;
// What a parameter costs, in multiply-adds, for the choice of threads.
constexpr int64_t kRuleCost = 2;

const char* prefix_of(ParamRole role) {
  switch (role) {
    case ParamRole::kKernel:
      return "kernel";
    case ParamRole::kRecurrent:
      return "recurrent";
    case ParamRole::kBias:
      return "bias";
    case ParamRole::kEmbedding:
      return "embeddings";
    case ParamRole::kNorm:
    case ParamRole::kStatistic:
      return nullptr;
  }
  return nullptr;
}

double sum_absolute(const float* x, int64_t n) {
  // Several sums, so that additions need not wait for each other.
  double sums[8] = {};
  for (int64_t i = 0; i < n; ++i) sums[i % 8] += std::abs(static_cast<double>(x[i]));
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

// The penalty of one entry.
double entry_penalty(const ParamEntry& entry, const float* values, const Kernels& kernels,
                     int threads) {
  const WeightRules& rules = entry.rules;
  const int64_t size = padded((entry.size + kParts - 1) / kParts);
  double sums[kParts] = {};
  parallel_for(threads_for(kRuleCost * entry.size, threads), (entry.size + size - 1) / size, 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t part = begin; part < end; ++part) {
                   const float* w = values + part * size;
                   const int64_t n = std::min(size, entry.size - part * size);
                   if (rules.l1 != 0) sums[part] += rules.l1 * sum_absolute(w, n);
                   if (rules.l2 != 0) sums[part] += rules.l2 * kernels.sum_squares(w, n);
                 }
               });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

void limit_rows(const ParamEntry& entry, float* values, const Kernels& kernels, int threads) {
  const int64_t rows = entry.shape.size() > 1 ? entry.shape[0] : 1;
  const int64_t cols = entry.size / rows;
  const WeightRules& rules = entry.rules;
  parallel_for(
      threads_for(kRuleCost * entry.size, threads), rows, 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          float* w = values + row * cols;
          const double norm = std::sqrt(kernels.sum_squares(w, cols));
          const bool scales =
              rules.constraint == Constraint::kUnitNorm ? norm > 0 : norm > rules.max;
          const double wanted = rules.constraint == Constraint::kUnitNorm ? 1.0 : rules.max;
          if (scales) kernels.scale(w, static_cast<float>(wanted / norm), cols);
        }
      });
}

}  // namespace

WeightRules weight_rules(const LayerConfig& config, ParamRole role) {
  WeightRules rules;
  const char* const prefix = prefix_of(role);
  if (prefix == nullptr) return rules;
  const std::string regularizer = std::string(prefix) + "Regularizer";
  const std::string constraint = std::string(prefix) + "Constraint";
  rules.l1 = range_option(config, regularizer + ".l1", 0.0, 0.0, INFINITY);
  rules.l2 = range_option(config, regularizer + ".l2", 0.0, 0.0, INFINITY);
  const std::string name = config.text(constraint, "none");
  if (name == "maxAbs") {
    rules.constraint = Constraint::kMaxAbs;
  } else if (name == "maxNorm") {
    rules.constraint = Constraint::kMaxNorm;
  } else if (name == "unitNorm") {
    rules.constraint = Constraint::kUnitNorm;
  } else if (name == "nonNeg") {
    rules.constraint = Constraint::kNonNeg;
  } else if (name != "none") {
    throw Error("ERR_INVALID_ARGUMENT", "Expected a constraint for \"" + constraint +
                                            "\" of layer \"" + config.name + "\" but received \"" +
                                            name + "\" (string)");
  }
  if (role == ParamRole::kRecurrent) {
    rules.drop = range_option(config, "weightDrop", 0.0, 0.0, 1.0);
  }
  rules.max = range_option(config, constraint + ".max", 1.0, 0.0, INFINITY);
  return rules;
}

double weight_penalty(const ParamTable& params, const Kernels& kernels, int threads) {
  double sum = 0;
  if (!params.regularized()) return sum;
  for (const ParamEntry& entry : params.entries()) {
    if (!entry.rules.regularizes()) continue;
    sum += entry_penalty(entry, params.values() + entry.offset, kernels, threads);
  }
  return sum;
}

void add_penalty_gradients(const ParamTable& params, const Kernels& kernels, int threads) {
  if (!params.regularized()) return;
  for (const ParamEntry& entry : params.entries()) {
    const WeightRules& rules = entry.rules;
    if (!rules.regularizes()) continue;
    parallel_for(threads_for(kRuleCost * entry.size, threads), entry.size, kPad,
                 [&](int64_t begin, int64_t end) {
                   const float* w = params.values() + entry.offset;
                   float* g = params.gradients() + entry.offset;
                   if (rules.l2 != 0) {
                     kernels.add_scaled(g + begin, w + begin, static_cast<float>(2.0 * rules.l2),
                                        end - begin);
                   }
                   if (rules.l1 == 0) return;
                   const auto l1 = static_cast<float>(rules.l1);
                   for (int64_t i = begin; i < end; ++i) {
                     g[i] += w[i] > 0 ? l1 : w[i] < 0 ? -l1 : 0.0f;
                   }
                 });
  }
}

void constrain(const ParamTable& params, const Kernels& kernels, float* values, int threads) {
  if (!params.constrained()) return;
  for (const ParamEntry& entry : params.entries()) {
    const Constraint constraint = entry.rules.constraint;
    float* w = values + entry.offset;
    if (constraint == Constraint::kMaxNorm || constraint == Constraint::kUnitNorm) {
      limit_rows(entry, w, kernels, threads);
    } else if (constraint != Constraint::kNone) {
      // A NaN stays one.
      const bool absolute = constraint == Constraint::kMaxAbs;
      const auto high = absolute ? static_cast<float>(entry.rules.max) : INFINITY;
      const float low = absolute ? -high : 0.0f;
      parallel_for(threads_for(kRuleCost * entry.size, threads), entry.size, kPad,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) w[i] = std::clamp(w[i], low, high);
                   });
    }
  }
}

}  // namespace ostinato
