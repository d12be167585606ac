#include "core/recurrence.h"

#include <algorithm>
#include <cstring>

namespace ostinato {

namespace {

// Multiply-adds of one step that a thread must have for a barrier a step to pay.
constexpr int64_t kStepWorkPerThread = 40'000;
// Rows that each thread needs for a split by rows, when the recurrent weights stay in its own
// second-level cache and when they do not.
constexpr int64_t kRowsPerThread = 4, kRowsPerThreadLarge = 16;
constexpr int64_t kResidentFloats = 256 * 1024;

}  // namespace

void Recurrence::plan(Workspace& workspace, const Pass& pass) {
  const CellInfo& cell = info(pass);
  const int64_t rows = pass.geometry->rows();
  const int64_t batch = pass.geometry->batch();
  const int64_t units = weights_.units();
  const int64_t columns = cell.gates * padded(units);
  const Lifetime lifetime = pass.gradients ? Lifetime::kSaved : Lifetime::kScratch;

  workspace.want(&gates_, rows, columns, lifetime);
  if (cell.split_gates != 0 && pass.gradients) {
    workspace.want(&recurrent_gates_, rows, columns, Lifetime::kSaved);
  } else {
    recurrent_gates_ = {};
  }
  operand_ = {};
  if (cell.phases > 1) workspace.want(&operand_, pass.gradients ? rows : batch, units, lifetime);
  sequence_is_running_ = !pass.gradients;
  for (int s = 0; s < cell.states; ++s) {
    const bool all_steps = s == 0 || pass.gradients;
    workspace.want(&sequence_[s], all_steps ? rows : batch, units, Lifetime::kSaved);
  }
  gathered_ = {};
  if (!pass.gradients) return;
  if (!pass.geometry->dense()) workspace.want(&gathered_, rows, units, Lifetime::kScratch);
  workspace.want(&tn_scratch_, multiply_tn_scratch(*pass.kernels, pass.threads),
                 Lifetime::kScratch);
  workspace.want(&bias_sums_, cell.gates * units, Lifetime::kScratch);
}

// ---- the time loop --------------------------------------------------------------------------

Recurrence::Split Recurrence::choose_split(const Pass& pass) const {
  const int64_t batch = pass.geometry->batch();
  const int64_t weights = info(pass).gates * weights_.units() * weights_.units();
  const int threads = threads_for(pass.geometry->rows() * weights, pass.threads);
  if (threads <= 1) return {};
  const int64_t needed = weights <= kResidentFloats ? kRowsPerThread : kRowsPerThreadLarge;
  if (batch >= needed * threads) return {threads, true};
  const int64_t by_step = batch * weights / kStepWorkPerThread;
  const int64_t panels = padded(weights_.units()) / pass.kernels->width;
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

Recurrence::Part Recurrence::part_of(const Pass& pass, const Split& split,
                                     const Member& member) const {
  const Geometry& geometry = *pass.geometry;
  const int64_t panels = padded(weights_.units()) / pass.kernels->width;
  if (!split.by_rows) {
    const Member::Range range = member.share(panels);
    return {0, geometry.batch(), range.begin, range.end};
  }
  // Rows are sorted by length: equal numbers of steps, not of rows.
  const auto boundary = [&](int index) {
    if (geometry.dense()) return geometry.batch() * index / member.size;
    const int64_t share = geometry.rows() * index / member.size;
    int64_t steps = 0, row = 0;
    while (row < geometry.batch() && steps < share) steps += geometry.length(row++);
    return index == member.size ? geometry.batch() : row;
  };
  return {boundary(member.index), boundary(member.index + 1), 0, panels};
}

int64_t Recurrence::continuing(const Geometry& geometry, int64_t t) const {
  if (reverse_) return geometry.active(t + 1);
  return t > 0 ? geometry.active(t) : 0;
}

int64_t Recurrence::continued(const Geometry& geometry, int64_t t) const {
  if (!reverse_) return geometry.active(t + 1);
  return t > 0 ? geometry.active(t) : 0;
}

const float* Recurrence::state_before(const Geometry& geometry, size_t state, int64_t t,
                                      int64_t row) const {
  if (state > 0 && sequence_is_running_) return sequence_[state].row(row);
  if (row < continuing(geometry, t)) return sequence_[state].row(geometry.row(row, step_before(t)));
  return initial_[state].data() + row * padded(weights_.units());
}

float* Recurrence::state_after(const Geometry& geometry, size_t state, int64_t t,
                               int64_t row) const {
  return sequence_[state].row(state > 0 && sequence_is_running_ ? row : geometry.row(row, t));
}

// body(t, phase, part) for all steps in processing order, or in the opposite one.
template <class Body>
void Recurrence::run_loop(const Pass& pass, bool backwards, const Body& body) const {
  const int64_t steps = pass.geometry->steps();
  const int phases = info(pass).phases;
  const Split split = split_for(pass);
  Barrier barrier;
  parallel_team(split.threads, [&](const Member& member) {
    const Part part = part_of(pass, split, member);
    for (int64_t i = 0; i < steps; ++i) {
      const int64_t t = reverse_ != backwards ? steps - 1 - i : i;
      for (int phase = 0; phase < phases; ++phase) {
        body(t, phase, part);
        if (!split.by_rows) barrier.wait(member);
      }
    }
  });
}

void Recurrence::forward_step(const Pass& pass, int64_t t, int phase, const Part& part) const {
  const Geometry& geometry = *pass.geometry;
  const CellInfo& cell = info(pass);
  const int64_t end = std::min(part.row_end, geometry.active(t));
  const int64_t cut =
      std::clamp(continuing(geometry, t), part.row_begin, std::max(part.row_begin, end));
  for (const auto& [first, last] : {std::pair{part.row_begin, cut}, std::pair{cut, end}}) {
    if (first >= last) continue;
    CellForwardArgs args{};
    args.rows = last - first;
    args.units = weights_.units();
    args.panel_begin = part.panel_begin;
    args.panel_end = part.panel_end;
    args.phase = phase;
    args.training = pass.gradients;
    args.weights = weights_.recurrent_forward(phase);
    args.recurrent_bias = weights_.recurrent_bias();
    args.gates = gates_.row(geometry.row(first, t));
    args.gates_ld = gates_.ld;
    if (recurrent_gates_) args.recurrent_gates = recurrent_gates_.row(geometry.row(first, t));
    if (operand_) args.operand = operand_.row(pass.gradients ? geometry.row(first, t) : first);
    args.operand_ld = operand_.ld;
    for (int s = 0; s < cell.states; ++s) {
      args.previous[s] = state_before(geometry, s, t, first);
      args.next[s] = state_after(geometry, s, t, first);
    }
    args.previous_ld = padded(weights_.units());
    args.next_ld = padded(weights_.units());
    pass.kernels->cell_forward[weights_.cell()](args);
  }
}

Matrix Recurrence::forward(const Pass& pass, const Matrix& x) {
  const Geometry& geometry = *pass.geometry;
  prepare_initial(geometry);
  if (geometry.rows() == 0) return sequence_[0];
  multiply(*pass.kernels, pass.threads, x, weights_.input_forward(), weights_.input_bias(), false,
           gates_);
  pass.check_cancel();
  run_loop(pass, false,
           [&](int64_t t, int phase, const Part& part) { forward_step(pass, t, phase, part); });
  pass.check_cancel();
  return sequence_[0];
}

// ---- backward ---------------------------------------------------------------------------------

void Recurrence::backward_step(const Pass& pass, int64_t t, int phase, const Part& part) const {
  const Geometry& geometry = *pass.geometry;
  const CellInfo& cell = info(pass);
  const Matrix& product_gates = recurrent_gates_ ? recurrent_gates_ : gates_;
  const int64_t end = std::min(part.row_end, geometry.active(t));
  // Rows differ in where their state came from and in whether a later step sends gradients.
  const int64_t from = continuing(geometry, t);
  const int64_t to = continued(geometry, t);
  const int64_t cuts[] = {part.row_begin, std::min(from, to), std::max(from, to), end};
  for (int i = 0; i < 3; ++i) {
    const int64_t first = std::max(cuts[i], part.row_begin);
    const int64_t last = std::min(cuts[i + 1], end);
    if (first >= last) continue;
    CellBackwardArgs args{};
    args.rows = last - first;
    args.units = weights_.units();
    args.panel_begin = part.panel_begin;
    args.panel_end = part.panel_end;
    args.phase = phase;
    args.weights = weights_.recurrent_backward(phase);
    if (first < to) args.following = product_gates.row(geometry.row(first, step_after(t)));
    args.following_ld = product_gates.ld;
    args.gates = gates_.row(geometry.row(first, t));
    args.gates_ld = gates_.ld;
    if (recurrent_gates_) args.recurrent_gates = recurrent_gates_.row(geometry.row(first, t));
    if (dy_) args.dy = dy_.row(geometry.row(first, t));
    args.dy_ld = dy_.ld;
    for (int s = 0; s < cell.states; ++s) {
      args.previous[s] = state_before(geometry, s, t, first);
      args.next[s] = state_after(geometry, s, t, first);
      args.dstate[s] = dstate_[s].data() + first * padded(weights_.units());
    }
    args.previous_ld = padded(weights_.units());
    args.next_ld = padded(weights_.units());
    args.dstate_ld = padded(weights_.units());
    pass.kernels->cell_backward[weights_.cell()](args);
  }
}

void Recurrence::backward(const Pass& pass, const ParamTable& params, const Matrix& x,
                          const Matrix& dy, const Matrix& dx, bool accumulate_dx) {
  const int states = info(pass).states;
  for (int s = 0; s < states; ++s) {
    if (!dstate_set_[s]) set_final_gradient(*pass.geometry, s, nullptr);
    dstate_set_[s] = false;
  }
  pass_ = pass;
  initial_gradient_pending_ = true;
  if (pass.geometry->rows() == 0) return;
  dy_ = dy;
  run_loop(pass, true,
           [&](int64_t t, int phase, const Part& part) { backward_step(pass, t, phase, part); });
  pass.check_cancel();
  const Kernels& kernels = *pass.kernels;
  multiply_tn(kernels, pass.threads, gates_, x, weights_.gate_map().data(), true,
              params.gradient(weights_.weight_ih()), weights_.inputs(), tn_scratch_);
  recurrent_weight_gradient(pass, params);
  if (weights_.use_bias()) bias_gradient(pass, params);
  pass.check_cancel();
  if (dx)
    multiply(kernels, pass.threads, gates_, weights_.input_backward(), nullptr, accumulate_dx, dx);
}

// The states before each step, row by row as the gates.
void Recurrence::gather_previous(const Pass& pass) {
  const Geometry& geometry = *pass.geometry;
  const size_t bytes = weights_.units() * sizeof(float);
  parallel_for(threads_for(geometry.rows() * weights_.units(), pass.threads), geometry.steps(), 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t t = begin; t < end; ++t) {
                   for (int64_t b = 0; b < geometry.active(t); ++b) {
                     std::memcpy(gathered_.row(geometry.row(b, t)), state_before(geometry, 0, t, b),
                                 bytes);
                   }
                 }
               });
}

