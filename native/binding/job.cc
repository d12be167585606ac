#include "binding/job.h"

#include <utility>
#include <vector>

namespace ostinato::binding {

napi_value JobQueue::add(napi_env env, std::unique_ptr<Job> job, const void* owner,
                         int64_t number) {
  napi_value promise;
  check(env, napi_create_promise(env, &job->deferred_, &promise));
  job->queue_ = this;
  job->owner_ = owner;
  job->number_ = number;
  waiting_.push_back(std::move(job));
  if (running_ == nullptr) start_next(env);
  return promise;
}

void JobQueue::start_next(napi_env env) {
  while (running_ == nullptr && !waiting_.empty()) {
    running_ = std::move(waiting_.front());
    waiting_.pop_front();
    Job* job = running_.get();
    napi_value name;
    if (napi_create_string_utf8(env, "ostinato", NAPI_AUTO_LENGTH, &name) == napi_ok &&
        napi_create_async_work(env, nullptr, name, execute, complete, job, &job->work_) ==
            napi_ok &&
        napi_queue_async_work(env, job->work_) == napi_ok) {
      return;
    }
    if (job->work_ != nullptr) napi_delete_async_work(env, job->work_);
    job->failure_ = {"ERR_NATIVE", "Could not start a job on Node's thread pool"};
    const std::unique_ptr<Job> failed = std::move(running_);
    settle(env, *failed);
  }
}

void JobQueue::execute(napi_env, void* data) {
  Job& job = *static_cast<Job*>(data);
  try {
    if (job.cancelled_.load(std::memory_order_relaxed)) throw Cancelled();
    job.execute();
  } catch (...) {
    job.failure_ = current_failure();
  }
}

void JobQueue::complete(napi_env env, napi_status status, void* data) {
  Job* job = static_cast<Job*>(data);
  JobQueue* queue = job->queue_;
  const std::unique_ptr<Job> done = std::move(queue->running_);
  napi_delete_async_work(env, done->work_);
  if (status != napi_ok && !done->failure_) {
    done->failure_ = {"ERR_ABORTED", "The operation was aborted"};
  }
  if (!settle(env, *done)) {
    queue->shut_down();
    return;
  }
  queue->start_next(env);
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

template <class Fn>
void JobQueue::cancel_if(napi_env env, const Fn& matches) {
  if (running_ != nullptr && matches(*running_)) running_->cancelled_.store(true);
  std::vector<std::unique_ptr<Job>> ended;
  std::deque<std::unique_ptr<Job>> left;
  for (std::unique_ptr<Job>& job : waiting_) {
    if (matches(*job)) {
      ended.push_back(std::move(job));
    } else {
      left.push_back(std::move(job));
    }
  }
  waiting_ = std::move(left);
  for (const std::unique_ptr<Job>& job : ended) {
    job->failure_ = {"ERR_ABORTED", "The operation was aborted"};
    settle(env, *job);
  }
}

void JobQueue::cancel(napi_env env, const void* owner, int64_t number) {
  cancel_if(env, [&](const Job& job) { return job.owner_ == owner && job.number_ == number; });
}

void JobQueue::cancel_all(napi_env env, const void* owner) {
  cancel_if(env, [&](const Job& job) { return job.owner_ == owner; });
}

void JobQueue::shut_down() {
  if (running_ != nullptr) running_->cancelled_.store(true);
  waiting_.clear();
}

}  // namespace ostinato::binding
