#include "binding/model_config.h"

#include "binding/args.h"

namespace ostinato::binding {

namespace {

constexpr int64_t kMaxFeatures = int64_t{1} << 24;
constexpr int64_t kMaxSafeInteger = 9007199254740991;

template <class T>
struct Named {
  const char* name;
  T value;
};

constexpr Named<LossKind> kLosses[] = {
    {"sparseCategoricalCrossentropy", LossKind::kSparseCategoricalCrossentropy},
    {"categoricalCrossentropy", LossKind::kCategoricalCrossentropy},
    {"binaryCrossentropy", LossKind::kBinaryCrossentropy},
    {"meanSquaredError", LossKind::kMeanSquaredError},
    {"meanAbsoluteError", LossKind::kMeanAbsoluteError},
    {"huber", LossKind::kHuber},
    {"sparseCategoricalFocalCrossentropy", LossKind::kSparseCategoricalFocal},
    {"categoricalFocalCrossentropy", LossKind::kCategoricalFocal},
    {"binaryFocalCrossentropy", LossKind::kBinaryFocal},
    {"klDivergence", LossKind::kKlDivergence},
    {"cosine", LossKind::kCosine},
    {"quantile", LossKind::kQuantile},
    {"gaussian", LossKind::kGaussian},
    {"studentT", LossKind::kStudentT},
    {"negativeBinomial", LossKind::kNegativeBinomial},
    {"ctc", LossKind::kCtc},
};

constexpr Named<OptimizerKind> kOptimizers[] = {
    {"sgd", OptimizerKind::kSgd},     {"rmsprop", OptimizerKind::kRmsprop},
    {"adam", OptimizerKind::kAdam},   {"adagrad", OptimizerKind::kAdagrad},
    {"nadam", OptimizerKind::kNadam}, {"radam", OptimizerKind::kRadam},
    {"lion", OptimizerKind::kLion},   {"scheduleFreeAdamw", OptimizerKind::kScheduleFreeAdam},
};

constexpr Named<Averaging> kAveragings[] = {
    {"none", Averaging::kNone},
    {"ema", Averaging::kExponential},
    {"swa", Averaging::kEqual},
};

template <class T, size_t N>
T by_name(const Named<T> (&table)[N], const Napi::Object& from, const char* key) {
  const std::string name = text(from, key);
  for (const Named<T>& entry : table) {
    if (name == entry.name) return entry.value;
  }
  invalid(std::string("Expected a known name for \"") + key + "\" but received \"" + name +
          "\" (string)");
}

Option read_option(const Napi::Value& value, const std::string& name) {
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsNumber()) return value.As<Napi::Number>().DoubleValue();
  return text(value, name.c_str());
}

LayerConfig read_layer(const Napi::Object& from) {
  LayerConfig layer;
  layer.type = text(from, "type");
  layer.name = text(from, "name");
  const Napi::Object options = from.Get("options").As<Napi::Object>();
  const Napi::Array names = options.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).As<Napi::String>().Utf8Value();
    layer.options[name] = read_option(options.Get(name), name);
  }
  return layer;
}

std::vector<size_t> read_indices(const Napi::Array& from) {
  std::vector<size_t> indices;
  for (uint32_t i = 0; i < from.Length(); ++i) {
    indices.push_back(static_cast<size_t>(integer(from.Get(i), "index", 0, kMaxSafeInteger)));
  }
  return indices;
}

const char* role_name(ParamRole role) {
  switch (role) {
    case ParamRole::kKernel:
      return "kernel";
    case ParamRole::kRecurrent:
      return "recurrent";
    case ParamRole::kBias:
      return "bias";
    case ParamRole::kNorm:
      return "norm";
    case ParamRole::kEmbedding:
      return "embedding";
    case ParamRole::kStatistic:
      return "statistic";
  }
  return "kernel";
}

int64_t parameters_of(const Network& network, const std::string& layer) {
  const std::string prefix = layer + ".";
  int64_t count = 0;
  for (const ParamEntry& entry : network.params().entries()) {
    if (entry.name.starts_with(prefix)) count += entry.size;
  }
  return count;
}

}  // namespace

