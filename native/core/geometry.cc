#include "core/geometry.h"

#include <algorithm>

namespace ostinato {

void Geometry::assign(int64_t batch, int64_t steps, const int32_t* lengths) {
  batch_ = batch;
  length_.resize(batch);
  order_.resize(batch);
  if (lengths == nullptr) {
    steps_ = batch > 0 ? steps : 0;
    for (int64_t row = 0; row < batch; ++row) {
      length_[row] = static_cast<int32_t>(steps);
      order_[row] = static_cast<int32_t>(row);
    }
  } else {
    int32_t longest = 0;
    for (int64_t row = 0; row < batch; ++row) longest = std::max(longest, lengths[row]);
    steps_ = longest;
    // Counting sort, longest first: offset_ serves as the counters before it gets its meaning.
    offset_.assign(steps_ + 2, 0);
    for (int64_t row = 0; row < batch; ++row) ++offset_[steps_ - lengths[row] + 1];
    for (int64_t i = 1; i <= steps_ + 1; ++i) offset_[i] += offset_[i - 1];
    for (int64_t row = 0; row < batch; ++row) {
      const int64_t sorted = offset_[steps_ - lengths[row]]++;
      order_[sorted] = static_cast<int32_t>(row);
      length_[sorted] = lengths[row];
    }
  }
  dense_ = batch == 0 || length_[batch - 1] == steps_;
  offset_.resize(steps_ + 1);
  offset_[0] = 0;
  int64_t alive = batch;
  for (int64_t t = 0; t < steps_; ++t) {
    while (alive > 0 && length_[alive - 1] <= t) --alive;
    offset_[t + 1] = offset_[t] + alive;
  }
}

void Geometry::index() {
  sorted_.resize(batch_);
  for (int64_t row = 0; row < batch_; ++row) sorted_[order_[row]] = static_cast<int32_t>(row);
}

int64_t Geometry::step_of(int64_t row) const {
  return std::upper_bound(offset_.begin(), offset_.end(), row) - offset_.begin() - 1;
}

}  // namespace ostinato
