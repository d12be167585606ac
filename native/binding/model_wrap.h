// `Model` of the addon: one short method for each method of NativeModel in lib/native.ts, where
// their contracts stand.
#pragma once

#include <memory>

#include "binding/model_state.h"
#include "binding/wrap.h"

namespace ostinato::binding {

class ModelWrap {
 public:
  static constexpr const char* kName = "Model";
  static constexpr uint64_t kTag = 0x6f7374696e6174a1;

  static napi_value define(napi_env env);
  static std::unique_ptr<ModelWrap> create(const Call& call);

  // Throws ERR_DISPOSED.
  const std::shared_ptr<ModelState>& state() const;

 private:
  ModelWrap(napi_env env, std::shared_ptr<ModelState> state);

  napi_value describe(const Call& call);
  napi_value busy(const Call& call);
  napi_value read_parameter(const Call& call);
  napi_value write_parameter(const Call& call);
  napi_value read_gradient(const Call& call);
  napi_value configure_training(const Call& call);
  napi_value read_optimizer(const Call& call);
  napi_value write_optimizer(const Call& call);
  napi_value read_carried(const Call& call);
  napi_value write_carried(const Call& call);
  napi_value train(const Call& call);
  napi_value evaluate(const Call& call);
  napi_value predict(const Call& call);
  napi_value predict_sync(const Call& call);
  napi_value gradients(const Call& call);
  napi_value cancel(const Call& call);
  napi_value session(const Call& call);
  napi_value dispose(const Call& call);

  // Throws ERR_BUSY while a job that changes parameters waits or runs.
  ModelState& readable() const;
  // … while any job waits or runs.
  ModelState& writable() const;
  size_t parameter_index(const Call& call) const;

  std::shared_ptr<ModelState> state_;
  ExternalMemory memory_;
};

}  // namespace ostinato::binding
