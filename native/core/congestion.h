// Whether threads of this process have to wait for processors that others use. On a shared machine
// a member of a team may lose its processor for a scheduler's slice, milliseconds, while the others
// wait at the end of the region; one thread is then faster. Results do not depend on the number of
// threads, so it may change at any time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace ostinato {

class Congestion {
 public:
  using Clock = std::chrono::steady_clock;

  // A region that takes longer than one thread would have, by this much, was held up. It is
  // followed by a pause, unless what it lost is less than what teams have gained lately, this much
  // at most: where a thread is held up now and then, a team is still faster.
  static constexpr std::chrono::microseconds kPatience{150};
  static constexpr std::chrono::milliseconds kMostGained{10};
  // So are other regions that together, over this time, gain less than a fifth.
  static constexpr std::chrono::milliseconds kWindow{10};
  // For how long one thread does the work before a team is tried again; doubles until a window of
  // regions has run well.
  static constexpr std::chrono::milliseconds kFirstPause{5}, kLongestPause{160};
  // Threads that cannot be woken in this time after a pause have no processor to run on.
  static constexpr std::chrono::microseconds kWaking{1000};

  // Whether a team should not be started now.
  bool active(Clock::time_point now) const {
    return enabled_.load(std::memory_order_relaxed) &&
           now.time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }

  // Whether this is the first team after a pause: its threads sleep, and the region would be judged
  // by the time that waking them takes. True once for each pause.
  bool resuming() {
    return enabled_.load(std::memory_order_relaxed) &&
           until_.load(std::memory_order_relaxed) != 0 &&
           until_.exchange(0, std::memory_order_relaxed) != 0;
  }

  // The threads of such a team were woken in `time`.
  void report_waking(Clock::time_point now, Clock::duration time) {
    if (time > kWaking) pause(now);
  }

  // Off: teams are always started and not looked at, for tests and measurements that want them.
  void set_enabled(bool enabled) { enabled_.store(enabled, std::memory_order_relaxed); }

  // A region of `members` threads took `time`; the one that was done first worked for `shortest`.
  // Shares are equal, so one thread would have needed about members * shortest.
  void report(Clock::time_point now, int members, Clock::duration time, Clock::duration shortest) {
    if (!enabled_.load(std::memory_order_relaxed)) return;
    const Clock::duration alone = members * shortest;
    if (!judge_delay(now, time, alone)) judge_window(now, time, alone);
  }

  // The same of a region of one member whom others only help, so that it may gain little: that one
  // would have needed `alone` without them.
  void report_helped(Clock::time_point now, Clock::duration time, Clock::duration alone) {
    if (!enabled_.load(std::memory_order_relaxed)) return;
    if (!judge_delay(now, time, alone)) judge_window(now, time, std::max(alone, 2 * time));
  }

 private:
  // Counts what a region has gained or lost; whether it was held up, after which there may be a
  // pause.
  bool judge_delay(Clock::time_point now, Clock::duration time, Clock::duration alone) {
    const int64_t gained = gain(alone - time);
    if (time <= alone + kPatience) return false;
    if (gained < 0) pause(now);
    return true;
  }

  // Pauses when the regions of a window have gained too little together.
  void judge_window(Clock::time_point now, Clock::duration time, Clock::duration alone) {
    const int64_t times = time_.fetch_add(time.count(), std::memory_order_relaxed) + time.count();
    const int64_t alones =
        alone_.fetch_add(alone.count(), std::memory_order_relaxed) + alone.count();
    if (times < Clock::duration(kWindow).count()) return;
    if (5 * times > 4 * alones) {
      pause(now);
    } else {
      pause_.store(kFirstPause.count(), std::memory_order_relaxed);
      clear();
    }
  }

  // Adds to what teams have gained and returns that. Of reports at once, one may be lost.
  int64_t gain(Clock::duration time) {
    const int64_t gained = std::min<int64_t>(gained_.load(std::memory_order_relaxed) + time.count(),
                                             Clock::duration(kMostGained).count());
    gained_.store(gained, std::memory_order_relaxed);
    return gained;
  }
  void pause(Clock::time_point now) {
    const int64_t pause = pause_.load(std::memory_order_relaxed);
    until_.store((now + std::chrono::milliseconds(pause)).time_since_epoch().count(),
                 std::memory_order_relaxed);
    pause_.store(std::min<int64_t>(2 * pause, kLongestPause.count()), std::memory_order_relaxed);
    gained_.store(0, std::memory_order_relaxed);
    clear();
  }
  void clear() {
    time_.store(0, std::memory_order_relaxed);
    alone_.store(0, std::memory_order_relaxed);
  }

  std::atomic<bool> enabled_{true};
  std::atomic<int64_t> until_{0};
  std::atomic<int64_t> pause_{kFirstPause.count()};
  std::atomic<int64_t> gained_{0};
  // Of the regions of the window, in ticks of the clock.
  std::atomic<int64_t> time_{0}, alone_{0};
};

// Of the whole process: processors are what all its threads share.
inline Congestion& congestion() {
  static Congestion instance;
  return instance;
}

}  // namespace ostinato
