#include "core/params.h"

#include <algorithm>

#include "kernels/kernels.h"

namespace ostinato {

int ParamTable::add(std::string name, std::vector<int64_t> shape, ParamRole role) {
  ParamEntry entry;
  entry.name = std::move(name);
  entry.size = 1;
  for (const int64_t extent : shape) entry.size *= extent;
  entry.shape = std::move(shape);
  entry.offset = size_;
  entry.role = role;
  size_ += padded(entry.size);
  entries_.push_back(std::move(entry));
  return static_cast<int>(entries_.size()) - 1;
}

void ParamTable::set_rules(int index, const WeightRules& rules) {
  entries_[index].rules = rules;
  regularized_ = regularized_ || rules.regularizes();
  constrained_ = constrained_ || rules.constraint != Constraint::kNone;
}

void ParamTable::realise() {
  values_.reserve(size_);
  gradients_.reserve(size_);
  unclaimed_.assign(entries_.size(), false);
}

void ParamTable::begin_gradients() const {
  for (size_t i = 0; i < entries_.size(); ++i) unclaimed_[i] = entries_[i].written_whole;
}

void ParamTable::clear_unclaimed() const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const int index = static_cast<int>(i);
    if (claim_gradient(index)) std::fill_n(gradient(index), entries_[i].size, 0.0f);
  }
}

int64_t ParamTable::count() const {
  int64_t total = 0;
  for (const ParamEntry& entry : entries_) total += entry.size;
  return total;
}

}  // namespace ostinato
