#include "binding/model_args.h"

#include <string>

#include "binding/dataset_wrap.h"
#include "core/parallel.h"

namespace ostinato::binding {

int read_threads(const Napi::Object& options) {
  return static_cast<int>(integer(options, "threads", 1, kMaxThreads));
}

int64_t read_job(const Napi::Object& options) {
  return integer(options, "job", 0, kMaxSafeInteger);
}

SharedDataset read_data(const Call& call, size_t i, const ModelState& model) {
  SharedDataset data = unwrap<DatasetWrap>(call.env, call.arguments[i]).state();
  if (data->network != model.network) invalid("Expected a dataset that was made for this model");
  return data;
}

static std::vector<int32_t> read_samples(const Call& call, napi_value value,
                                         const DatasetState& data) {
  std::vector<int32_t> samples = int32s(call.env, value, "samples");
  for (const int32_t sample : samples) {
    if (sample < 0 || sample >= data.data.samples()) {
      invalid("Expected samples from 0 to " + std::to_string(data.data.samples() - 1) +
              " but received " + std::to_string(sample));
    }
  }
  return samples;
}

Batches read_batches(const Call& call, size_t i, const DatasetState& data) {
  const Napi::Object from = call.object(i, "batches");
  Batches batches;
  batches.samples = read_samples(call, from.Get("samples"), data);
  batches.sizes = int32s(call.env, from.Get("sizes"), "sizes");
  int64_t total = 0;
  for (const int32_t size : batches.sizes) {
    if (size < 1) invalid("Expected batches of at least one sample");
    total += size;
  }
  if (batches.sizes.empty() || total != static_cast<int64_t>(batches.samples.size())) {
    invalid("Expected sizes of batches that sum up to the number of samples");
  }
  return batches;
}

void check_targets(const DatasetState& data, const std::vector<LossConfig>& losses) {
  for (size_t i = 0; i < losses.size(); ++i) {
    const auto wanted =
        losses[i].is_sparse() ? Dataset::TargetKind::kLabels : Dataset::TargetKind::kDense;
    if (i > data.data.more_targets.size() || data.data.target(i).target_kind != wanted) {
      invalid("Expected targets of the kind that the loss takes");
    }
  }
}

void check_gradients(const Dataset& data, const ModelShape& shape) {
  for (size_t i = 0; i <= data.more_targets.size(); ++i) {
    const TargetData& target = data.target(i);
    if (target.target_kind == Dataset::TargetKind::kLabels) {
      invalid("Expected the gradient of the output, or nothing, in the place of targets");
    }
    if (target.target_kind == Dataset::TargetKind::kDense &&
        target.target_features != shape.outputs[i].features) {
      invalid("Expected a gradient of the output's features");
    }
  }
}

Divergence read_divergence(const Napi::Object& options) {
  const std::string name = text(options, "divergence");
  if (name == "stop") return Divergence::kStop;
  return name == "skip" ? Divergence::kSkip : Divergence::kUpdate;
}

Prediction read_prediction(const Call& call, const ModelState& model, size_t states,
                           size_t options) {
  Prediction prediction;
  prediction.data = read_data(call, 0, model);
  prediction.samples = read_samples(call, call.arguments[1], *prediction.data);
  prediction.steps = integer(call[2], "steps", 0, kMaxSteps);
  prediction.initial = read_states(call.env, call[states], model.predictor.states(),
                                   static_cast<int64_t>(prediction.samples.size()));
  prediction.threads = read_threads(call.object(options, "options"));
  return prediction;
}

void read_wishes(const Napi::Object& options, Prediction& prediction) {
  prediction.want_states = flag(options, "wantStates");
  prediction.want_attention = options.Has("wantAttention") && flag(options, "wantAttention");
}

}  // namespace ostinato::binding
