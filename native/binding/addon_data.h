// What the addon keeps for each environment (the main thread, each worker).
#pragma once

#include <napi.h>

#include "binding/job_queue.h"

namespace ostinato::binding {

struct AddonData {
  JobQueue jobs;
  // The class of sessions, which only models make.
  napi_ref session_class = nullptr;

  static AddonData& of(napi_env env) {
    void* data = nullptr;
    check(env, napi_get_instance_data(env, &data));
    if (data == nullptr) throw Error("ERR_ABORTED", "The environment is going down");
    return *static_cast<AddonData*>(data);
  }
};

}  // namespace ostinato::binding
