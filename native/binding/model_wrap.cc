#include "binding/model_wrap.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "binding/addon_data.h"
#include "binding/dataset_wrap.h"
#include "binding/model_args.h"
#include "binding/model_config.h"
#include "binding/model_jobs.h"
#include "binding/session_wrap.h"
#include "core/dispatch.h"

namespace ostinato::binding {

namespace {

// The least `inputDim` of the embeddings that read an input.
std::vector<int64_t> vocabularies(const Network& network) {
  std::vector<int64_t> result(network.input_count(), 0);
  for (const NodeConfig& node : network.nodes()) {
    for (const size_t value : node.inputs) {
      if (value >= result.size() || !network.shapes()[value].tokens) continue;
      const int64_t ids = network.layers()[node.layer]->config().integer("inputDim", 0);
      result[value] = result[value] == 0 ? ids : std::min(result[value], ids);
    }
  }
  return result;
}

}  // namespace

napi_value ModelWrap::define(napi_env env) {
  using M = ModelWrap;
  return define_class<M>(
      env,
      {method_property<M, &M::describe>("describe"), getter_property<M, &M::busy>("busy"),
       method_property<M, &M::read_parameter>("readParameter"),
       method_property<M, &M::write_parameter>("writeParameter"),
       method_property<M, &M::read_gradient>("readGradient"),
       method_property<M, &M::configure_training>("configureTraining"),
       method_property<M, &M::read_optimizer>("readOptimizer"),
       method_property<M, &M::write_optimizer>("writeOptimizer"),
       method_property<M, &M::read_carried>("readCarried"),
       method_property<M, &M::write_carried>("writeCarried"),
       method_property<M, &M::train>("train"), method_property<M, &M::evaluate>("evaluate"),
       method_property<M, &M::predict>("predict"),
       method_property<M, &M::predict_sync>("predictSync"),
       method_property<M, &M::gradients>("gradients"), method_property<M, &M::cancel>("cancel"),
       method_property<M, &M::session>("session"), method_property<M, &M::dispose>("dispose")});
}

std::unique_ptr<ModelWrap> ModelWrap::create(const Call& call) {
  const NetworkConfig config = read_network_config(call.object(0, "config"));
  std::shared_ptr<ModelState> state;
  if (call[1].IsUndefined()) {
    state = std::make_shared<ModelState>(std::make_shared<Network>(config, active_kernels()));
  } else {
    const ModelState& base = *unwrap<ModelWrap>(call.env, call.arguments[1]).state();
    state =
        std::make_shared<ModelState>(std::make_shared<Network>(config, base.network), base.uses);
  }
  state->vocabularies = vocabularies(*state->network);
  return std::unique_ptr<ModelWrap>(new ModelWrap(call.env, std::move(state)));
}

ModelWrap::ModelWrap(napi_env env, std::shared_ptr<ModelState> state)
    : state_(std::move(state)), memory_(env) {
  // Values, gradients, and about as much again in packed copies; those of a view are another's.
  if (state_->network->is_view()) return;
  memory_.set(state_->network->params().size() * static_cast<int64_t>(3 * sizeof(float)));
}

const std::shared_ptr<ModelState>& ModelWrap::state() const {
  if (state_ == nullptr) throw Error("ERR_DISPOSED", "The model has been disposed");
  return state_;
}

ModelState& ModelWrap::readable() const {
  ModelState& model = *state();
  if (model.uses->writers > 0) throw Error("ERR_BUSY", "The model is busy: it is being trained");
  return model;
}

ModelState& ModelWrap::writable() const {
  ModelState& model = readable();
  if (model.uses->readers > 0) throw Error("ERR_BUSY", "The model is busy: it is being read");
  return model;
}

napi_value ModelWrap::describe(const Call& call) {
  return binding::describe(call.env, *state()->network, state()->predictor.states());
}

napi_value ModelWrap::busy(const Call& call) {
  const ModelState& model = *state();
  return Napi::Boolean::New(call.env, model.uses->writers + model.uses->readers > 0);
}

size_t ModelWrap::parameter_index(const Call& call) const {
  const auto count = static_cast<int64_t>(state()->network->params().entries().size());
  return static_cast<size_t>(integer(call[0], "index", 0, count - 1));
}

napi_value ModelWrap::read_parameter(const Call& call) {
  const ParamTable& params = readable().network->params();
  const size_t i = parameter_index(call);
  return new_floats(call.env, params.value(static_cast<int>(i)), params.entries()[i].size);
}

napi_value ModelWrap::read_gradient(const Call& call) {
  const ParamTable& params = readable().network->params();
  const size_t i = parameter_index(call);
  return new_floats(call.env, params.gradient(static_cast<int>(i)), params.entries()[i].size);
}

napi_value ModelWrap::write_parameter(const Call& call) {
  ParamTable& params = writable().network->params();
  const size_t i = parameter_index(call);
  const std::vector<float> values = floats(call.env, call.arguments[1], "values");
  const int64_t size = params.entries()[i].size;
  if (static_cast<int64_t>(values.size()) != size) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(size) + " numbers for \"" +
                                          params.entries()[i].name + "\" but received " +
                                          std::to_string(values.size()));
  }
  std::memcpy(params.value(static_cast<int>(i)), values.data(), values.size() * sizeof(float));
  params.touch();
  return nullptr;
}

