// Jobs of one environment and their promises.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "binding/engine_thread.h"

namespace ostinato::binding {

// First in, first out, one job at a time: one team of threads is active, and jobs of one model
// never meet. The thread is made for the first job. While there are jobs, they keep the event loop
// alive; the thread itself does not.
class JobQueue {
 public:
  JobQueue() = default;
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  // Returns the job's promise.
  napi_value add(napi_env env, std::unique_ptr<Job> job, const void* owner, int64_t number);
  // Ends the owner's job of that number: at its next safe point when it runs, at once when it
  // waits.
  void cancel(napi_env env, const void* owner, int64_t number);
  void cancel_all(napi_env env, const void* owner);

 private:
  void start(napi_env env);
  void cancel_if(napi_env env, const std::function<bool(const Job&)>& matches);
  // Returns false when the environment takes no more calls.
  static bool settle(napi_env env, Job& job);
  // A job has been settled or, where there will be no answer, forgotten.
  void forget_one(napi_env env);
  static void on_finished(napi_env env, napi_value, void* queue, void*);
  static void on_cleanup(void* queue);

  EngineThread thread_;
  // Wakes the JavaScript thread; null before the first job, and when the environment goes down.
  napi_threadsafe_function wake_ = nullptr;
  bool down_ = false;
  int64_t pending_ = 0;
};

}  // namespace ostinato::binding
