// Work on other threads behind promises, one piece at a time in an environment.
#pragma once

#include <napi.h>

#include <atomic>
#include <deque>
#include <memory>

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
  friend class JobQueue;

  // Whose job it is, and its number there.
  const void* owner_ = nullptr;
  int64_t number_ = 0;
  std::atomic<bool> cancelled_{false};
  Failure failure_;
  class JobQueue* queue_ = nullptr;
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
};

// First in, first out, one job at a time: one team of threads is active, and jobs of one model
// never meet. Node gives each job a thread of its pool.
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
  // The environment goes down: raises the running job's flag and forgets the waiting ones.
  void shut_down();

 private:
  template <class Fn>
  void cancel_if(napi_env env, const Fn& matches);
  void start_next(napi_env env);
  // Returns false when the environment takes no more calls.
  static bool settle(napi_env env, Job& job);
  static void execute(napi_env env, void* data);
  static void complete(napi_env env, napi_status status, void* data);

  std::unique_ptr<Job> running_;
  std::deque<std::unique_ptr<Job>> waiting_;
};

}  // namespace ostinato::binding