napi_value ModelWrap::configure_training(const Call& call) {
  ModelState& model = writable();
  if (model.network->is_view()) invalid("Expected the model that owns the weights");
  const std::vector<LossConfig> losses = read_losses(call[0], *model.network);
  const OptimizerConfig optimizer =
      read_optimizer_config(call.object(1, "optimizer"), model.network->params().entries().size());
  model.trainer = std::make_unique<Trainer>(model.network, losses, optimizer);
  return nullptr;
}

napi_value ModelWrap::read_optimizer(const Call& call) {
  ModelState& model = readable();
  if (model.trainer == nullptr) invalid("Expected a model that is configured for training");
  Optimizer& optimizer = model.trainer->optimizer();
  Napi::Object result = Napi::Object::New(call.env);
  result.Set("steps", static_cast<double>(optimizer.steps()));
  Napi::Array slots = Napi::Array::New(call.env);
  const std::vector<ParamEntry>& entries = model.network->params().entries();
  for (const Optimizer::Slot& from_slot : optimizer.slots()) {
    Napi::Object slot = Napi::Object::New(call.env);
    slot.Set("name", from_slot.name);
    Napi::Array values = Napi::Array::New(call.env);
    for (uint32_t k = 0; k < entries.size(); ++k) {
      const float* from = from_slot.values + entries[k].offset;
      values.Set(k, Napi::Value(call.env, new_floats(call.env, from, entries[k].size)));
    }
    slot.Set("values", values);
    slots.Set(slots.Length(), slot);
  }
  result.Set("slots", slots);
  result.Set("counters", Napi::Value(call.env, new_doubles(call.env, optimizer.counters())));
  return result;
}

napi_value ModelWrap::write_optimizer(const Call& call) {
  ModelState& model = writable();
  if (model.trainer == nullptr) invalid("Expected a model that is configured for training");
  Optimizer& optimizer = model.trainer->optimizer();
  const Napi::Object from = call.object(0, "state");
  const int64_t steps = integer(from, "steps", 0, kMaxSafeInteger);
  const Napi::Array slots = from.Get("slots").As<Napi::Array>();
  const std::vector<ParamEntry>& entries = model.network->params().entries();
  const std::vector<double> counters = doubles(call.env, from.Get("counters"), "counters");
  if (slots.Length() != optimizer.slots().size() || counters.size() != Optimizer::kCounters) {
    invalid("Expected the slots of this optimizer");
  }
  // All is read and checked before anything is written.
  std::vector<std::vector<float>> values;
  for (uint32_t i = 0; i < slots.Length(); ++i) {
    const Napi::Object slot = slots.Get(i).As<Napi::Object>();
    const Napi::Array arrays = slot.Get("values").As<Napi::Array>();
    if (text(slot, "name") != optimizer.slots()[i].name || arrays.Length() != entries.size()) {
      invalid("Expected the slots of this optimizer");
    }
    for (uint32_t k = 0; k < entries.size(); ++k) {
      values.push_back(floats(call.env, arrays.Get(k), "slots"));
      if (static_cast<int64_t>(values.back().size()) != entries[k].size) {
        throw Error("ERR_SHAPE_MISMATCH", "Expected slots of the parameters' sizes");
      }
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const ParamEntry& entry = entries[i % entries.size()];
    float* to = optimizer.slots()[i / entries.size()].values + entry.offset;
    std::memcpy(to, values[i].data(), values[i].size() * sizeof(float));
  }
  optimizer.restore(steps, counters);
  model.trainer->set_steps(optimizer.batches());
  return nullptr;
}

napi_value ModelWrap::read_carried(const Call& call) {
  ModelState& model = readable();
  if (model.trainer == nullptr) invalid("Expected a model that is configured for training");
  return write_states(call.env, model.trainer->carried());
}

napi_value ModelWrap::write_carried(const Call& call) {
  ModelState& model = writable();
  if (model.trainer == nullptr) invalid("Expected a model that is configured for training");
  const int64_t rows = integer(call[1], "rows", 0, kMaxSteps);
  model.trainer->carried() = read_states(call.env, call[0], model.predictor.states(), rows);
  return nullptr;
}

napi_value ModelWrap::train(const Call& call) {
  ModelState& model = writable();
  if (model.trainer == nullptr) invalid("Expected a model that is configured for training");
  SharedDataset data = read_data(call, 0, model);
  for (size_t i = 0; i < model.network->outputs().size(); ++i) {
    if (i > data->data.more_targets.size() ||
        data->data.target(i).target_kind == Dataset::TargetKind::kNone) {
      invalid("Expected data with targets");
    }
  }
  Batches batches = read_batches(call, 1, *data);
  std::vector<double> rates = doubles(call.env, call.arguments[2], "learningRates");
  if (rates.size() != batches.sizes.size()) invalid("Expected a learning rate for each batch");
  const Napi::Object options = call.object(3, "options");
  std::vector<double> momenta = doubles(call.env, options.Get("momenta"), "momenta");
  if (!momenta.empty() && momenta.size() != batches.sizes.size()) {
    invalid("Expected a momentum for each batch, or for none");
  }
  auto job = std::make_unique<TrainJob>(
      state_, std::move(data), std::move(batches), std::move(rates), std::move(momenta),
      flag(options, "carryState"), flag(options, "reset"), read_divergence(options),
      number(options, "budgetMs"), read_threads(options));
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), &model, read_job(options));
}

