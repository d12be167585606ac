// The thread on which an environment's jobs run.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "binding/job.h"

namespace ostinato::binding {

// Runs jobs one at a time, first in, first out. All of them run on one thread, because a team of
// OpenMP threads belongs to the thread that started it: a pool of threads would have a team each,
// more threads than processors, and the runtime lets the idle ones of such a crowd sleep at once.
// Everything but the jobs' `execute` and the call of `finished` happens on the JavaScript thread.
class EngineThread {
 public:
  // Called on the engine's thread each time that a job can be taken by `take_finished`.
  using Finished = std::function<void()>;

  EngineThread() = default;
  ~EngineThread() { stop(); }
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // Throws when the system gives no thread.
  void start(Finished finished);
  void add(std::unique_ptr<Job> job);
  // Raises the flag of the running job if `matches` is true of it; returns the waiting jobs of
  // which it is true, in their order, and forgets them.
  std::vector<std::unique_ptr<Job>> cancel(const std::function<bool(const Job&)>& matches);
  // The jobs that have ended, in their order; null when there is none.
  std::unique_ptr<Job> take_finished();
  // Cancels the running job and returns when the thread has ended; waiting jobs stay where they
  // are. Nothing runs afterwards. A second call does nothing.
  void stop();

 private:
  void run();

  std::thread thread_;
  Finished finished_call_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> waiting_, finished_;
  Job* running_ = nullptr;
  bool stopped_ = false;
};

}  // namespace ostinato::binding