NetworkConfig read_network_config(const Napi::Object& from) {
  NetworkConfig config;
  config.seed = static_cast<uint64_t>(integer(from, "seed", 0, kMaxSafeInteger));
  const Napi::Array inputs = from.Get("inputs").As<Napi::Array>();
  for (uint32_t i = 0; i < inputs.Length(); ++i) {
    const Napi::Object input = inputs.Get(i).As<Napi::Object>();
    TimeAxis axis;
    if (input.Has("axis")) {
      axis.lengths = static_cast<size_t>(integer(input, "axis", 0, inputs.Length()));
    }
    config.inputs.push_back({integer(input, "features", 1, kMaxFeatures), flag(input, "timed"),
                             flag(input, "tokens"), axis});
  }
  const Napi::Array layers = from.Get("layers").As<Napi::Array>();
  for (uint32_t i = 0; i < layers.Length(); ++i) {
    config.layers.push_back(read_layer(layers.Get(i).As<Napi::Object>()));
  }
  const Napi::Array nodes = from.Get("nodes").As<Napi::Array>();
  for (uint32_t i = 0; i < nodes.Length(); ++i) {
    const Napi::Object node = nodes.Get(i).As<Napi::Object>();
    config.nodes.push_back({static_cast<size_t>(integer(node, "layer", 0, kMaxSafeInteger)),
                            read_indices(node.Get("inputs").As<Napi::Array>())});
  }
  config.outputs = read_indices(from.Get("outputs").As<Napi::Array>());
  return config;
}

std::vector<LossConfig> read_losses(const Napi::Value& from, const Network& network) {
  const Napi::Array given = from.As<Napi::Array>();
  if (given.Length() != network.outputs().size()) invalid("Expected a loss for each output");
  std::vector<LossConfig> losses;
  for (uint32_t i = 0; i < given.Length(); ++i) {
    losses.push_back(read_loss_config(given.Get(i).As<Napi::Object>()));
  }
  return losses;
}

LossConfig read_loss_config(const Napi::Object& from) {
  LossConfig config;
  config.kind = by_name(kLosses, from, "kind");
  config.from_logits = flag(from, "fromLogits");
  config.delta = number(from, "delta");
  config.smoothing = number(from, "labelSmoothing");
  config.gamma = number(from, "gamma");
  config.class_weights = floats(from.Env(), from.Get("classWeights"), "classWeights");
  config.blank = integer(from, "blank", 0, kMaxFeatures);
  config.weight = number(from, "weight");
  config.quantiles = floats(from.Env(), from.Get("quantiles"), "quantiles");
  return config;
}

OptimizerConfig read_optimizer_config(const Napi::Object& from, size_t parameters) {
  OptimizerConfig config;
  config.kind = by_name(kOptimizers, from, "kind");
  config.momentum = number(from, "momentum");
  config.nesterov = flag(from, "nesterov");
  config.rho = number(from, "rho");
  config.beta1 = number(from, "beta1");
  config.beta2 = number(from, "beta2");
  config.epsilon = number(from, "epsilon");
  config.weight_decay = number(from, "weightDecay");
  config.decay_all = flag(from, "decayAll");
  config.clip_norm = number(from, "clipNorm");
  config.clip_value = number(from, "clipValue");
  config.momentum_decay = number(from, "momentumDecay");
  config.initial_accumulator = number(from, "initialAccumulator");
  config.accumulate = integer(from, "accumulateSteps", 1, kMaxSafeInteger);
  config.averaging = by_name(kAveragings, from, "averaging");
  config.average_decay = number(from, "averageDecay");
  config.average_start = integer(from, "averageStart", 0, kMaxSafeInteger);
  config.average_every = integer(from, "averageEvery", 1, kMaxSafeInteger);
  config.rate_factors = doubles(from.Env(), from.Get("rateFactors"), "rateFactors");
  config.weight_decays = doubles(from.Env(), from.Get("weightDecays"), "weightDecays");
  for (const std::vector<double>* list : {&config.rate_factors, &config.weight_decays}) {
    if (!list->empty() && list->size() != parameters) {
      invalid("Expected a rate factor and a weight decay for each parameter, or none");
    }
  }
  return config;
}

