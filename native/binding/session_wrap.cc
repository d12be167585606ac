#include "binding/session_wrap.h"

#include <algorithm>
#include <utility>

#include "binding/addon_data.h"

namespace ostinato::binding {

namespace {

// The input of a step where it lies: ids or numbers, of the length that the streams need.
struct StepInput {
  const int32_t* tokens = nullptr;
  const float* floats = nullptr;
  size_t length = 0;
};

StepInput read_input(const Call& call, const SessionState& state) {
  const View view = view_of(call.env, call.arguments[0], "input");
  const ValueShape& shape = state.model->network->input_shape();
  const int64_t wanted = state.session.streams() * shape.features;
  if (view.type != (shape.tokens ? napi_int32_array : napi_float32_array)) {
    throw Napi::TypeError::New(call.env, shape.tokens ? "Expected an Int32Array for \"input\""
                                                      : "Expected a Float32Array for \"input\"");
  }
  if (static_cast<int64_t>(view.length) != wanted) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(wanted) +
                                          " numbers for \"input\" but received " +
                                          std::to_string(view.length));
  }
  StepInput input;
  input.length = view.length;
  if (!shape.tokens) {
    input.floats = static_cast<const float*>(view.data);
    return input;
  }
  input.tokens = static_cast<const int32_t*>(view.data);
  const int64_t vocabulary = state.model->vocabularies[0];
  for (size_t i = 0; i < view.length; ++i) {
    if (input.tokens[i] < 0 || input.tokens[i] >= vocabulary) {
      invalid("Expected a token id from 0 to " + std::to_string(vocabulary - 1) + " for \"input[" +
              std::to_string(i) + "]\" but received " + std::to_string(input.tokens[i]) +
              " (number)");
    }
  }
  return input;
}

int64_t output_size(const SessionState& state) {
  return state.session.streams() * state.model->network->output_shape().features;
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
  StepJob(std::shared_ptr<SessionState> state, const StepInput& input, int threads)
      : state_(std::move(state)), model_(state_->model, false), threads_(threads) {
    if (input.tokens != nullptr) tokens_.assign(input.tokens, input.tokens + input.length);
    if (input.floats != nullptr) floats_.assign(input.floats, input.floats + input.length);
    state_->stepping = true;
  }
  ~StepJob() override { state_->stepping = false; }

  void execute() override {
    output_.resize(output_size(*state_));
    state_->session.step(tokens_.data(), floats_.data(), output_.data(), threads_);
  }
  napi_value result(napi_env env) override {
    return new_floats(env, output_.data(), output_.size());
  }

 private:
  std::shared_ptr<SessionState> state_;
  Use model_;
  int threads_;
  std::vector<int32_t> tokens_;
  std::vector<float> floats_, output_;
};

}  // namespace

napi_value SessionWrap::define(napi_env env) {
  using S = SessionWrap;
  return define_class<S>(
      env, {getter_property<S, &S::streams>("streams"), method_property<S, &S::step>("step"),
            method_property<S, &S::step_sync>("stepSync"), method_property<S, &S::reset>("reset"),
            method_property<S, &S::read_state>("readState"),
            method_property<S, &S::write_state>("writeState"),
            method_property<S, &S::clone>("clone"), method_property<S, &S::dispose>("dispose")});
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
  if (state.model->writers > 0) throw Error("ERR_BUSY", "The model is busy: it is being trained");
  return state;
}

napi_value SessionWrap::streams(const Call& call) {
  if (state_ == nullptr) throw Error("ERR_DISPOSED", "The session has been disposed");
  return Napi::Number::New(call.env, static_cast<double>(state_->session.streams()));
}

napi_value SessionWrap::step(const Call& call) {
  const StepInput input = read_input(call, ready());
  const int threads = static_cast<int>(integer(call[1], "threads", 1, kMaxThreads));
  auto job = std::make_unique<StepJob>(state_, input, threads);
  return AddonData::of(call.env).jobs.add(call.env, std::move(job), state_.get(), 0);
}

napi_value SessionWrap::step_sync(const Call& call) {
  SessionState& state = ready();
  // No JavaScript runs between the look at the arrays and their use.
  const StepInput input = read_input(call, state);
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
