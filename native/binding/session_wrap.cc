#include "binding/session_wrap.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "binding/addon_data.h"
#include "binding/model_config.h"

namespace ostinato::binding {

namespace {

// The input of a step where it lies: ids or numbers, of the length that the streams need.
struct StepInput {
  const int32_t* tokens = nullptr;
  const float* floats = nullptr;
  size_t length = 0;
};

StepInput read_input(napi_env env, napi_value value, const char* name, size_t index,
                     const SessionState& state) {
  const View view = view_of(env, value, name);
  const ValueShape& shape = state.model->network->model_shape().inputs[index];
  const int64_t wanted = state.session.streams() * shape.features;
  if (view.type != (shape.tokens ? napi_int32_array : napi_float32_array)) {
    throw Napi::TypeError::New(env, std::string("Expected ") +
                                        (shape.tokens ? "an Int32Array" : "a Float32Array") +
                                        " for \"" + name + "\"");
  }
  if (static_cast<int64_t>(view.length) != wanted) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(wanted) + " numbers for \"" +
                                          name + "\" but received " + std::to_string(view.length));
  }
  StepInput input;
  input.length = view.length;
  if (!shape.tokens) {
    input.floats = static_cast<const float*>(view.data);
    return input;
  }
  input.tokens = static_cast<const int32_t*>(view.data);
  const int64_t vocabulary = state.model->vocabularies[index];
  for (size_t i = 0; i < view.length; ++i) {
    if (input.tokens[i] < 0 || input.tokens[i] >= vocabulary) {
      invalid("Expected a token id from 0 to " + std::to_string(vocabulary - 1) + " for \"" + name +
              "[" + std::to_string(i) + "]\" but received " + std::to_string(input.tokens[i]) +
              " (number)");
    }
  }
  return input;
}

// The input of a network of one, whose output is one, too.
StepInput read_single(const Call& call, const SessionState& state) {
  const Network& network = *state.model->network;
  if (network.input_count() != 1 || network.outputs().size() != 1) {
    invalid("Expected a model of one input and one output for a single step");
  }
  return read_input(call.env, call.arguments[0], "input", 0, state);
}

// The arrays of a list. Its getters may run JavaScript, so this comes before any look at a state or
// into the arrays.
std::vector<napi_value> list_of(const Call& call, size_t count) {
  const Napi::Array list = call.object(0, "inputs").As<Napi::Array>();
  if (!list.IsArray() || list.Length() != count) {
    invalid("Expected a list of " + std::to_string(count) + " arrays for \"inputs\"");
  }
  std::vector<napi_value> values;
  for (uint32_t i = 0; i < count; ++i) values.push_back(list.Get(i));
  return values;
}

std::vector<StepInput> read_inputs(const Call& call, const std::vector<napi_value>& values,
                                   const SessionState& state) {
  std::vector<StepInput> inputs;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string name = "inputs[" + std::to_string(i) + "]";
    inputs.push_back(read_input(call.env, values[i], name.c_str(), i, state));
  }
  return inputs;
}

int read_thread_count(const Call& call) {
  return static_cast<int>(integer(call[1], "threads", 1, kMaxThreads));
}

int64_t output_size(const SessionState& state, size_t output = 0) {
  return state.session.streams() * state.model->network->model_shape().outputs[output].features;
}

// Where the caller wants the output; throws unless it is memory of just that size.
float* read_output(const Call& call, size_t i, const SessionState& state) {
  const View view = view_of(call.env, call.arguments[i], "output");
  if (view.type != napi_float32_array) {
    throw Napi::TypeError::New(call.env, "Expected a Float32Array for \"output\"");
  }
  const int64_t wanted = output_size(state);
  if (static_cast<int64_t>(view.length) != wanted) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(wanted) +
                                          " numbers for \"output\" but received " +
                                          std::to_string(view.length));
  }
  return static_cast<float*>(view.data);
}

