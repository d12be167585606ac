// Parameters, their gradients and the optimiser's slots share one flat layout: entry i of the
// table lies at [offset, offset + size) of each buffer, in PyTorch's shape and gate order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/arena.h"

namespace ostinato {

// A statistic is measured by its layer: no gradient, and no optimiser touches it.
enum class ParamRole : uint8_t { kKernel, kRecurrent, kBias, kNorm, kEmbedding, kStatistic };

enum class Constraint : uint8_t { kNone, kMaxAbs, kMaxNorm, kUnitNorm, kNonNeg };

// What holds for a parameter beside the loss (core/weight_rules.h).
struct WeightRules {
  double l1 = 0, l2 = 0;  // the penalty l1 sum |w| + l2 sum w^2
  Constraint constraint = Constraint::kNone;
  double max = 0;   // of kMaxAbs and kMaxNorm
  double drop = 0;  // the share of weights that training drops (core/weight_drop.h)
  bool regularizes() const { return l1 != 0 || l2 != 0; }
};

struct ParamEntry {
  std::string name;  // "<layer>.weight_ih_l0": unique in the model
  std::vector<int64_t> shape;
  int64_t offset = 0, size = 0;
  ParamRole role = ParamRole::kKernel;
  WeightRules rules;
  bool written_whole = false;  // see ParamTable::claim_gradient
  bool trained() const { return role != ParamRole::kStatistic; }
  bool decays() const {
    return role != ParamRole::kBias && role != ParamRole::kNorm && role != ParamRole::kStatistic;
  }
};

class ParamTable {
 public:
  // Adds an entry (its offset on a cache line) and returns its index. Only before `realise`.
  int add(std::string name, std::vector<int64_t> shape, ParamRole role);
  void set_rules(int index, const WeightRules& rules);
  // For a gradient that a layer writes whole before it adds to it.
  void set_written_whole(int index) { entries_[index].written_whole = true; }
  void realise();  // allocates values and gradients, zeroed

  const std::vector<ParamEntry>& entries() const { return entries_; }
  int64_t size() const { return size_; }  // floats in a flat buffer, gaps between entries included
  int64_t count() const;                  // parameters, gaps not counted
  // Whether any entry's rules say so.
  bool regularized() const { return regularized_; }
  bool constrained() const { return constrained_; }
  float* value(int index) const { return values_.data() + entries_[index].offset; }
  float* gradient(int index) const { return gradients_.data() + entries_[index].offset; }
  float* values() const { return values_.data(); }
  float* gradients() const { return gradients_.data(); }

  // A backward pass clears the gradients first, but for those that are written whole: these are
  // then unclaimed. `claim_gradient` tells a layer, once a pass, that nothing is in such a gradient
  // and that it is to write it whole; where no layer did, `clear_unclaimed` does at the end.
  void begin_gradients() const;
  bool claim_gradient(int index) const { return std::exchange(unclaimed_[index], false); }
  void clear_unclaimed() const;

  // Bumped by whoever changes the values; packed copies compare it with the version they were made
  // of.
  uint64_t version() const { return version_; }
  void touch() { ++version_; }

 private:
  std::vector<ParamEntry> entries_;
  int64_t size_ = 0;
  bool regularized_ = false, constrained_ = false;
  uint64_t version_ = 1;
  AlignedBuffer values_, gradients_;
  mutable std::vector<uint8_t> unclaimed_;  // by entry; belongs to the gradients
};

// Cuts the range [begin, end) of the flat layout, multiples of kPad, at the bounds of entries:
// fn(entry, begin, end) for each part, in floats of the flat layout. Gaps are left out.
template <class Fn>
void for_each_part(const std::vector<ParamEntry>& entries, int64_t begin, int64_t end,
                   const Fn& fn) {
  for (const ParamEntry& entry : entries) {
    const int64_t from = std::max(begin, entry.offset);
    const int64_t to = std::min(end, entry.offset + entry.size);
    if (from < to) fn(entry, from, to);
  }
}

}  // namespace ostinato
