// Pieces of work that the first member of a team needs one after the other, done ahead of it by
// whoever of the team is free.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/parallel.h"

namespace ostinato {

class WorkAhead {
 public:
  static constexpr int64_t kMostPieces = 64;

  // pieces: at most kMostPieces.
  explicit WorkAhead(int64_t pieces) : pieces_(pieces) {}

  // Runs walk(need) on the caller's thread, where need(i) returns when piece i is done, and make(i)
  // for every piece on a team of up to `threads` threads, the caller's among them; returns when all
  // of that is done. Pieces are as much work each, but for the last. Nothing of it must throw.
  template <class Make, class Walk>
  void run(int threads, const Make& make, const Walk& walk) {
    using Clock = Congestion::Clock;
    Clock::duration worked{};
    judged_team(
        threads,
        [&](const Member& member) {
          if (member.index > 0) return help(make);
          walk([&](int64_t piece) { need(member, piece, make); });
        },
        [&](int index, Clock::duration work) {
          if (index == 0) worked = work;
        },
        [&](Clock::time_point now, int, Clock::duration time) {
          congestion().report_helped(now, time, worked + time_of_helpers());
        });
  }

 private:
  template <class Make>
  bool take(const Make& make) {
    const int64_t piece = next_.fetch_add(1, std::memory_order_relaxed);
    if (piece >= pieces_) return false;
    make(piece);
    done_[piece].store(true, std::memory_order_release);
    return true;
  }

  // A member that has to wait for a piece does others meanwhile.
  template <class Make>
  void need(const Member& member, int64_t piece, const Make& make) {
    const auto done = [&] { return done_[piece].load(std::memory_order_acquire); };
    while (!done()) {
      if (!take(make)) return wait_until(member, done);
    }
  }

  template <class Make>
  void help(const Make& make) {
    using Clock = Congestion::Clock;
    Clock::time_point begin = Clock::now();
    while (take(make)) {
      const Clock::time_point end = Clock::now();
      shortest_.add(end - begin);
      helped_.fetch_add(1, std::memory_order_relaxed);
      begin = end;
    }
  }

  // What the caller would have needed for what others have done.
  Congestion::Clock::duration time_of_helpers() const {
    const int64_t helped = helped_.load(std::memory_order_relaxed);
    return helped == 0 ? Congestion::Clock::duration::zero() : helped * shortest_.get();
  }

  const int64_t pieces_;
  alignas(64) std::atomic<int64_t> next_{0};
  // On a line that only those write who have done a piece.
  alignas(64) std::atomic<bool> done_[kMostPieces] = {};
  alignas(64) std::atomic<int64_t> helped_{0};
  ShortestWork shortest_;
};

}  // namespace ostinato
