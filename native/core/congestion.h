// Whether threads of this process have to wait for processors that others use. On a shared machine
// a member of a team may lose its processor for a scheduler's slice, milliseconds, while the others
// wait at the end of the region; small regions are then far faster on one thread. Results do not
// depend on the number of threads, so it may change at any time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace ostinato {

class Congestion {
 public:
  using Clock = std::chrono::steady_clock;

  // A wait of this much beyond the own share of the work is no imbalance of the shares.
  static constexpr std::chrono::microseconds kPatience{150};
  // For how long one thread does the work before a team is tried again; doubles while that fails.
  static constexpr std::chrono::milliseconds kFirstPause{5}, kLongestPause{160};

  // Whether a team should not be started now.
  bool active(Clock::time_point now) const {
    return enabled_.load(std::memory_order_relaxed) &&
           now.time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }

  // Off: teams are always started, for tests and measurements that want them.
  void set_enabled(bool enabled) { enabled_.store(enabled, std::memory_order_relaxed); }

  // The caller worked for `work` and then waited for the others for `wait`.
  void report(Clock::time_point now, Clock::duration work, Clock::duration wait) {
    if (wait <= work + kPatience) {
      pause_.store(kFirstPause.count(), std::memory_order_relaxed);
      return;
    }
    const int64_t pause = pause_.load(std::memory_order_relaxed);
    until_.store((now + std::chrono::milliseconds(pause)).time_since_epoch().count(),
                 std::memory_order_relaxed);
    pause_.store(std::min<int64_t>(2 * pause, kLongestPause.count()), std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> enabled_{true};
  std::atomic<int64_t> until_{0};
  std::atomic<int64_t> pause_{kFirstPause.count()};
};

// Of the whole process: processors are what all its threads share.
inline Congestion& congestion() {
  static Congestion instance;
  return instance;
}

}  // namespace ostinato
