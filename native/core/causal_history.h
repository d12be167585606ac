// What causal convolutions share: the inputs before a sequence's first step, which they carry as a
// state, and the way of gradients back through the taps.
#pragma once

#include "core/gemm.h"
#include "core/layer.h"
#include "core/parallel.h"

namespace ostinato {

// Tap j of a kernel of k taps reads the input (k - 1 - j) dilation steps before the output's step.
struct Taps {
  int64_t count = 1, dilation = 1;

  int64_t delay(int64_t tap) const { return (count - 1 - tap) * dilation; }
  int64_t history() const { return (count - 1) * dilation; }  // P: steps before a sequence
};

// Options kernelSize (required) and dilation (1). Throws ERR_INVALID_ARGUMENT, also where their
// product asks for more steps than a sequence may have.
Taps taps_option(const LayerConfig& config);

// The state of such a layer: "inputs" [P, B, features], the oldest first; none if P is 0.
std::vector<StateInfo> history_states(const Taps& taps, int64_t features);

// The history of one run. Rows are sorted rows.
class CausalHistory {
 public:
  CausalHistory(const Taps& taps, int64_t features) : taps_(taps), features_(features) {}

  void plan(Workspace& workspace, const Pass& pass);
  // The inputs of the pass; read until the final state was asked for.
  void begin(const Matrix& input) { input_ = input; }

  // The inputs that tap `tap` reads at step t, of the sorted rows from `first` on.
  Matrix inputs(const Geometry& geometry, int64_t t, int64_t tap, int64_t first) const {
    return rows_at(geometry, input_, before_, t - taps_.delay(tap), first);
  }

  // The gradients of all inputs, dx and those of the history. Each begins with its part of the
  // final state's; then fn(tap, to, row) adds to the rows `to` what output rows row, row + 1, …
  // give back through the tap.
  template <class Fn>
  void gather_gradients(const Pass& pass, int64_t work, const Matrix& dx, const Fn& fn) const;

  void set_initial(const Geometry& geometry, const float* source) const;
  void get_final(const Geometry& geometry, float* destination) const;
  void set_final_gradient(const Geometry& geometry, const float* source) const;
  void get_initial_gradient(const Geometry& geometry, float* destination) const;

 private:
  // Rows of time t from `first` on: inputs where t >= 0, else what was before.
  Matrix rows_at(const Geometry& geometry, const Matrix& packed, const Matrix& before, int64_t t,
                 int64_t first) const {
    const int64_t row =
        t >= 0 ? geometry.row(first, t) : (taps_.history() + t) * geometry.batch() + first;
    const Matrix& of = t >= 0 ? packed : before;
    return {of.row(row), 0, features_, of.ld};
  }
  void begin_gradients(const Geometry& geometry, int64_t t, const Matrix& to) const;

  Taps taps_;
  int64_t features_;
  Matrix input_;
  Matrix before_;            // [P * B, features]: row slot * B + sorted row
  Matrix dbefore_, dafter_;  // gradients of before_ and of the final state
};

template <class Fn>
void CausalHistory::gather_gradients(const Pass& pass, int64_t work, const Matrix& dx,
                                     const Fn& fn) const {
  const Geometry& geometry = *pass.geometry;
  const int64_t history = taps_.history();
  parallel_for(threads_for(work, pass.threads), history + geometry.steps(), 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t t = begin - history; t < end - history; ++t) {
                   Matrix to = rows_at(geometry, dx, dbefore_, t, 0);
                   to.rows = t >= 0 ? geometry.active(t) : geometry.batch();
                   begin_gradients(geometry, t, to);
                   for (int64_t tap = 0; tap < taps_.count; ++tap) {
                     const int64_t from = t + taps_.delay(tap);
                     if (from < 0 || from >= geometry.steps()) continue;
                     to.rows = geometry.active(from);  // later, so at most as many
                     fn(tap, to, geometry.offset(from));
                   }
                 }
               });
}

}  // namespace ostinato
