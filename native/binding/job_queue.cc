#include "binding/job_queue.h"

#include <string>
#include <utility>
#include <vector>

namespace ostinato::binding {

void JobQueue::start(napi_env env) {
  if (down_) throw Error("ERR_ABORTED", "The environment is going down");
  napi_value name;
  check(env, napi_create_string_utf8(env, "ostinato", NAPI_AUTO_LENGTH, &name));
  napi_threadsafe_function wake;
  check(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                             this, on_finished, &wake));
  check(env, napi_unref_threadsafe_function(env, wake));
  try {
    // Hooks run last in, first out: the thread ends before Node takes `wake` apart.
    check(env, napi_add_env_cleanup_hook(env, on_cleanup, this));
    thread_.start([wake] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); });
  } catch (...) {
    napi_remove_env_cleanup_hook(env, on_cleanup, this);
    napi_release_threadsafe_function(wake, napi_tsfn_release);
    throw;
  }
  wake_ = wake;
}

void JobQueue::on_cleanup(void* data) {
  auto* queue = static_cast<JobQueue*>(data);
  queue->thread_.stop();
  napi_release_threadsafe_function(std::exchange(queue->wake_, nullptr), napi_tsfn_release);
  queue->down_ = true;
}

napi_value JobQueue::add(napi_env env, std::unique_ptr<Job> job, const void* owner,
                         int64_t number) {
  if (wake_ == nullptr) start(env);
  napi_value promise;
  check(env, napi_create_promise(env, &job->deferred_, &promise));
  job->owner_ = owner;
  job->number_ = number;
  if (pending_++ == 0) napi_ref_threadsafe_function(env, wake_);
  thread_.add(std::move(job));
  return promise;
}

void JobQueue::forget_one(napi_env env) {
  if (--pending_ == 0 && wake_ != nullptr) napi_unref_threadsafe_function(env, wake_);
}

void JobQueue::on_finished(napi_env env, napi_value, void* data, void*) {
  if (env == nullptr) return;  // Node empties its queue while it goes down
  auto* queue = static_cast<JobQueue*>(data);
  const std::unique_ptr<Job> job = queue->thread_.take_finished();
  if (job == nullptr) return;
  const bool up = settle(env, *job);
  queue->forget_one(env);
  if (up) return;
  const auto rest = queue->thread_.cancel([](const Job&) { return true; });
  for (size_t i = 0; i < rest.size(); ++i) queue->forget_one(env);
}

bool JobQueue::settle(napi_env env, Job& job) {
  napi_value value = nullptr;
  if (!job.failure_) {
    try {
      value = job.result(env);
    } catch (const Napi::Error& error) {
      value = error.Value();
      if (value == nullptr) return false;
      return napi_reject_deferred(env, job.deferred_, value) == napi_ok;
    } catch (...) {
      job.failure_ = current_failure();
    }
  }
  if (!job.failure_) return napi_resolve_deferred(env, job.deferred_, value) == napi_ok;
  value = make_error(env, job.failure_.code, job.failure_.message);
  return value != nullptr && napi_reject_deferred(env, job.deferred_, value) == napi_ok;
}

void JobQueue::cancel_if(napi_env env, const std::function<bool(const Job&)>& matches) {
  for (const std::unique_ptr<Job>& job : thread_.cancel(matches)) {
    job->failure_ = {"ERR_ABORTED", "The operation was aborted"};
    settle(env, *job);
    forget_one(env);
  }
}

void JobQueue::cancel(napi_env env, const void* owner, int64_t number) {
  cancel_if(env, [&](const Job& job) { return job.owner_ == owner && job.number_ == number; });
}

void JobQueue::cancel_all(napi_env env, const void* owner) {
  cancel_if(env, [&](const Job& job) { return job.owner_ == owner; });
}

}  // namespace ostinato::binding
