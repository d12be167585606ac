#include "core/causal_history.h"

#include <cstring>

#include "core/checks.h"
#include "core/error.h"

namespace ostinato {

namespace {

constexpr int64_t kMaxHistory = int64_t{1} << 24;

// A state [P, B, features] in batch order, null for zeros, to rows of sorted rows.
void sort_slots(const Geometry& geometry, const float* source, const Matrix& to) {
  const auto bytes = static_cast<size_t>(to.cols) * sizeof(float);
  const int64_t batch = geometry.batch();
  for (int64_t row = 0; row < to.rows; ++row) {
    if (source == nullptr) {
      std::memset(to.row(row), 0, bytes);
      continue;
    }
    const int64_t from = row / batch * batch + geometry.batch_row(row % batch);
    std::memcpy(to.row(row), source + from * to.cols, bytes);
  }
}

}  // namespace

Taps taps_option(const LayerConfig& config) {
  Taps taps;
  taps.count = positive_option(config, "kernelSize");
  taps.dilation = config.integer("dilation", 1);
  if (taps.dilation < 1 || taps.dilation > kMaxHistory || taps.count > kMaxHistory ||
      taps.history() > kMaxHistory) {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected (kernelSize - 1) * dilation of 0 to " + std::to_string(kMaxHistory) +
                    " for layer \"" + config.name + "\" but received " +
                    std::to_string(taps.count) + " and " + std::to_string(taps.dilation));
  }
  return taps;
}

std::vector<StateInfo> history_states(const Taps& taps, int64_t features) {
  if (taps.history() == 0) return {};
  return {{"inputs", taps.history(), features}};
}

void CausalHistory::plan(Workspace& workspace, const Pass& pass) {
  const int64_t rows = taps_.history() * pass.geometry->batch();
  workspace.want(&before_, rows, features_, Lifetime::kSaved);
  if (!pass.gradients) return;
  workspace.want(&dbefore_, rows, features_, Lifetime::kSaved);
  workspace.want(&dafter_, rows, features_, Lifetime::kSaved);
}

// The final state of a row of `length` steps is the inputs of times length - P … length - 1.
void CausalHistory::begin_gradients(const Geometry& geometry, int64_t t, const Matrix& to) const {
  const auto bytes = static_cast<size_t>(features_) * sizeof(float);
  for (int64_t row = 0; row < to.rows; ++row) {
    const int64_t slot = t - geometry.length(row) + taps_.history();
    if (slot < 0) {
      std::memset(to.row(row), 0, bytes);
    } else {
      std::memcpy(to.row(row), dafter_.row(slot * geometry.batch() + row), bytes);
    }
  }
}

void CausalHistory::set_initial(const Geometry& geometry, const float* source) const {
  sort_slots(geometry, source, before_);
}

void CausalHistory::get_final(const Geometry& geometry, float* destination) const {
  for (int64_t slot = 0; slot < taps_.history(); ++slot) {
    for (int64_t row = 0; row < geometry.batch(); ++row) {
      const int64_t t = geometry.length(row) - taps_.history() + slot;
      std::memcpy(destination + (slot * geometry.batch() + geometry.batch_row(row)) * features_,
                  rows_at(geometry, input_, before_, t, row).data,
                  static_cast<size_t>(features_) * sizeof(float));
    }
  }
}

void CausalHistory::set_final_gradient(const Geometry& geometry, const float* source) const {
  sort_slots(geometry, source, dafter_);
}

void CausalHistory::get_initial_gradient(const Geometry& geometry, float* destination) const {
  const int64_t batch = geometry.batch();
  for (int64_t row = 0; row < dbefore_.rows; ++row) {
    const int64_t to = row / batch * batch + geometry.batch_row(row % batch);
    std::memcpy(destination + to * features_, dbefore_.row(row),
                static_cast<size_t>(features_) * sizeof(float));
  }
}

}  // namespace ostinato