void Recurrence::recurrent_weight_gradient(const Pass& pass, const ParamTable& params) {
  const Geometry& geometry = *pass.geometry;
  const Matrix& product_gates = recurrent_gates_ ? recurrent_gates_ : gates_;
  const int64_t units = weights_.units();
  const int phases = info(pass).phases;
  float* gradient = params.gradient(weights_.weight_hh());
  const auto rows = [](const Matrix& matrix, int64_t first, int64_t count) {
    return Matrix{matrix.row(first), count, matrix.cols, matrix.ld};
  };
  const auto add = [&](int phase, const Matrix& a, const Matrix& b) {
    multiply_tn(*pass.kernels, pass.threads, a, b,
                phases == 1 ? weights_.gate_map().data() : weights_.phase_columns(phase).data(),
                true, gradient, units, tn_scratch_);
  };
  if (geometry.dense()) {
    // The states before the steps are the outputs, shifted by one step.
    const int64_t batch = geometry.batch(), later = geometry.rows() - batch;
    const int64_t first = reverse_ ? later : 0;  // packed row of the first processed step
    if (later > 0) {
      add(0, rows(product_gates, reverse_ ? 0 : batch, later),
          rows(sequence_[0], reverse_ ? batch : 0, later));
    }
    if (!initial_zero_) {
      add(0, rows(product_gates, first, batch),
          Matrix{initial_[0].data(), batch, units, padded(units)});
    }
  } else {
    gather_previous(pass);
    add(0, product_gates, gathered_);
  }
  if (phases > 1) add(1, product_gates, operand_);
}

