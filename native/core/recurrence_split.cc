// How threads share out the time loop: by rows, which need no barrier, or by panels of units.
#include <algorithm>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// Multiply-adds of one step that a thread must have for a barrier a step to pay.
constexpr int64_t kStepWorkPerThread = 8'000;
// Rows that each thread needs for a split by rows, when the recurrent weights stay in its own
// second-level cache and when they do not.
constexpr int64_t kRowsPerThread = 4, kRowsPerThreadLarge = 128;
constexpr int64_t kResidentFloats = 256 * 1024;

}  // namespace

Recurrence::Split Recurrence::choose_split(const Pass& pass) const {
  const int64_t batch = pass.geometry->batch();
  const int64_t weights = row_work(pass);
  const int threads = threads_for(block_.rows * weights, pass.threads);
  if (threads <= 1) return {};
  const int64_t needed = weights <= kResidentFloats ? kRowsPerThread : kRowsPerThreadLarge;
  if (batch >= needed * threads) return {threads, true};
  const int64_t by_step = batch * weights / kStepWorkPerThread;
  const int64_t together = panels_together(pass);
  const int64_t panels = (padded(weights_.units()) / pass.kernels->width + together - 1) / together;
  const int64_t by_panels = std::min<int64_t>({threads, by_step, panels});
  if (by_panels > 1) return {static_cast<int>(by_panels), false};
  return {};
}

Recurrence::Split Recurrence::split_for(const Pass& pass) const {
  SplitTrial* const trial = pass.split_trial;
  if (trial != nullptr && trial->threads > 0) return {trial->threads, trial->by_rows};
  const Split split = choose_split(pass);
  if (trial != nullptr) {
    trial->chosen_threads = split.threads;
    trial->chosen_by_rows = split.by_rows;
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
  // Rows are sorted by length: equal numbers of steps, not of rows.
  const auto boundary = [&](int index) {
    if (geometry.dense()) return geometry.batch() * index / member.size;
    const int64_t share = block_.rows * index / member.size;
    int64_t steps = 0, row = 0;
    while (row < geometry.batch() && steps < share) {
      steps += std::clamp(geometry.length(row++), block_.begin, block_.end) - block_.begin;
    }
    return index == member.size ? geometry.batch() : row;
  };
  return with_rows(boundary(member.index), boundary(member.index + 1));
}

}  // namespace ostinato