class StepJob : public Job {
 public:
  // Gives a list of outputs if `all`, else the first.
  StepJob(std::shared_ptr<SessionState> state, std::span<const StepInput> inputs, bool all,
          int threads)
      : state_(std::move(state)), model_(state_->model, false), all_(all), threads_(threads) {
    for (const StepInput& input : inputs) {
      Held& held = inputs_.emplace_back();
      if (input.tokens != nullptr) held.tokens.assign(input.tokens, input.tokens + input.length);
      if (input.floats != nullptr) held.floats.assign(input.floats, input.floats + input.length);
    }
    state_->stepping = true;
  }
  ~StepJob() override { state_->stepping = false; }

  void execute() override {
    std::vector<StepValue> values;
    for (const Held& held : inputs_) {
      values.push_back(held.tokens.empty() ? StepValue{nullptr, held.floats.data()}
                                           : StepValue{held.tokens.data(), nullptr});
    }
    std::vector<float*> outputs;
    for (size_t i = 0; i < state_->model->network->outputs().size(); ++i) {
      outputs_.emplace_back(output_size(*state_, i));
      outputs.push_back(outputs_.back().data());
    }
    state_->session.step(values, outputs, threads_);
  }
  napi_value result(napi_env env) override {
    if (all_) return write_states(env, outputs_);
    return new_floats(env, outputs_[0].data(), outputs_[0].size());
  }

 private:
  struct Held {
    std::vector<int32_t> tokens;
    std::vector<float> floats;
  };
  std::shared_ptr<SessionState> state_;
  Use model_;
  bool all_;
  int threads_;
  std::vector<Held> inputs_;
  std::vector<std::vector<float>> outputs_;
};

}  // namespace

napi_value SessionWrap::define(napi_env env) {
  using S = SessionWrap;
  return define_class<S>(
      env,
      {getter_property<S, &S::streams>("streams"), method_property<S, &S::step>("step"),
       method_property<S, &S::step_sync>("stepSync"), method_property<S, &S::step_all>("stepAll"),
       method_property<S, &S::step_all_sync>("stepAllSync"), method_property<S, &S::reset>("reset"),
       method_property<S, &S::read_state>("readState"),
       method_property<S, &S::write_state>("writeState"), method_property<S, &S::clone>("clone"),
       method_property<S, &S::dispose>("dispose")});
}

std::unique_ptr<SessionWrap> SessionWrap::create(const Call& call) {
  // Only `make` calls the class with an external; to JavaScript there is no way in.
  void* data = nullptr;
  napi_valuetype type = napi_undefined;
  napi_typeof(call.env, call.arguments[0], &type);
  if (type != napi_external) throw Napi::TypeError::New(call.env, "Illegal constructor");
  bool ours = false;
  check(call.env,
        napi_check_object_type_tag(call.env, call.arguments[0], &tag_of<SessionWrap>(), &ours));
  if (!ours) throw Napi::TypeError::New(call.env, "Illegal constructor");
  check(call.env, napi_get_value_external(call.env, call.arguments[0], &data));
  return std::unique_ptr<SessionWrap>(
      new SessionWrap(call.env, *static_cast<std::shared_ptr<SessionState>*>(data)));
}

napi_value SessionWrap::make(napi_env env, std::shared_ptr<SessionState> state) {
  napi_value constructor, external, object;
  check(env, napi_get_reference_value(env, AddonData::of(env).session_class, &constructor));
  check(env, napi_create_external(env, &state, nullptr, nullptr, &external));
  check(env, napi_type_tag_object(env, external, &tag_of<SessionWrap>()));
  check(env, napi_new_instance(env, constructor, 1, &external, &object));
  return object;
}

SessionWrap::SessionWrap(napi_env env, std::shared_ptr<SessionState> state)
    : state_(std::move(state)), memory_(env) {
  int64_t floats = 0;
  for (const std::vector<float>& values : state_->session.values()) {
    floats += static_cast<int64_t>(values.size());
  }
  // The states, and about as much in the workspace.
  memory_.set(floats * static_cast<int64_t>(2 * sizeof(float)));
}

