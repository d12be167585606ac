// The only file that knows how threads are made. Back ends: OpenMP (default), std::thread
// (OSTINATO_PARALLEL_THREADS: no runtime needed, understood by ThreadSanitizer) and serial
// (OSTINATO_PARALLEL_SERIAL).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "core/congestion.h"
#include "simd/denormals.h"

#if defined(OSTINATO_PARALLEL_THREADS) || defined(OSTINATO_PARALLEL_SERIAL)
#elif defined(_OPENMP)
#define OSTINATO_PARALLEL_OPENMP 1
#include <omp.h>
#else
#define OSTINATO_PARALLEL_SERIAL 1
#endif

namespace ostinato {

// What a thread of a team knows of its team.
struct Member {
  int index = 0;
  int size = 1;
  Congestion::Clock::duration* waited = nullptr;  // inside barriers, of a team of several

  // This member's share [begin, end) of n items, in multiples of `grain` but for the last.
  struct Range {
    int64_t begin, end;
  };
  Range share(int64_t n, int64_t grain = 1) const {
    const int64_t blocks = (n + grain - 1) / grain;
    return {std::min(n, blocks * index / size * grain),
            std::min(n, blocks * (index + 1) / size * grain)};
  }
};

// The shortest time that a member of a team worked, waits inside barriers left out.
class ShortestWork {
 public:
  void add(Congestion::Clock::duration work) {
    int64_t shortest = shortest_.load(std::memory_order_relaxed);
    while (work.count() < shortest &&
           !shortest_.compare_exchange_weak(shortest, work.count(), std::memory_order_relaxed)) {
    }
  }
  Congestion::Clock::duration get() const {
    return Congestion::Clock::duration(shortest_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<int64_t> shortest_{std::numeric_limits<int64_t>::max()};
};

// Starts a team of up to `threads` threads, the caller's among them, and calls fn(index, size) on
// each; returns the size when all are done.
template <class Fn>
int run_team(int threads, const Fn& fn) {
  int size = 1;
#if defined(OSTINATO_PARALLEL_OPENMP)
#pragma omp parallel num_threads(threads)
  {
    const int index = omp_get_thread_num();
    if (index == 0) size = omp_get_num_threads();
    fn(index, omp_get_num_threads());
  }
#elif defined(OSTINATO_PARALLEL_THREADS)
  size = threads;
  std::vector<std::thread> others;
  others.reserve(threads - 1);
  for (int i = 1; i < threads; ++i) others.emplace_back([&fn, i, threads] { fn(i, threads); });
  fn(0, threads);
  for (std::thread& other : others) other.join();
#else
  fn(0, 1);
#endif
  return size;
}

// Whether processors are free for a team.
inline bool team_is_welcome(int threads, Congestion::Clock::time_point now) {
  Congestion& processors = congestion();
  if (processors.active(now)) return false;
  if (!processors.resuming()) return true;
  run_team(threads, [](int, int) {});
  const Congestion::Clock::time_point awake = Congestion::Clock::now();
  processors.report_waking(awake, awake - now);
  return !processors.active(awake);
}

// Runs fn(Member) on a team of up to `threads` threads, the caller's among them; returns when all
// are done. The team may be smaller than asked for, above all while others use the processors.
// Denormals are flushed to zero inside. fn must not throw. What becomes of later teams hangs on
// judge(now, size, time), which a team of several is followed by; done(index, work) tells each
// member's time before that, waits inside barriers left out.
template <class Fn, class Done, class Judge>
void judged_team(int threads, const Fn& fn, const Done& done, const Judge& judge) {
  using Clock = Congestion::Clock;
  if (threads <= 1 || !team_is_welcome(threads, Clock::now())) {
    const ScopedFlushDenormals flush;
    fn(Member{});
    return;
  }
  const Clock::time_point start = Clock::now();
  const int size = run_team(threads, [&](int index, int members) {
    const ScopedFlushDenormals flush;
    Clock::duration waited{};
    const Clock::time_point begin = Clock::now();
    fn(Member{index, members, &waited});
    done(index, Clock::now() - begin - waited);
  });
  const Clock::time_point end = Clock::now();
  if (size > 1) judge(end, size, end - start);
}

// The same for equal shares of work.
template <class Fn>
void parallel_team(int threads, const Fn& fn) {
  using Clock = Congestion::Clock;
  ShortestWork shortest;
  judged_team(
      threads, fn, [&](int, Clock::duration work) { shortest.add(work); },
      [&](Clock::time_point now, int size, Clock::duration time) {
        congestion().report(now, size, time, shortest.get());
      });
}

// Splits n items over a team by whole grains: fn(begin, end).
template <class Fn>
void parallel_for(int threads, int64_t n, int64_t grain, const Fn& fn) {
  if (n <= 0) return;
  const int64_t blocks = (n + grain - 1) / grain;
  parallel_team(static_cast<int>(std::min<int64_t>(threads, blocks)), [&](const Member& member) {
    const Member::Range range = member.share(n, grain);
    if (range.begin < range.end) fn(range.begin, range.end);
  });
}

// Waits until done(). It spins briefly, then yields: on shared machines two virtual CPUs may sit on
// one core, where a pure spin starves the other.
template <class Done>
void wait_until(const Member& member, const Done& done) {
  constexpr int kSpins = 2000;
  for (int spins = 0; spins < kSpins; ++spins) {
    if (done()) return;
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  const Congestion::Clock::time_point start = Congestion::Clock::now();
  while (!done()) std::this_thread::yield();
  if (member.waited != nullptr) *member.waited += Congestion::Clock::now() - start;
}

// A barrier for the members of one team, used once a time step.
class Barrier {
 public:
  void wait(const Member& member) {
    if (member.size <= 1) return;
    if (member.size <= kFlat) {
      // Each member raises a number of its own and reads all others': one transfer of a cache line
      // between cores, where a shared counter takes three.
      const uint32_t round = places_[member.index].round.load(std::memory_order_relaxed) + 1;
      places_[member.index].round.store(round, std::memory_order_release);
      for (int i = 0; i < member.size; ++i) {
        if (i == member.index) continue;
        // A member that has gone on is one round ahead.
        wait_until(member, [&] {
          return static_cast<int32_t>(places_[i].round.load(std::memory_order_acquire) - round) >=
                 0;
        });
      }
      return;
    }
    const uint32_t round = places_[0].round.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == member.size) {
      arrived_.store(0, std::memory_order_relaxed);
      places_[0].round.store(round + 1, std::memory_order_release);
      return;
    }
    wait_until(member, [&] { return places_[0].round.load(std::memory_order_acquire) != round; });
  }

 private:
  // Members up to which everybody reads everybody's number.
  static constexpr int kFlat = 8;

  struct Place {
    alignas(64) std::atomic<uint32_t> round{0};
  };
  Place places_[kFlat];
  alignas(64) std::atomic<int> arrived_{0};
};

}  // namespace ostinato
