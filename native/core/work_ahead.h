// Pieces of work that one member of a team needs one after the other, done ahead of it by whoever
// of the team is free.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/parallel.h"

namespace ostinato {

class WorkAhead {
 public:
  static constexpr int64_t kMostPieces = 64;

  explicit WorkAhead(int64_t pieces) : pieces_(std::min(pieces, kMostPieces)) {}
  int64_t pieces() const { return pieces_; }

  // Does pieces, make(piece), until none is left to take.
  template <class Make>
  void help(const Make& make) {
    while (take(make)) {
    }
  }

  // Returns when the piece is done. A member that has to wait for it does others meanwhile.
  template <class Make>
  void need(const Member& member, int64_t piece, const Make& make) {
    const auto done = [&] { return done_[piece].load(std::memory_order_acquire); };
    while (!done()) {
      if (!take(make)) return wait_until(member, done);
    }
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

  const int64_t pieces_;
  alignas(64) std::atomic<int64_t> next_{0};
  // On lines that only those write who have done a piece.
  alignas(64) std::atomic<bool> done_[kMostPieces] = {};
};

}  // namespace ostinato
