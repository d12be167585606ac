#include "core/recurrent_run.h"

#include <algorithm>
#include <cstring>

#include "core/dropout.h"
#include "core/state_rows.h"

namespace ostinato {

RecurrentRun::RecurrentRun(const Recurrent& layer)
    : layer_(layer), levels_(layer.layers()), states_(layer.states()) {
  const size_t slots = layer.layers() * layer.directions();
  recurrences_.reserve(slots);
  for (size_t slot = 0; slot < slots; ++slot) {
    const bool reverse = layer.go_backwards() || slot % layer.directions() == 1;
    recurrences_.emplace_back(layer.weights(slot), reverse, layer.checkpoint_every(),
                              layer.loop_dropout(slot));
  }
}

void RecurrentRun::plan_level(Workspace& workspace, const Pass& pass, size_t level) {
  Level& it = levels_[level];
  const bool last_step = is_top(level) && !layer_.return_sequences();
  const int64_t rows = last_step ? pass.geometry->batch() : pass.geometry->rows();
  const bool combines = layer_.bidirectional() && layer_.merge_mode() != MergeMode::kConcat;
  for (int direction = 0; direction < layer_.directions(); ++direction) {
    recurrence(level, direction).plan(workspace, pass, !last_step);
    if (last_step) workspace.want(&it.output[direction], rows, layer_.hidden(), Lifetime::kSaved);
    if (pass.gradients && combines) {
      workspace.want(&it.gradient[direction], rows, layer_.hidden(), Lifetime::kScratch);
    }
  }
  const int64_t features = layer_.output_features();
  if (layer_.bidirectional()) workspace.want(&it.merged, rows, features, Lifetime::kSaved);
  if (!is_top(level) && drops(pass)) workspace.want(&it.dropped, rows, features, Lifetime::kSaved);
  if (level > 0 && level <= 2 && pass.gradients) {
    workspace.want(&dinput_[level % 2], pass.geometry->rows(), features, Lifetime::kScratch);
  }
}

void RecurrentRun::plan(Workspace& workspace, const Pass& pass) {
  for (size_t level = 0; level < levels_.size(); ++level) plan_level(workspace, pass, level);
  if (pass.inputs.size() > 1) {
    int64_t most = 0;
    for (const StateInfo& info : states_) most = std::max(most, info.slots * info.features);
    workspace.want(&state_, most * pass.geometry->batch(), Lifetime::kScratch);
  }
  if (!layer_.go_backwards() || !layer_.return_sequences()) return;
  workspace.want(&reversed_, pass.geometry->rows(), layer_.hidden(), Lifetime::kSaved);
  if (pass.gradients) {
    workspace.want(&dreversed_, pass.geometry->rows(), layer_.hidden(), Lifetime::kScratch);
  }
}

void RecurrentRun::gather_last(const Pass& pass, size_t level, int direction) {
  const Geometry& geometry = *pass.geometry;
  const Matrix& output = levels_[level].output[direction];
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    const float* last = recurrence(level, direction).last_output(geometry, b);
    if (last != nullptr) {
      std::memcpy(output.row(b), last, output.cols * sizeof(float));
    } else {
      std::memset(output.row(b), 0, output.cols * sizeof(float));
    }
  }
}

void RecurrentRun::reverse_rows(const Pass& pass, const Matrix& from, const Matrix& to) const {
  const Geometry& geometry = *pass.geometry;
  parallel_for(threads_for(from.rows * from.cols, pass.threads), geometry.steps(), 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t t = begin; t < end; ++t) {
                   for (int64_t b = 0; b < geometry.active(t); ++b) {
                     const int64_t mirrored = geometry.row(b, geometry.length(b) - 1 - t);
                     std::memcpy(to.row(geometry.row(b, t)), from.row(mirrored),
                                 from.cols * sizeof(float));
                   }
                 }
               });
}

Value RecurrentRun::forward(const Pass& pass, const ParamTable& /*params*/, const Value& input) {
  Matrix x = input.floats;
  for (size_t level = 0; level < levels_.size(); ++level) {
    Level& it = levels_[level];
    it.input = x;
    const bool last_step = is_top(level) && !layer_.return_sequences();
    for (int direction = 0; direction < layer_.directions(); ++direction) {
      const Matrix output = recurrence(level, direction).forward(pass, x);
      if (last_step) {
        gather_last(pass, level, direction);
      } else {
        it.output[direction] = output;
      }
    }
    x = it.output[0];
    if (layer_.bidirectional()) {
      merge(pass, layer_.merge_mode(), it.output[0], it.output[1], it.merged);
      x = it.merged;
    }
    if (!is_top(level) && drops(pass)) {
      drop_rows(pass, dropout_stream(pass.step, layer_.index(), level), layer_.dropout(), true,
                layer_.variational_dropout(), x, it.dropped);
      x = it.dropped;
    }
  }
  if (layer_.go_backwards() && layer_.return_sequences()) {
    reverse_rows(pass, x, reversed_);
    x = reversed_;
  }
  penalty_ = 0;
  if (penalizes(pass)) {
    penalized_ = x;
    penalty_ = activation_penalty(pass, layer_.activation_penalty(), x);
  }
  return {x, nullptr, x.rows};
}

