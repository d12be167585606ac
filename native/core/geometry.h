// The packed layout of a ragged batch. Rows are sorted by length, longest first, and stored
// time-major without padding: the rows that are alive at step t are the first n(t) sorted rows,
// and they lie at packed rows [offset(t), offset(t) + n(t)). Dense batches are the case in which
// n(t) = B throughout. Every layer but the recurrent ones sees only N rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ostinato {

class Geometry {
 public:
  // lengths: [B], each 0…; null means that every row has `steps` steps. Keeps its capacity, so a
  // geometry that is assigned again and again allocates nothing once it has seen the largest batch.
  void assign(int64_t batch, int64_t steps, const int32_t* lengths);

  int64_t batch() const { return batch_; }
  int64_t steps() const { return steps_; }  // T: the longest row's length
  int64_t rows() const { return offset_.empty() ? 0 : offset_.back(); }  // N
  bool dense() const { return dense_; }
  int64_t active(int64_t t) const { return t < steps_ ? offset_[t + 1] - offset_[t] : 0; }  // n(t)
  int64_t offset(int64_t t) const { return offset_[t]; }
  const int64_t* offsets() const { return offset_.data(); }  // [T + 1]
  int64_t length(int64_t sorted_row) const { return length_[sorted_row]; }
  // Which batch row is the sorted row (stable: equal lengths keep their order).
  int64_t batch_row(int64_t sorted_row) const { return order_[sorted_row]; }
  // The inverse: which sorted row is the batch row. Only after `index`, which models of several
  // time axes need to find the rows of a sample on another axis.
  int64_t sorted_row(int64_t batch_row) const { return sorted_[batch_row]; }
  void index();
  // Whether the rows of a batch are sorted as they are by another geometry of it.
  bool same_order(const Geometry& other) const { return order_ == other.order_; }
  // The sorted row of the same sample by another geometry of the batch, which has an index unless
  // it is this one.
  int64_t partner(int64_t sorted_row, const Geometry& other) const {
    return &other == this ? sorted_row : other.sorted_row(batch_row(sorted_row));
  }
  // Packed row of (sorted row, step).
  int64_t row(int64_t sorted_row, int64_t t) const { return offset_[t] + sorted_row; }

  // The step that packed row `row` belongs to.
  int64_t step_of(int64_t row) const;
  // fn(t, first sorted row, rows) for each step that packed rows [begin, end) have a part in.
  template <class Fn>
  void for_steps(int64_t begin, int64_t end, const Fn& fn) const {
    if (begin >= end) return;
    for (int64_t t = step_of(begin); begin < end; ++t) {
      const int64_t stop = std::min(end, offset_[t + 1]);
      fn(t, begin - offset_[t], stop - begin);
      begin = stop;
    }
  }

  // An index makes no difference.
  bool operator==(const Geometry& other) const {
    return batch_ == other.batch_ && steps_ == other.steps_ && offset_ == other.offset_ &&
           length_ == other.length_ && order_ == other.order_;
  }

 private:
  int64_t batch_ = 0, steps_ = 0;
  bool dense_ = true;
  std::vector<int64_t> offset_;  // [T + 1]
  std::vector<int32_t> length_;  // [B], sorted
  std::vector<int32_t> order_;   // [B]
  std::vector<int32_t> sorted_;  // [B], the inverse of order_
};

}  // namespace ostinato
