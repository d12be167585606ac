#include "binding/engine_thread.h"

#if defined(__linux__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <set>
#include <string>
#include <system_error>
#include <utility>

namespace ostinato::binding {

namespace {

// What tools show; Linux takes 15 characters.
void name_this_thread() {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "ostinato");
#elif defined(__APPLE__)
  pthread_setname_np("ostinato");
#endif
}

// The engines whose threads run. `process.exit` ends the process without the environment's cleanup
// hooks; no job may then still run while static objects are being destroyed.
class RunningEngines {
 public:
  ~RunningEngines() {
    std::set<EngineThread*> left;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      left.swap(engines_);
    }
    for (EngineThread* engine : left) engine->stop();
  }
  void add(EngineThread* engine) {
    const std::lock_guard<std::mutex> lock(mutex_);
    engines_.insert(engine);
  }
  void remove(EngineThread* engine) {
    const std::lock_guard<std::mutex> lock(mutex_);
    engines_.erase(engine);
  }

 private:
  std::mutex mutex_;
  std::set<EngineThread*> engines_;
};

RunningEngines& running_engines() {
  static RunningEngines instance;
  return instance;
}

}  // namespace

void EngineThread::start(Finished finished) {
  finished_call_ = std::move(finished);
  running_engines().add(this);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    running_engines().remove(this);
    throw Error("ERR_NATIVE", std::string("Could not start a thread for jobs: ") + error.what());
  }
}

void EngineThread::run() {
  name_this_thread();
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
    if (stopped_) return;
    std::unique_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = job.get();
    lock.unlock();
    try {
      job->execute();
    } catch (...) {
      job->failure_ = current_failure();
    }
    lock.lock();
    running_ = nullptr;
    finished_.push_back(std::move(job));
    lock.unlock();
    finished_call_();
    lock.lock();
  }
}

void EngineThread::add(std::unique_ptr<Job> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  changed_.notify_one();
}

std::vector<std::unique_ptr<Job>> EngineThread::cancel(
    const std::function<bool(const Job&)>& matches) {
  const std::lock_guard<std::mutex> lock(mutex_);
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
  return ended;
}

std::unique_ptr<Job> EngineThread::take_finished() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (finished_.empty()) return nullptr;
  std::unique_ptr<Job> job = std::move(finished_.front());
  finished_.pop_front();
  return job;
}

void EngineThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    if (running_ != nullptr) running_->cancelled_.store(true);
  }
  changed_.notify_one();
  thread_.join();
  running_engines().remove(this);
}

}  // namespace ostinato::binding
