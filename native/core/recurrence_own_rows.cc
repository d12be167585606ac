// Rows of a thread's own. Where threads share the time loop by rows, their rows of a step lie side
// by side, and processors fetch ahead past the end of a thread's rows into its neighbour's. A store
// to a line that another core holds, too, waits for that core: on processors of several core
// complexes some 30 ns a line, whatever was fetched before. So what a loop reads again it keeps in
// rows of the thread's own, at a distance from those of others, and what only later passes read it
// writes past the caches, which waits for nobody.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// Between the rows of two threads: at least so many bytes, and rows.
constexpr int64_t kGapBytes = 4096, kGapRows = 8;
// Steps of a block from which the loop gains more than the copies at its ends cost.
constexpr int64_t kStepsForOwnRows = 16;

}  // namespace

void Recurrence::plan_own_rows(Workspace& workspace, const Pass& pass) {
  own_hidden_[0] = own_hidden_[1] = {};
  for (int s = 0; s < kMaxStates; ++s) own_memory_[s] = own_gradient_[s] = {};
  if (!pass.kernels->streams_steps || pass.threads <= 1 || info(pass).phases > 1 ||
      weights_.tape() != nullptr || weights_.projects() || normalizes() || drops(pass) ||
      candidate_mask_) {
    return;
  }
  const int64_t units = weights_.units();
  const int64_t gap = std::max<int64_t>(kGapRows, kGapBytes / (padded(units) * sizeof(float)));
  const auto want = [&](SpacedRows& own) {
    own.gap = gap;
    workspace.want(&own.rows, pass.geometry->batch() + pass.threads * gap, units,
                   Lifetime::kScratch);
  };
  for (SpacedRows& own : own_hidden_) want(own);
  for (int s = 0; s < info(pass).states; ++s) {
    if (s > 0) want(own_memory_[s]);
    if (pass.gradients) want(own_gradient_[s]);
  }
}

bool Recurrence::takes_own_rows(const Split& split, const Member& member) const {
  return own_hidden_[0].rows && split.by_rows && member.size > 1 &&
         block_.end - block_.begin >= kStepsForOwnRows;
}

// What of a loop's states is overwritten from step to step, in and out.
template <class Copy>
void Recurrence::for_running_rows(const Pass& pass, bool backwards, const Part& part,
                                  const Copy& copy) {
  const int64_t ld = padded(weights_.units());
  for (int s = 0; s < info(pass).states; ++s) {
    if (!backwards && (s == 0 || !sequence_is_running_)) continue;
    float* const shared = (backwards ? dstate_[s].data() : sequence_[s].data) + part.row_begin * ld;
    float* const own = (backwards ? own_gradient_ : own_memory_)[s].row(part.row_begin, part.owner);
    copy(shared, own, (part.row_end - part.row_begin) * ld * sizeof(float));
  }
}

void Recurrence::enter_own_rows(const Pass& pass, bool backwards, const Part& part) {
  for_running_rows(pass, backwards, part, [](const float* shared, float* own, size_t bytes) {
    std::memcpy(own, shared, bytes);
  });
}

void Recurrence::leave_own_rows(const Pass& pass, bool backwards, const Part& part) {
  for_running_rows(pass, backwards, part, [](float* shared, const float* own, size_t bytes) {
    std::memcpy(shared, own, bytes);
  });
  pass.kernels->stream_fence();
}

void Recurrence::use_own_rows(const Pass& pass, int64_t t, int64_t first, const Part& part,
                              CellForwardArgs& args) const {
  const bool goes_on = !begins_block(t) && first < continuing(*pass.geometry, t);
  const int64_t before = step_before(t) & 1;
  if (goes_on) args.previous[0] = own_hidden_[before].row(first, part.owner);
  args.multiplied = args.previous[0];
  args.sequence[0] = args.next[0];
  args.next[0] = own_hidden_[t & 1].row(first, part.owner);
  for (int s = 1; s < info(pass).states; ++s) {
    float* const own = own_memory_[s].row(first, part.owner);
    if (goes_on || sequence_is_running_) args.previous[s] = own;
    if (!sequence_is_running_) args.sequence[s] = args.next[s];
    args.next[s] = own;
  }
}

void Recurrence::use_own_rows(const Pass& pass, int64_t first, const Part& part,
                              CellBackwardArgs& args) const {
  for (int s = 0; s < info(pass).states; ++s) {
    args.dstate[s] = own_gradient_[s].row(first, part.owner);
  }
}

}  // namespace ostinato