SessionState& SessionWrap::idle() const {
  if (state_ == nullptr) throw Error("ERR_DISPOSED", "The session has been disposed");
  if (state_->stepping) throw Error("ERR_BUSY", "The session is busy: a step has not finished");
  return *state_;
}

SessionState& SessionWrap::ready() const {
  SessionState& state = idle();
  if (state.model->uses->writers > 0)
    throw Error("ERR_BUSY", "The model is busy: it is being trained");
  return state;
}

size_t SessionWrap::input_count() const { return idle().model->network->input_count(); }

napi_value SessionWrap::streams(const Call& call) {
  if (state_ == nullptr) throw Error("ERR_DISPOSED", "The session has been disposed");
  return Napi::Number::New(call.env, static_cast<double>(state_->session.streams()));
}

napi_value SessionWrap::step(const Call& call) {
  const StepInput input = read_single(call, ready());
  auto job =
      std::make_unique<StepJob>(state_, std::span(&input, 1), false, read_thread_count(call));
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), state_.get(), 0);
}

napi_value SessionWrap::step_all(const Call& call) {
  const std::vector<napi_value> values = list_of(call, input_count());
  const std::vector<StepInput> inputs = read_inputs(call, values, ready());
  auto job = std::make_unique<StepJob>(state_, inputs, true, read_thread_count(call));
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), state_.get(), 0);
}

napi_value SessionWrap::step_all_sync(const Call& call) {
  const std::vector<napi_value> given = list_of(call, input_count());
  SessionState& state = ready();
  const std::vector<StepInput> inputs = read_inputs(call, given, state);
  std::vector<StepValue> values;
  for (const StepInput& input : inputs) values.push_back({input.tokens, input.floats});
  std::vector<float*> outputs;
  Napi::Array arrays = Napi::Array::New(call.env);
  for (size_t i = 0; i < state.model->network->outputs().size(); ++i) {
    float* output;
    const auto size = static_cast<size_t>(output_size(state, i));
    arrays.Set(arrays.Length(), Napi::Value(call.env, new_floats(call.env, size, &output)));
    outputs.push_back(output);
  }
  state.session.step(values, outputs, read_thread_count(call));
  return arrays;
}

napi_value SessionWrap::step_sync(const Call& call) {
  SessionState& state = ready();
  // No JavaScript runs between the look at the arrays and their use.
  const StepInput input = read_single(call, state);
  int32_t threads = 1;
  check(call.env, napi_get_value_int32(call.env, call.arguments[1], &threads));
  float* output;
  napi_value array = call.arguments[2];
  if (call.count > 2 && !call[2].IsUndefined()) {
    output = read_output(call, 2, state);
  } else {
    array = new_floats(call.env, static_cast<size_t>(output_size(state)), &output);
  }
  state.session.step(input.tokens, input.floats, output,
                     std::clamp(threads, 1, static_cast<int>(kMaxThreads)));
  return array;
}

napi_value SessionWrap::reset(const Call&) {
  idle().session.reset();
  return nullptr;
}

std::vector<float>& SessionWrap::state_values(const Call& call) const {
  StateValues& values = idle().session.values();
  const auto last = static_cast<int64_t>(values.size()) - 1;
  return values[static_cast<size_t>(integer(call[0], "index", 0, last))];
}

napi_value SessionWrap::read_state(const Call& call) {
  const std::vector<float>& values = state_values(call);
  return new_floats(call.env, values.data(), values.size());
}

napi_value SessionWrap::write_state(const Call& call) {
  std::vector<float>& values = state_values(call);
  std::vector<float> given = floats(call.env, call.arguments[1], "values");
  if (given.size() != values.size()) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(values.size()) +
                                          " numbers for a state but received " +
                                          std::to_string(given.size()));
  }
  values = std::move(given);
  return nullptr;
}

napi_value SessionWrap::clone(const Call& call) {
  return make(call.env, std::make_shared<SessionState>(idle()));
}

napi_value SessionWrap::dispose(const Call&) {
  state_.reset();
  memory_.set(0);
  return nullptr;
}

}  // namespace ostinato::binding