napi_value ModelWrap::evaluate(const Call& call) {
  ModelState& model = readable();
  SharedDataset data = read_data(call, 0, model);
  Batches batches = read_batches(call, 1, *data);
  const std::vector<LossConfig> losses = read_losses(call[2], *model.network);
  check_targets(*data, losses);
  const Napi::Object options = call.object(3, "options");
  auto job = std::make_unique<EvaluateJob>(state_, std::move(data), std::move(batches), losses,
                                           flag(options, "carryState"), flag(options, "reset"),
                                           number(options, "budgetMs"), read_threads(options));
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), &model, read_job(options));
}

napi_value ModelWrap::predict(const Call& call) {
  ModelState& model = readable();
  Prediction prediction = read_prediction(call, model, 3, 4);
  const Napi::Object options = call.object(4, "options");
  read_wishes(options, prediction);
  auto job = std::make_unique<PredictJob>(state_, std::move(prediction));
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), &model, read_job(options));
}

napi_value ModelWrap::predict_sync(const Call& call) {
  ModelState& model = readable();
  Prediction prediction = read_prediction(call, model, 3, 4);
  read_wishes(call.object(4, "options"), prediction);
  std::vector<float*> outputs;
  Napi::Array arrays = Napi::Array::New(call.env);
  for (const ValueShape& shape : model.network->model_shape().outputs) {
    float* output;
    const auto size = static_cast<size_t>(prediction.size(shape));
    arrays.Set(arrays.Length(), Napi::Value(call.env, new_floats(call.env, size, &output)));
    outputs.push_back(output);
  }
  prediction.run(model.sync_predictor, nullptr, outputs);
  return prediction_result(call.env, arrays, prediction);
}

napi_value ModelWrap::gradients(const Call& call) {
  ModelState& model = writable();
  Prediction batch = read_prediction(call, model, 4, 6);
  std::optional<std::vector<LossConfig>> loss;
  if (!call[3].IsNull()) {
    loss = read_losses(call[3], *model.network);
    check_targets(*batch.data, *loss);
  } else {
    check_gradients(batch.data->data, model.network->model_shape());
  }
  StateValues state_gradients = read_states(call.env, call[5], model.predictor.states(),
                                            static_cast<int64_t>(batch.samples.size()));
  const int64_t number = read_job(call.object(6, "options"));
  auto job = std::make_unique<GradientsJob>(state_, std::move(batch), std::move(loss),
                                            std::move(state_gradients));
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), &model, number);
}

napi_value ModelWrap::cancel(const Call& call) {
  if (state_ == nullptr) return nullptr;
  const int64_t number = integer(call[0], "job", 0, kMaxSafeInteger);
  AddonData::of(call.env).jobs.cancel(call.env, state_.get(), number);
  return nullptr;
}

napi_value ModelWrap::session(const Call& call) {
  constexpr int64_t kMaxStreams = int64_t{1} << 24;
  const int64_t streams = integer(call[0], "streams", 1, kMaxStreams);
  return SessionWrap::make(call.env, std::make_shared<SessionState>(state(), streams));
}

napi_value ModelWrap::dispose(const Call& call) {
  if (state_ == nullptr) return nullptr;
  AddonData::of(call.env).jobs.cancel_all(call.env, state_.get());
  state_.reset();
  memory_.set(0);
  return nullptr;
}

}  // namespace ostinato::binding