namespace {

// What the first call of a layer gives.
const ValueShape& shape_of_layer(const Network& network, size_t layer) {
  size_t node = 0;
  while (network.nodes()[node].layer != layer) ++node;
  return network.shapes()[network.input_count() + node];
}

}  // namespace

napi_value describe(napi_env env, const Network& network,
                    const std::vector<Executor::StateSlot>& states) {
  Napi::Object result = Napi::Object::New(env);
  Napi::Array layers = Napi::Array::New(env);
  for (uint32_t i = 0; i < network.layers().size(); ++i) {
    const LayerConfig& config = network.layers()[i]->config();
    const ValueShape& shape = shape_of_layer(network, i);
    Napi::Object layer = Napi::Object::New(env);
    layer.Set("name", config.name);
    layer.Set("type", config.type);
    layer.Set("features", static_cast<double>(shape.features));
    layer.Set("timed", shape.timed);
    layer.Set("parameters", static_cast<double>(parameters_of(network, config.name)));
    layers.Set(i, layer);
  }
  result.Set("layers", layers);
  Napi::Array parameters = Napi::Array::New(env);
  const std::vector<ParamEntry>& entries = network.params().entries();
  for (uint32_t i = 0; i < entries.size(); ++i) {
    Napi::Object parameter = Napi::Object::New(env);
    parameter.Set("name", entries[i].name);
    Napi::Array shape = Napi::Array::New(env);
    for (uint32_t axis = 0; axis < entries[i].shape.size(); ++axis) {
      shape.Set(axis, static_cast<double>(entries[i].shape[axis]));
    }
    parameter.Set("shape", shape);
    parameter.Set("role", role_name(entries[i].role));
    parameters.Set(i, parameter);
  }
  result.Set("parameters", parameters);
  Napi::Array slots = Napi::Array::New(env);
  for (uint32_t i = 0; i < states.size(); ++i) {
    Napi::Object state = Napi::Object::New(env);
    state.Set("node", static_cast<double>(states[i].node));
    state.Set("name", states[i].info.name);
    state.Set("slots", static_cast<double>(states[i].info.slots));
    state.Set("features", static_cast<double>(states[i].info.features));
    slots.Set(i, state);
  }
  result.Set("states", slots);
  return result;
}

StateValues read_states(napi_env env, const Napi::Value& from,
                        const std::vector<Executor::StateSlot>& slots, int64_t rows) {
  if (from.IsNull() || from.IsUndefined()) return {};
  if (!from.IsArray()) throw Napi::TypeError::New(env, "Expected an array for \"initialStates\"");
  const Napi::Array given = from.As<Napi::Array>();
  if (given.Length() != slots.size()) invalid("Expected one entry for each state");
  StateValues values(slots.size());
  for (uint32_t i = 0; i < slots.size(); ++i) {
    const Napi::Value value = given.Get(i);
    if (value.IsNull()) continue;
    values[i] = floats(env, value, "initialStates");
    const StateInfo& info = slots[i].info;
    const int64_t wanted = checked_product(info.slots * info.features, rows);
    if (static_cast<int64_t>(values[i].size()) != wanted) {
      throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(wanted) +
                                            " numbers for state \"" + info.name +
                                            "\" but received " + std::to_string(values[i].size()));
    }
  }
  return values;
}

napi_value write_states(napi_env env, const StateValues& states) {
  Napi::Array result = Napi::Array::New(env, states.size());
  for (uint32_t i = 0; i < states.size(); ++i) {
    result.Set(i, Napi::Value(env, new_floats(env, states[i].data(), states[i].size())));
  }
  return result;
}

}  // namespace ostinato::binding
