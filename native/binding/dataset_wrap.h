// `Dataset` of the addon: an owned copy of training data.
#pragma once

#include <memory>

#include "binding/model_state.h"
#include "binding/wrap.h"

namespace ostinato::binding {

class DatasetWrap {
 public:
  static constexpr const char* kName = "Dataset";
  static constexpr uint64_t kTag = 0x6f7374696e6174d1;

  static napi_value define(napi_env env);
  // new Dataset(config, model): copies, then checks everything that the core relies on.
  static std::unique_ptr<DatasetWrap> create(const Call& call);

  // Throws ERR_DISPOSED.
  std::shared_ptr<const DatasetState> state() const;

 private:
  DatasetWrap(napi_env env, std::shared_ptr<DatasetState> state);
  napi_value samples(const Call& call);
  napi_value write_input(const Call& call);
  napi_value dispose(const Call& call);

  DatasetState& present() const;  // throws ERR_DISPOSED

  std::shared_ptr<DatasetState> state_;
  ExternalMemory memory_;
};

}  // namespace ostinato::binding
