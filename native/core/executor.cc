#include "core/executor.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

constexpr size_t kNoBlock = SIZE_MAX;

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
  const std::vector<NodeConfig>& nodes = network_->nodes();
  std::vector<uint64_t> calls(network_->layers().size(), 0);
  nodes_.resize(nodes.size());
  for (size_t k = 0; k < nodes.size(); ++k) {
    const Layer& layer = *network_->layers()[nodes[k].layer];
    nodes_[k].run = layer.make_run();
    // The first call has the network's own seed, others one of a fixed odd multiple away.
    nodes_[k].seed = network_->seed() + calls[nodes[k].layer]++ * 0x9e3779b97f4a7c15;
    nodes_[k].inputs.resize(nodes[k].inputs.size());
    nodes_[k].scratch.resize(nodes[k].inputs.size());
    nodes_[k].dx.resize(nodes[k].inputs.size());
    const std::vector<StateInfo> infos = layer.states();
    for (size_t state = 0; state < infos.size(); ++state) {
      states_.push_back({k, state, infos[state]});
    }
  }
  initial_.resize(states_.size());
  final_gradient_.resize(states_.size());
  values_.resize(network_->shapes().size());
  gradients_.resize(values_.size());
  blocks_.reserve(values_.size());
  block_of_.resize(values_.size());
  block_data_.reserve(values_.size());
}

bool Executor::must_plan(const Geometry& geometry, const RunOptions& options) const {
  return !planned_ || options.threads != pass_.threads || options.training != pass_.training ||
         options.gradients != pass_.gradients || options.input_gradient != input_gradient_ ||
         geometry != geometry_;
}

void Executor::plan(bool input_gradient) {
  workspace_.begin();
  plan_gradients(input_gradient);
  for (Node& node : nodes_) {
    workspace_.next_layer();
    node.run->plan(workspace_, pass_);
    for (Matrix& scratch : node.scratch) {
      if (scratch.cols > 0) {
        workspace_.want(&scratch, scratch.rows, scratch.cols, Lifetime::kScratch);
      }
    }
  }
  block_data_.resize(blocks_.size());
  for (size_t block = 0; block < blocks_.size(); ++block) {
    workspace_.want(&block_data_[block], blocks_[block].floats, Lifetime::kSaved);
  }
  workspace_.realise();
  for (size_t value = 0; value < gradients_.size(); ++value) {
    if (block_of_[value] != kNoBlock) gradients_[value].data = block_data_[block_of_[value]];
  }
}

// Gives a value's gradient a shape, and a block that is not in use.
void Executor::want_block(size_t value) {
  const ValueShape& shape = network_->shapes()[value];
  gradients_[value] = {nullptr, pass_.rows(shape), shape.features, padded(shape.features)};
  size_t block = 0;
  while (block < blocks_.size() && !blocks_[block].free) ++block;
  if (block == blocks_.size()) blocks_.emplace_back();
  blocks_[block].free = false;
  blocks_[block].floats =
      std::max(blocks_[block].floats, gradients_[value].rows * gradients_[value].ld);
  block_of_[value] = block;
}

// Follows the backward pass: who writes a gradient first, who adds to it, and when it is done with.
void Executor::plan_gradients(bool input_gradient) {
  std::fill(gradients_.begin(), gradients_.end(), Matrix{});
  std::fill(block_of_.begin(), block_of_.end(), kNoBlock);
  blocks_.clear();
  for (Node& node : nodes_) std::fill(node.scratch.begin(), node.scratch.end(), Matrix{});
  if (!pass_.gradients) return;
  const size_t input_count = network_->input_count();
  for (const size_t value : network_->outputs()) want_block(value);
  for (size_t k = nodes_.size(); k-- > 0;) {
    const std::vector<size_t>& inputs = network_->nodes()[k].inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const size_t value = inputs[i];
      const ValueShape& shape = network_->shapes()[value];
      if (shape.tokens || (value < input_count && !input_gradient)) continue;
      if (block_of_[value] == kNoBlock) {
        want_block(value);
      } else {
        nodes_[k].scratch[i].rows = pass_.rows(shape);
        nodes_[k].scratch[i].cols = shape.features;
      }
    }
    blocks_[block_of_[input_count + k]].free = true;
  }
}

