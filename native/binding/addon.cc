// The addon's entry: what it exports, and what it keeps for each environment.
#include <napi.h>

#include <memory>
#include <string>

#include "binding/addon_data.h"
#include "binding/dataset_wrap.h"
#include "binding/model_wrap.h"
#include "binding/session_wrap.h"
#include "core/dispatch.h"
#include "core/parallel.h"

namespace ostinato::binding {

namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#elif defined(_MSC_VER)
  return "msvc " + std::to_string(_MSC_VER);
#else
  return "unknown";
#endif
}

const char* parallel() {
#if defined(OSTINATO_PARALLEL_OPENMP)
  return "openmp";
#elif defined(OSTINATO_PARALLEL_THREADS)
  return "threads";
#else
  return "serial";
#endif
}

Napi::Value info_value(napi_env env) {
  const Kernels& kernels = active_kernels();
  Napi::Object result = Napi::Object::New(env);
  result.Set("isa", kernels.name);
  Napi::Array isas = Napi::Array::New(env);
  for (const Kernels* table : available_kernels()) isas.Set(isas.Length(), table->name);
  result.Set("isas", isas);
  result.Set("parallel", parallel());
  result.Set("compiler", compiler());
  Napi::Array cells = Napi::Array::New(env);
  for (int i = 0; i < kernels.cell_count; ++i) {
    const CellInfo& cell = kernels.cells[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", cell.name);
    entry.Set("gates", cell.gates);
    Napi::Array states = Napi::Array::New(env);
    for (uint32_t s = 0; s < static_cast<uint32_t>(cell.states); ++s) {
      states.Set(s, cell.state_names[s]);
    }
    entry.Set("states", states);
    cells.Set(static_cast<uint32_t>(i), entry);
  }
  result.Set("cells", cells);
  return result;
}

napi_value info(napi_env env, napi_callback_info) {
  return guarded(env, [&]() -> napi_value { return info_value(env); });
}

// Deleted with the environment, after its cleanup hooks, of which the queue of jobs has one.
AddonData* install_data(napi_env env) {
  auto data = std::make_unique<AddonData>();
  const auto finalize = [](napi_env, void* held, void*) { delete static_cast<AddonData*>(held); };
  check(env, napi_set_instance_data(env, data.get(), finalize, nullptr));
  return data.release();
}

napi_value initialize(napi_env env, napi_value exports) {
  return guarded(env, [&]() -> napi_value {
    AddonData* data = install_data(env);
    check(env, napi_create_reference(env, SessionWrap::define(env), 1, &data->session_class));
    Napi::Object object(env, exports);
    object.Set(
        "info", Napi::Function(env, [&] {
          napi_value function;
          check(env, napi_create_function(env, "info", NAPI_AUTO_LENGTH, info, nullptr, &function));
          return function;
        }()));
    object.Set("Model", Napi::Value(env, ModelWrap::define(env)));
    object.Set("Dataset", Napi::Value(env, DatasetWrap::define(env)));
    return exports;
  });
}

}  // namespace

}  // namespace ostinato::binding

NAPI_MODULE_INIT() { return ostinato::binding::initialize(env, exports); }
