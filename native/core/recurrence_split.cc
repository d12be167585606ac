// How threads share out the time loop: by rows, which need no barrier, by panels of units, or one
// thread walks the steps, with the projection done ahead of it.
#include <algorithm>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// Multiply-adds that a thread does in the time that a barrier a step takes, with the transfer of
// the other threads' states: between those of near processors and of processors far apart.
constexpr int64_t kBarrierWork = 20'000;
// Rows that take as long as one alone, which waits for the weights.
constexpr int64_t kRowsAtOnce = 2;
// Rows from which each thread takes its own without a comparison: while the recurrent weights stay
// in its second-level cache, and when they do not.
constexpr int64_t kRowsPerThread = 4, kRowsPerThreadLarge = 128;
constexpr int64_t kResidentFloats = 256 * 1024;
// Weights that leave room in that cache for fewer rows, or for one thread to read them all alone.
constexpr int64_t kSmallFloats = kResidentFloats / 4, kAloneFloats = kResidentFloats / 2;

// Shares of a block's rows, sorted by length, with about as many steps each: rows one after the
// other, the longest first, up to the least limit with which `shares` shares are enough.
class RowShares {
 public:
  RowShares(const Geometry& geometry, const Segment& block, int shares)
      : geometry_(geometry), block_(block) {
    int64_t low = block.rows / shares, high = block.rows;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (walk(middle, shares) == geometry.batch()) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    limit_ = low;
  }

  // The first row of a share; the batch for the one after the last.
  int64_t first(int share) const { return walk(limit_, share); }

 private:
  // Steps of a row within the block.
  int64_t steps(int64_t row) const {
    return std::clamp(geometry_.length(row), block_.begin, block_.end) - block_.begin;
  }
  // Rows in the first `shares` shares of at most `limit` steps each.
  int64_t walk(int64_t limit, int shares) const {
    int64_t row = 0;
    for (int share = 0; share < shares; ++share) {
      for (int64_t left = limit; row < geometry_.batch() && steps(row) <= left; ++row) {
        left -= steps(row);
      }
    }
    return row;
  }

  const Geometry& geometry_;
  const Segment& block_;
  int64_t limit_;
};

}  // namespace

Recurrence::Split Recurrence::choose_split(const Pass& pass, bool projects) const {
  const int64_t batch = pass.geometry->batch();
  const int64_t weights = row_work(pass);
  const int64_t inputs = projects ? info(pass).gates * weights_.units() * weights_.inputs() : 0;
  const int threads = threads_for(block_.rows * weights, pass.threads);
  const int threads_in_all = threads_for(block_.rows * (weights + inputs), pass.threads);
  const int64_t needed = weights <= kResidentFloats ? kRowsPerThread : kRowsPerThreadLarge;
  if (threads > 1 && batch >= needed * threads) return {threads, true};

  // The multiply-adds of a step that are done one after the other, the projection's among them.
  const int64_t walk = std::max(batch, kRowsAtOnce) * weights;
  const int64_t projection = batch * inputs;
  Split best;
  int64_t least = walk + projection / threads_in_all;
  const auto consider = [&](const Split& split, int64_t work) {
    if (split.threads < 2 || work >= least) return;
    least = work;
    best = split;
  };
  if (batch >= kRowsAtOnce * threads && weights <= kSmallFloats) {
    consider({threads, true}, (batch + threads - 1) / threads * weights + projection / threads);
  }
  if (inputs > 0 && weights <= kAloneFloats) {
    consider({threads_in_all, false, true}, std::max(walk, (walk + projection) / threads_in_all));
  }
  const int64_t together = panels_together(pass);
  const int64_t panels = (padded(weights_.units()) / pass.kernels->width + together - 1) / together;
  const int by_panels = static_cast<int>(std::min<int64_t>(threads, panels));
  consider({by_panels, false},
           walk / by_panels + info(pass).phases * kBarrierWork + projection / threads_in_all);
  return best;
}

Recurrence::Split Recurrence::split_for(const Pass& pass, bool projects) const {
  SplitTrial* const trial = pass.split_trial;
  // Nothing is projected beside the steps of a backward pass: it chooses.
  if (trial != nullptr && trial->threads > 0 && (projects || !trial->ahead)) {
    return {trial->threads, trial->by_rows, trial->ahead};
  }
  const Split split = choose_split(pass, projects);
  if (trial != nullptr) {
    trial->chosen_threads = split.threads;
    trial->chosen_by_rows = split.by_rows;
    if (split.ahead) trial->chosen_ahead = true;
  }
  return split;
}

Recurrence::Parts Recurrence::parts_of(const Pass& pass, const Split& split,
                                       const Member& member) const {
  const Geometry& geometry = *pass.geometry;
  const auto with_rows = [&](int64_t begin, int64_t end) {
    const auto part = [&](int64_t columns) -> Part {
      const int64_t panels = padded(columns) / pass.kernels->width;
      if (split.by_rows) return {begin, end, 0, panels, {}};
      const Member::Range range = member.share(panels, panels_together(pass));
      return {begin, end, range.begin, range.end, member};
    };
    return Parts{part(weights_.units()), part(weights_.hidden())};
  };
  if (!split.by_rows) return with_rows(0, geometry.batch());
  if (geometry.dense() || member.size == 1) {
    const Member::Range range = member.share(geometry.batch());
    return with_rows(range.begin, range.end);
  }
  const RowShares shares(geometry, block_, member.size);
  return with_rows(shares.first(member.index), shares.first(member.index + 1));
}

}  // namespace ostinato
