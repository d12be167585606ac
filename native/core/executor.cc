#include "core/executor.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// Embeddings clear what they wrote themselves: their gradients are large and mostly zero, unless a
// penalty is added to them.
void clear_gradients(const ParamTable& params, int threads) {
  parallel_for(
      threads_for(params.size(), threads), params.size(), kPad, [&](int64_t begin, int64_t end) {
        for_each_part(params.entries(), begin, end,
                      [&](const ParamEntry& entry, int64_t from, int64_t to) {
                        if (entry.role == ParamRole::kEmbedding && !entry.rules.regularizes())
                          return;
                        std::fill(params.gradients() + from, params.gradients() + to, 0.0f);
                      });
      });
}

}  // namespace

Executor::Executor(std::shared_ptr<Network> network) : network_(std::move(network)) {
  const auto& layers = network_->layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    runs_.push_back(layers[i]->make_run());
    const std::vector<StateInfo> infos = layers[i]->states();
    for (size_t state = 0; state < infos.size(); ++state) {
      states_.push_back({i, state, infos[state]});
    }
  }
  initial_.resize(states_.size());
  final_gradient_.resize(states_.size());
  values_.resize(layers.size() + 1);
  gradients_.resize(layers.size() + 1);
}

bool Executor::must_plan(const Geometry& geometry, const RunOptions& options) const {
  return !planned_ || options.threads != pass_.threads || options.training != pass_.training ||
         options.gradients != pass_.gradients || options.input_gradient != input_gradient_ ||
         geometry != geometry_;
}

void Executor::plan(bool input_gradient) {
  const std::vector<ValueShape>& shapes = network_->shapes();
  workspace_.begin();
  for (const std::unique_ptr<LayerRun>& run : runs_) {
    workspace_.next_layer();
    run->plan(workspace_, pass_);
  }
  int64_t largest[2] = {0, 0};
  for (size_t i = 0; i < gradients_.size(); ++i) {
    gradients_[i] = {};
    const bool wanted = pass_.gradients && !shapes[i].tokens && (i > 0 || input_gradient);
    if (!wanted) continue;
    gradients_[i].rows = pass_.rows(shapes[i]);
    gradients_[i].cols = shapes[i].features;
    gradients_[i].ld = padded(shapes[i].features);
    largest[i % 2] = std::max(largest[i % 2], gradients_[i].rows * gradients_[i].ld);
  }
  for (int block = 0; block < 2; ++block) {
    workspace_.want(&gradient_blocks_[block], largest[block], Lifetime::kSaved);
  }
  workspace_.realise();
  for (size_t i = 0; i < gradients_.size(); ++i) {
    if (gradients_[i].cols > 0) gradients_[i].data = gradient_blocks_[i % 2];
  }
}

Value Executor::forward(const Geometry& geometry, const Value& input, const RunOptions& options) {
  network_->pack_if_stale(options.threads, options.gradients ? &geometry : nullptr);
  const bool stale = must_plan(geometry, options);
  pass_.kernels = &network_->kernels();
  pass_.geometry = &geometry_;
  pass_.threads = options.threads;
  pass_.training = options.training;
  pass_.gradients = options.gradients;
  pass_.seed = network_->seed();
  pass_.step = options.step;
  pass_.cancel = options.cancel;
  pass_.split_trial = options.split_trial;
  if (stale) {
    planned_ = false;  // until the new plan stands
    geometry_ = geometry;
    input_gradient_ = options.input_gradient;
    plan(input_gradient_);
    planned_ = true;
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    runs_[states_[i].layer]->set_initial_state(geometry_, states_[i].state, initial_[i]);
    initial_[i] = nullptr;
  }
  values_[0] = input;
  for (size_t i = 0; i < runs_.size(); ++i) {
    pass_.check_cancel();
    values_[i + 1] = runs_[i]->forward(pass_, network_->params(), values_[i]);
  }
  return values_.back();
}

Matrix Executor::backward(const Matrix& dy) {
  const ParamTable& params = network_->params();
  clear_gradients(params, pass_.threads);
  for (size_t i = 0; i < states_.size(); ++i) {
    runs_[states_[i].layer]->set_final_state_gradient(geometry_, states_[i].state,
                                                      final_gradient_[i]);
    final_gradient_[i] = nullptr;
  }
  Matrix upstream = dy;
  for (size_t i = runs_.size(); i-- > 0;) {
    pass_.check_cancel();
    runs_[i]->backward(pass_, params, values_[i], upstream, gradients_[i]);
    upstream = gradients_[i];
  }
  return gradients_.front();
}

double Executor::activation_penalty() const {
  double sum = 0;
  for (const auto& run : runs_) sum += run->penalty();
  return sum;
}

void Executor::commit() {
  for (const std::unique_ptr<LayerRun>& run : runs_) run->commit(pass_, network_->params());
}

void Executor::get_final_state(size_t index, float* destination) const {
  const StateSlot& slot = states_[index];
  runs_[slot.layer]->get_final_state(geometry_, slot.state, destination);
}

void Executor::get_initial_state_gradient(size_t index, float* destination) const {
  const StateSlot& slot = states_[index];
  runs_[slot.layer]->get_initial_state_gradient(geometry_, slot.state, destination);
}

void Executor::set_sources(std::vector<const float*>& sources, const StateValues& values,
                           int64_t batch) const {
  if (!values.empty() && values.size() != states_.size()) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(states_.size()) +
                                          " states but received " + std::to_string(values.size()));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const StateInfo& info = states_[i].info;
    const int64_t expected = info.slots * batch * info.features;
    const auto received = static_cast<int64_t>(values[i].size());
    if (received != 0 && received != expected) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "Expected " + std::to_string(expected) + " values (" +
                      std::to_string(info.slots) + " x " + std::to_string(batch) + " x " +
                      std::to_string(info.features) + ") for state \"" + info.name +
                      "\" but received " + std::to_string(received));
    }
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    sources[i] = values.empty() || values[i].empty() ? nullptr : values[i].data();
  }
}

void Executor::set_initial_states(const StateValues& values, int64_t batch) {
  set_sources(initial_, values, batch);
}

void Executor::set_final_state_gradients(const StateValues& values, int64_t batch) {
  set_sources(final_gradient_, values, batch);
}

void Executor::get_final_states(StateValues& values) const {
  values.resize(states_.size());
  for (size_t i = 0; i < states_.size(); ++i) {
    const StateInfo& info = states_[i].info;
    values[i].resize(info.slots * geometry_.batch() * info.features);
    get_final_state(i, values[i].data());
  }
}

}  // namespace ostinato
