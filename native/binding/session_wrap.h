// `Session` of the addon; contracts stand in lib/native.ts.
#pragma once

#include <memory>

#include "binding/model_state.h"
#include "binding/wrap.h"
#include "core/session.h"

namespace ostinato::binding {

struct SessionState {
  SessionState(std::shared_ptr<ModelState> of, int64_t streams)
      : model(std::move(of)), session(model->network, streams) {}
  SessionState(const SessionState& other) : model(other.model), session(other.session) {}

  std::shared_ptr<ModelState> model;
  Session session;
  bool stepping = false;  // a step on another thread waits or runs
};

class SessionWrap {
 public:
  static constexpr const char* kName = "Session";
  static constexpr uint64_t kTag = 0x6f7374696e617451;

  static napi_value define(napi_env env);
  static std::unique_ptr<SessionWrap> create(const Call& call);
  // A JavaScript object for a session.
  static napi_value make(napi_env env, std::shared_ptr<SessionState> state);

 private:
  SessionWrap(napi_env env, std::shared_ptr<SessionState> state);

  napi_value streams(const Call& call);
  napi_value step(const Call& call);
  napi_value step_sync(const Call& call);
  napi_value step_all(const Call& call);
  napi_value step_all_sync(const Call& call);
  napi_value reset(const Call& call);
  napi_value read_state(const Call& call);
  napi_value write_state(const Call& call);
  napi_value clone(const Call& call);
  napi_value dispose(const Call& call);

  // Throws ERR_DISPOSED, or ERR_BUSY while a step waits or runs.
  SessionState& idle() const;
  // Also ERR_BUSY while the model is being trained.
  SessionState& ready() const;
  size_t input_count() const;
  std::vector<float>& state_values(const Call& call) const;

  std::shared_ptr<SessionState> state_;
  ExternalMemory memory_;
};

}  // namespace ostinato::binding