void Recurrence::bias_gradient(const Pass& pass, const ParamTable& params) {
  const Kernels& kernels = *pass.kernels;
  const int64_t size = info(pass).gates * weights_.units();
  const int32_t* map = weights_.gate_map().data();
  column_sums(kernels, pass.threads, gates_, map, false, bias_sums_);
  kernels.add(params.gradient(weights_.bias_ih()), bias_sums_, size);
  if (recurrent_gates_)
    column_sums(kernels, pass.threads, recurrent_gates_, map, false, bias_sums_);
  kernels.add(params.gradient(weights_.bias_hh()), bias_sums_, size);
}

// ---- states -------------------------------------------------------------------------------------

namespace {

// Copies rows of `units` floats from batch order into sorted, padded rows; zeros for a null source.
void load_rows(const Geometry& geometry, const float* source, int64_t units, AlignedBuffer& to) {
  const int64_t ld = padded(units);
  to.reserve(geometry.batch() * ld);
  if (source == nullptr) {
    std::memset(to.data(), 0, geometry.batch() * ld * sizeof(float));
    return;
  }
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    float* row = to.data() + b * ld;
    std::memcpy(row, source + geometry.batch_row(b) * units, units * sizeof(float));
    std::fill(row + units, row + ld, 0.0f);
  }
}

}  // namespace

