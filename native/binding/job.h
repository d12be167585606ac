// One piece of work behind a promise.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>

#include "binding/args.h"

namespace ostinato::binding {

// Made, settled and destroyed on the JavaScript thread; only `execute` runs elsewhere. What a job
// needs it owns or shares, so that objects may be disposed while it runs.
class Job {
 public:
  Job() = default;
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Touches nothing that belongs to JavaScript. May throw.
  virtual void execute() = 0;
  // What the promise resolves to; called when `execute` did not throw. May throw.
  virtual napi_value result(napi_env env) = 0;

  const std::atomic<bool>* cancel_flag() const { return &cancelled_; }

 private:
  friend class EngineThread;
  friend class JobQueue;

  // Whose job it is, and its number there.
  const void* owner_ = nullptr;
  int64_t number_ = 0;
  std::atomic<bool> cancelled_{false};
  Failure failure_;
  napi_deferred deferred_ = nullptr;
};

}  // namespace ostinato::binding
