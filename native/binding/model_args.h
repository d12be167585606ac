// What the methods of a model receive, read and checked against it.
#pragma once

#include <cstdint>
#include <vector>

#include "binding/args.h"
#include "binding/model_jobs.h"
#include "binding/wrap.h"

namespace ostinato::binding {

inline constexpr int64_t kMaxSafeInteger = 9007199254740991;
inline constexpr int64_t kMaxSteps = int64_t{1} << 31;

int read_threads(const Napi::Object& options);
int64_t read_job(const Napi::Object& options);
Divergence read_divergence(const Napi::Object& options);

// The dataset of argument i, which must have been checked against this model.
SharedDataset read_data(const Call& call, size_t i, const ModelState& model);

Batches read_batches(const Call& call, size_t i, const DatasetState& data);

// (data, samples, steps) as `predict` and `gradients` take them; states at argument `states`.
Prediction read_prediction(const Call& call, const ModelState& model, size_t states,
                           size_t options);
// What else a prediction is to give.
void read_wishes(const Napi::Object& options, Prediction& prediction);

// Throws when targets are not of the kind that the losses take.
void check_targets(const DatasetState& data, const std::vector<LossConfig>& losses);

// Without a loss the targets are gradients of the outputs.
void check_gradients(const Dataset& data, const ModelShape& shape);

}  // namespace ostinato::binding