void Recurrence::set_initial(const Geometry& geometry, size_t state, const float* source) {
  load_rows(geometry, source, weights_.units(), initial_[state]);
  initial_set_[state] = source != nullptr;
}

void Recurrence::prepare_initial(const Geometry& geometry) {
  initial_zero_ = true;
  for (int s = 0; s < kMaxStates && (s == 0 || sequence_[s]); ++s) {
    if (initial_set_[s]) {
      initial_zero_ = false;
    } else {
      load_rows(geometry, nullptr, weights_.units(), initial_[s]);
    }
    initial_set_[s] = false;
    if (s > 0 && sequence_is_running_) {
      std::memcpy(sequence_[s].data, initial_[s].data(),
                  geometry.batch() * padded(weights_.units()) * sizeof(float));
    }
  }
}

void Recurrence::get_final(const Geometry& geometry, size_t state, float* destination) const {
  const int64_t units = weights_.units();
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    const int64_t length = geometry.length(b);
    const float* row = state > 0 && sequence_is_running_ ? sequence_[state].row(b)
                       : length == 0
                           ? initial_[state].data() + b * padded(units)
                           : sequence_[state].row(geometry.row(b, reverse_ ? 0 : length - 1));
    std::memcpy(destination + geometry.batch_row(b) * units, row, units * sizeof(float));
  }
}

const float* Recurrence::last_output(const Geometry& geometry, int64_t b) const {
  const int64_t length = geometry.length(b);
  return length == 0 ? nullptr : sequence_[0].row(geometry.row(b, reverse_ ? 0 : length - 1));
}

void Recurrence::set_final_gradient(const Geometry& geometry, size_t state, const float* source) {
  load_rows(geometry, source, weights_.units(), dstate_[state]);
  dstate_set_[state] = true;
}

void Recurrence::add_final_gradient(const Geometry& geometry, const Matrix& dy) {
  if (!dstate_set_[0]) set_final_gradient(geometry, 0, nullptr);
  for (int64_t b = 0; b < geometry.batch() && geometry.length(b) > 0; ++b) {
    float* row = dstate_[0].data() + b * padded(weights_.units());
    for (int64_t j = 0; j < weights_.units(); ++j) row[j] += dy.row(b)[j];
  }
}

// The last product of the backward pass, needed only when somebody asks for these gradients.
void Recurrence::finish_initial_gradient() {
  if (!initial_gradient_pending_) return;
  initial_gradient_pending_ = false;
  const Geometry& geometry = *pass_.geometry;
  const Matrix& product_gates = recurrent_gates_ ? recurrent_gates_ : gates_;
  const int64_t ld = padded(weights_.units());
  const ScopedFlushDenormals flush;
  for (int64_t t = 0; t < geometry.steps(); ++t) {
    const int64_t first = continuing(geometry, t), last = geometry.active(t);
    if (first >= last) continue;
    CellBackwardArgs args{};
    args.rows = last - first;
    args.units = weights_.units();
    args.panel_end = ld / pass_.kernels->width;
    args.weights = weights_.recurrent_backward(0);
    args.following = product_gates.row(geometry.row(first, t));
    args.following_ld = product_gates.ld;
    args.dstate[0] = dstate_[0].data() + first * ld;
    args.dstate_ld = ld;
    pass_.kernels->cell_backward[weights_.cell()](args);
  }
}

void Recurrence::get_initial_gradient(const Geometry& geometry, size_t state, float* destination) {
  finish_initial_gradient();
  const int64_t units = weights_.units();
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    std::memcpy(destination + geometry.batch_row(b) * units,
                dstate_[state].data() + b * padded(units), units * sizeof(float));
  }
}

}  // namespace ostinato
