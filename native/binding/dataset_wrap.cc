#include "binding/dataset_wrap.h"

#include <utility>

#include "binding/model_wrap.h"

namespace ostinato::binding {

namespace {

bool given(const Napi::Object& config, const char* name) { return !config.Get(name).IsUndefined(); }

template <class Values>
int64_t bytes(const Values& values) {
  return static_cast<int64_t>(values.size() * sizeof(typename Values::value_type));
}

constexpr int64_t kMaxFeatures = int64_t{1} << 24;
constexpr int64_t kMaxSteps = int64_t{1} << 31;

void read_input(napi_env env, const Napi::Object& config, InputData& data) {
  data.features = integer(config, "features", 1, kMaxFeatures);
  data.tokens = given(config, "tokens");
  if (data.tokens) {
    data.input_tokens = int32s(env, config.Get("tokens"), "tokens");
  } else {
    data.input_floats = float_storage(env, config.Get("floats"), "floats");
  }
  data.input_offset = offsets(env, config.Get("inputOffsets"), "inputOffsets");
}

void read_targets(napi_env env, const Napi::Object& config, TargetData& data) {
  data.target_timed = flag(config, "targetTimed");
  data.target_features = integer(config, "targetFeatures", 1, kMaxFeatures);
  data.targets_are_inputs = given(config, "targetsAreInputs") && flag(config, "targetsAreInputs");
  if (given(config, "labels")) data.target_labels = int32s(env, config.Get("labels"), "labels");
  if (given(config, "targets"))
    data.target_floats = float_storage(env, config.Get("targets"), "targets");
  if (data.targets_are_inputs || given(config, "labels")) {
    data.target_kind = Dataset::TargetKind::kLabels;
  } else if (given(config, "targets")) {
    data.target_kind = Dataset::TargetKind::kDense;
  } else {
    return;
  }
  data.target_offset = offsets(env, config.Get("targetOffsets"), "targetOffsets");
  if (given(config, "weights")) data.weights = floats(env, config.Get("weights"), "weights");
  if (given(config, "mask")) data.mask = floats(env, config.Get("mask"), "mask");
}

// The config is that of the first input and output; further ones are lists of their own.
void read_all(napi_env env, const Napi::Object& config, Dataset& data) {
  data.length = int32s(env, config.Get("lengths"), "lengths");
  read_input(env, config, data);
  read_targets(env, config, data);
  const bool axes = given(config, "moreLengths");
  const Napi::Array lengths =
      axes ? config.Get("moreLengths").As<Napi::Array>() : Napi::Array::New(env);
  for (uint32_t i = 0; i < lengths.Length(); ++i) {
    const Napi::Object axis = lengths.Get(i).As<Napi::Object>();
    data.more_lengths.push_back(
        {int32s(env, axis.Get("lengths"), "lengths"), integer(axis, "steps", 0, kMaxSteps)});
  }
  const Napi::Array inputs = config.Get("moreInputs").As<Napi::Array>();
  for (uint32_t i = 0; i < inputs.Length(); ++i) {
    read_input(env, inputs.Get(i).As<Napi::Object>(), data.more_inputs.emplace_back());
  }
  const Napi::Array targets = config.Get("moreTargets").As<Napi::Array>();
  for (uint32_t i = 0; i < targets.Length(); ++i) {
    read_targets(env, targets.Get(i).As<Napi::Object>(), data.more_targets.emplace_back());
  }
}

int64_t input_bytes(const InputData& data) {
  return bytes(data.input_tokens) + bytes(data.input_floats) + bytes(data.input_offset);
}

int64_t target_bytes(const TargetData& data) {
  return bytes(data.target_labels) + bytes(data.target_floats) + bytes(data.target_offset) +
         bytes(data.weights) + bytes(data.mask);
}

}  // namespace

napi_value DatasetWrap::define(napi_env env) {
  return define_class<DatasetWrap>(
      env, {getter_property<DatasetWrap, &DatasetWrap::samples>("samples"),
            method_property<DatasetWrap, &DatasetWrap::write_input>("writeInput"),
            method_property<DatasetWrap, &DatasetWrap::dispose>("dispose")});
}

std::unique_ptr<DatasetWrap> DatasetWrap::create(const Call& call) {
  const Napi::Object config = call.object(0, "config");
  const ModelState& model = *unwrap<ModelWrap>(call.env, call.arguments[1]).state();
  auto state = std::make_shared<DatasetState>();
  read_all(call.env, config, state->data);
  state->data.validate(model.network->model_shape(), model.vocabularies);
  state->network = model.network;
  state->vocabularies = model.vocabularies;
  return std::unique_ptr<DatasetWrap>(new DatasetWrap(call.env, std::move(state)));
}

DatasetWrap::DatasetWrap(napi_env env, std::shared_ptr<DatasetState> state)
    : state_(std::move(state)), memory_(env) {
  const Dataset& data = state_->data;
  int64_t size = bytes(data.length);
  for (const AxisLengths& axis : data.more_lengths) size += bytes(axis.length);
  for (size_t i = 0; i <= data.more_inputs.size(); ++i) size += input_bytes(data.input(i));
  for (size_t i = 0; i <= data.more_targets.size(); ++i) size += target_bytes(data.target(i));
  memory_.set(size);
}

DatasetState& DatasetWrap::present() const {
  if (state_ == nullptr) throw Error("ERR_DISPOSED", "The dataset has been disposed");
  return *state_;
}

std::shared_ptr<const DatasetState> DatasetWrap::state() const {
  present();
  return state_;
}

napi_value DatasetWrap::samples(const Call& call) {
  return Napi::Number::New(call.env, static_cast<double>(present().data.samples()));
}

napi_value DatasetWrap::write_input(const Call& call) {
  DatasetState& state = present();
  // A job holds the state while it may read it.
  if (state_.use_count() > 1) throw Error("ERR_BUSY", "The dataset is busy: it is being read");
  const auto inputs = static_cast<int64_t>(state.data.more_inputs.size());
  const auto input = static_cast<size_t>(integer(call[0], "input", 0, inputs));
  const int64_t sample = integer(call[1], "sample", 0, state.data.samples() - 1);
  if (state.vocabularies[input] > 0) {
    state.data.write_tokens(input, sample, int32s(call.env, call.arguments[2], "values"),
                            state.vocabularies[input]);
  } else {
    state.data.write_floats(input, sample, floats(call.env, call.arguments[2], "values"));
  }
  return nullptr;
}

napi_value DatasetWrap::dispose(const Call&) {
  state_.reset();
  memory_.set(0);
  return nullptr;
}

}  // namespace ostinato::binding