void RecurrentRun::backward(const Pass& pass, const ParamTable& params, const Value& /*input*/,
                            const Matrix& upstream, const Matrix& dx) {
  Matrix dy = upstream;
  if (penalizes(pass)) {
    add_activation_gradient(pass, layer_.activation_penalty(), penalized_, dy);
  }
  if (layer_.go_backwards() && layer_.return_sequences()) {
    reverse_rows(pass, dy, dreversed_);
    dy = dreversed_;
  }
  for (size_t level = levels_.size(); level-- > 0;) {
    Level& it = levels_[level];
    if (!is_top(level) && drops(pass)) {
      drop_rows(pass, dropout_stream(pass.step, layer_.index(), level), layer_.dropout(), true,
                layer_.variational_dropout(), dy, dy);
    }
    Matrix gradient[2] = {dy, {}};
    if (layer_.bidirectional()) {
      gradient[0] = it.gradient[0];
      gradient[1] = it.gradient[1];
      merge_backward(pass, layer_.merge_mode(), it.output[0], it.output[1], dy, gradient[0],
                     gradient[1]);
    }
    const Matrix& dinput = level > 0 ? dinput_[level % 2] : dx;
    const bool last_step = is_top(level) && !layer_.return_sequences();
    for (int direction = 0; direction < layer_.directions(); ++direction) {
      Recurrence& run = recurrence(level, direction);
      if (last_step) run.add_final_gradient(*pass.geometry, gradient[direction]);
      run.backward(pass, params, it.input, last_step ? Matrix{} : gradient[direction], dinput,
                   direction > 0);
    }
    dy = dinput;
  }
}

Value RecurrentRun::forward_from(const Pass& pass, const ParamTable& params,
                                 std::span<const Value> inputs) {
  for (size_t state = 0; state + 1 < inputs.size(); ++state) {
    state_from_rows(*pass.samples, states_[state], inputs[state + 1].floats, state_);
    set_initial_state(*pass.geometry, state, state_);
  }
  return forward(pass, params, inputs.front());
}

void RecurrentRun::backward_to(const Pass& pass, const ParamTable& params,
                               std::span<const Value> inputs, const Matrix& dy,
                               std::span<const Matrix> dx) {
  backward(pass, params, inputs.front(), dy, dx.front());
  for (size_t state = 0; state + 1 < inputs.size(); ++state) {
    if (!dx[state + 1]) continue;
    get_initial_state_gradient(*pass.geometry, state, state_);
    state_to_rows(*pass.samples, states_[state], state_, dx[state + 1]);
  }
}

// ---- states: slot = level * directions + direction
// -----------------------------------------------

void RecurrentRun::set_initial_state(const Geometry& geometry, size_t state, const float* source) {
  const int64_t slot_floats = geometry.batch() * layer_.weights(0).width(state);
  for (size_t slot = 0; slot < recurrences_.size(); ++slot) {
    recurrences_[slot].set_initial(geometry, state,
                                   source == nullptr ? nullptr : source + slot * slot_floats);
  }
}

void RecurrentRun::get_final_state(const Geometry& geometry, size_t state,
                                   float* destination) const {
  const int64_t slot_floats = geometry.batch() * layer_.weights(0).width(state);
  for (size_t slot = 0; slot < recurrences_.size(); ++slot) {
    recurrences_[slot].get_final(geometry, state, destination + slot * slot_floats);
  }
}

void RecurrentRun::set_final_state_gradient(const Geometry& geometry, size_t state,
                                            const float* source) {
  const int64_t slot_floats = geometry.batch() * layer_.weights(0).width(state);
  for (size_t slot = 0; slot < recurrences_.size(); ++slot) {
    recurrences_[slot].set_final_gradient(
        geometry, state, source == nullptr ? nullptr : source + slot * slot_floats);
  }
}

void RecurrentRun::add_final_state_gradient(const Geometry& geometry, size_t state,
                                            const float* source) {
  const int64_t slot_floats = geometry.batch() * layer_.weights(0).width(state);
  for (size_t slot = 0; slot < recurrences_.size(); ++slot) {
    recurrences_[slot].add_final_gradient(geometry, state, source + slot * slot_floats);
  }
}

void RecurrentRun::get_initial_state_gradient(const Geometry& geometry, size_t state,
                                              float* destination) const {
  const int64_t slot_floats = geometry.batch() * layer_.weights(0).width(state);
  for (size_t slot = 0; slot < recurrences_.size(); ++slot) {
    recurrences_[slot].get_initial_gradient(geometry, state, destination + slot * slot_floats);
  }
}

}  // namespace ostinato
