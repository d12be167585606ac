// The long calls of a model, as jobs.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "binding/job.h"
#include "binding/model_config.h"
#include "binding/model_state.h"

namespace ostinato::binding {

// Batches as consecutive runs of sample indices.
struct Batches {
  std::vector<int32_t> samples;
  std::vector<int32_t> sizes;
};

using SharedDataset = std::shared_ptr<const DatasetState>;

// Ends a slice of work when its time is up.
class Deadline {
 public:
  explicit Deadline(double milliseconds) : milliseconds_(milliseconds) {}
  void start() { start_ = std::chrono::steady_clock::now(); }
  bool passed() const {
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start_;
    return spent.count() >= milliseconds_;
  }

 private:
  double milliseconds_;
  std::chrono::steady_clock::time_point start_;
};

enum class Divergence : uint8_t { kStop, kSkip, kUpdate };

class TrainJob : public Job {
 public:
  TrainJob(std::shared_ptr<ModelState> model, SharedDataset data, Batches batches,
           std::vector<double> rates, std::vector<double> momenta, bool carry, bool reset,
           Divergence divergence, double budget_ms, int threads);
  void execute() override;
  napi_value result(napi_env env) override;

 private:
  Use model_;
  SharedDataset data_;
  Batches batches_;
  std::vector<double> rates_;
  std::vector<double> momenta_;  // empty: the optimiser's own
  bool carry_, reset_;
  Divergence divergence_;
  Deadline deadline_;
  int threads_;
  std::vector<double> losses_, penalties_, norms_;                      // [steps]
  std::vector<double> output_losses_, output_counts_, output_correct_;  // [steps, outputs]
  bool diverged_ = false;
};

class EvaluateJob : public Job {
 public:
  EvaluateJob(std::shared_ptr<ModelState> model, SharedDataset data, Batches batches,
              std::vector<LossConfig> losses, bool carry, bool reset, double budget_ms,
              int threads);
  void execute() override;
  napi_value result(napi_env env) override;

 private:
  Use model_;
  SharedDataset data_;
  Batches batches_;
  std::vector<LossConfig> losses_;
  bool carry_, reset_;
  Deadline deadline_;
  int threads_;
  size_t done_ = 0;
  std::vector<LossValue> totals_;  // by output
  double penalty_ = 0;
};

// What a prediction needs; used by the job and by the call on the JavaScript thread.
struct Prediction {
  SharedDataset data;
  std::vector<int32_t> samples;
  int64_t steps = 0;
  StateValues initial;
  int threads = 1;
  bool want_states = false;
  StateValues states;
  bool want_attention = false;
  std::vector<std::vector<float>> attention;

  // Floats of a value of that shape for the whole batch; throws ERR_INVALID_ARGUMENT for more than
  // can be counted.
  int64_t size(const ValueShape& shape) const;
  void run(Predictor& predictor, const std::atomic<bool>* cancel, std::span<float* const> outputs);
};

class PredictJob : public Job {
 public:
  PredictJob(std::shared_ptr<ModelState> model, Prediction prediction);
  void execute() override;
  napi_value result(napi_env env) override;

 private:
  Use model_;
  Prediction prediction_;
  std::vector<std::vector<float>> outputs_;
};

// { outputs, states, attention } of lib/native.ts.
napi_value prediction_result(napi_env env, napi_value outputs, const Prediction& prediction);

class GradientsJob : public Job {
 public:
  // Without losses the data's targets are the gradient of the output; see Predictor::gradients.
  GradientsJob(std::shared_ptr<ModelState> model, Prediction batch,
               std::optional<std::vector<LossConfig>> losses, StateValues state_gradients);
  void execute() override;
  napi_value result(napi_env env) override;

 private:
  Use model_;
  Prediction batch_;
  std::optional<std::vector<LossConfig>> losses_;
  StateValues state_gradients_;
  Predictor::Gradients gradients_;
};

}  // namespace ostinato::binding