void Executor::forward(const Geometry& geometry, std::span<const Value> inputs,
                       const RunOptions& options) {
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
    nodes_[states_[i].node].run->set_initial_state(geometry_, states_[i].state, initial_[i]);
    initial_[i] = nullptr;
  }
  std::copy(inputs.begin(), inputs.end(), values_.begin());
  for (size_t k = 0; k < nodes_.size(); ++k) {
    pass_.check_cancel();
    Node& node = nodes_[k];
    const std::vector<size_t>& from = network_->nodes()[k].inputs;
    for (size_t i = 0; i < from.size(); ++i) node.inputs[i] = values_[from[i]];
    pass_.seed = node.seed;
    values_[inputs.size() + k] = node.run->forward_from(pass_, network_->params(), node.inputs);
  }
}

Value Executor::forward(const Geometry& geometry, const Value& input, const RunOptions& options) {
  forward(geometry, std::span(&input, 1), options);
  return output(0);
}

void Executor::add_scratch(Node& node, const std::vector<size_t>& inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Matrix& more = node.scratch[i];
    if (more.cols == 0) continue;
    const Matrix& sum = gradients_[inputs[i]];
    parallel_for(threads_for(2 * more.rows * more.cols, pass_.threads), more.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     pass_.kernels->add(sum.row(row), more.row(row), more.cols);
                   }
                 });
  }
}

void Executor::backward(std::span<const Matrix> dy) {
  const ParamTable& params = network_->params();
  clear_gradients(params, pass_.threads);
  for (const std::unique_ptr<Layer>& layer : network_->layers()) layer->begin_backward(params);
  for (size_t i = 0; i < states_.size(); ++i) {
    nodes_[states_[i].node].run->set_final_state_gradient(geometry_, states_[i].state,
                                                          final_gradient_[i]);
    final_gradient_[i] = nullptr;
  }
  for (size_t i = 0; i < dy.size(); ++i) gradients_[network_->outputs()[i]] = dy[i];
  for (size_t k = nodes_.size(); k-- > 0;) {
    pass_.check_cancel();
    Node& node = nodes_[k];
    const std::vector<size_t>& to = network_->nodes()[k].inputs;
    for (size_t i = 0; i < to.size(); ++i) {
      node.dx[i] = node.scratch[i].cols > 0 ? node.scratch[i] : gradients_[to[i]];
    }
    pass_.seed = node.seed;
    node.run->backward_to(pass_, params, node.inputs, gradients_[network_->input_count() + k],
                          node.dx);
    add_scratch(node, to);
  }
  // Where the caller brought memory of its own, the workspace's takes its place again.
  for (const size_t value : network_->outputs()) {
    gradients_[value].data = block_data_[block_of_[value]];
    gradients_[value].ld = padded(gradients_[value].cols);
  }
}

Matrix Executor::backward(const Matrix& dy) {
  backward(std::span(&dy, 1));
  return gradients_.front();
}

double Executor::activation_penalty() const {
  double sum = 0;
  for (const Node& node : nodes_) sum += node.run->penalty();
  return sum;
}

void Executor::commit() {
  for (const Node& node : nodes_) node.run->commit(pass_, network_->params());
}

void Executor::get_final_state(size_t index, float* destination) const {
  const StateSlot& slot = states_[index];
  nodes_[slot.node].run->get_final_state(geometry_, slot.state, destination);
}

void Executor::get_initial_state_gradient(size_t index, float* destination) const {
  const StateSlot& slot = states_[index];
  nodes_[slot.node].run->get_initial_state_gradient(geometry_, slot.state, destination);
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
