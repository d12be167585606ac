#include "core/state_rows.h"

#include <cstring>

namespace ostinato {

namespace {

// fn(where it begins in the state, row, where it begins in the row) for each slot of each sample.
template <class Fn>
void for_slots(const Geometry& order, const StateInfo& info, const Fn& fn) {
  const int64_t batch = order.batch();
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t slot = 0; slot < info.slots; ++slot) {
      fn((slot * batch + order.batch_row(b)) * info.features, b, slot * info.features);
    }
  }
}

size_t bytes(const StateInfo& info) { return static_cast<size_t>(info.features) * sizeof(float); }

}  // namespace

void state_to_rows(const Geometry& order, const StateInfo& info, const float* state,
                   const Matrix& rows) {
  for_slots(order, info, [&](int64_t at, int64_t row, int64_t column) {
    std::memcpy(rows.row(row) + column, state + at, bytes(info));
  });
}

void state_from_rows(const Geometry& order, const StateInfo& info, const Matrix& rows,
                     float* state) {
  for_slots(order, info, [&](int64_t at, int64_t row, int64_t column) {
    std::memcpy(state + at, rows.row(row) + column, bytes(info));
  });
}

}  // namespace ostinato
