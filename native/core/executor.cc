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

// All but those that are written whole. Embeddings clear what they wrote themselves: their
// gradients are large and mostly zero, unless a penalty is added to them.
void clear_gradients(const ParamTable& params, int threads) {
  params.begin_gradients();
  parallel_for(
      threads_for(params.size(), threads), params.size(), kPad, [&](int64_t begin, int64_t end) {
        for_each_part(params.entries(), begin, end,
                      [&](const ParamEntry& entry, int64_t from, int64_t to) {
                        if (entry.written_whole) return;
                        if (entry.role == ParamRole::kEmbedding && !entry.rules.regularizes())
                          return;
                        std::fill(params.gradients() + from, params.gradients() + to, 0.0f);
                      });
      });
}

// Rows that one geometry has sorted, in the order of another.
void reorder(const Geometry& from_order, const Matrix& from, const Geometry& to_order,
             const Matrix& to) {
  for (int64_t row = 0; row < from.rows; ++row) {
    std::memcpy(to.row(to_order.sorted_row(from_order.batch_row(row))), from.row(row),
                static_cast<size_t>(from.cols) * sizeof(float));
  }
}

}  // namespace

Executor::Executor(std::shared_ptr<Network> network) : network_(std::move(network)) {
  const std::vector<NodeConfig>& nodes = network_->nodes();
  const ModelShape& shape = network_->model_shape();
  geometries_.resize(shape.axes.size());
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
    for (const size_t value : nodes[k].inputs) {
      nodes_[k].input_geometries.push_back(&geometries_[shape.axis_of(network_->shapes()[value])]);
    }
    nodes_[k].geometry = &geometries_[network_->node_axes()[k]];
    nodes_[k].output_geometry =
        &geometries_[shape.axis_of(network_->shapes()[network_->input_count() + k])];
    nodes_[k].own_order = layer.orders_by_own_axis();
    nodes_[k].reads_states = layer.reads_states();
    if (nodes_[k].reads_states) {
      const Node& source = nodes_[nodes[k].inputs.front() - network_->input_count()];
      nodes_[k].run->attach(*source.run, *source.geometry);
    }
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

bool Executor::must_plan(std::span<const Geometry> geometries, const RunOptions& options) const {
  return !planned_ || options.threads != pass_.threads || options.training != pass_.training ||
         options.gradients != pass_.gradients || options.input_gradient != input_gradient_ ||
         !std::equal(geometries.begin(), geometries.end(), geometries_.begin(), geometries_.end());
}

int64_t Executor::rows_of(size_t value) const {
  const ValueShape& shape = network_->shapes()[value];
  const Geometry& geometry = geometries_[network_->model_shape().axis_of(shape)];
  return shape.timed ? geometry.rows() : geometry.batch();
}

// What is the node's own in a pass.
void Executor::enter(const Node& node) {
  pass_.geometry = node.geometry;
  pass_.inputs = node.input_geometries;
  pass_.output = node.output_geometry;
  pass_.seed = node.seed;
}

// A layer that reads sequences of one axis only need not know that there are others: if it gives
// one row a sample, the executor brings the rows into the first axis' order.
void Executor::plan_order(size_t k) {
  Node& node = nodes_[k];
  const size_t value = network_->input_count() + k;
  const bool one_axis =
      node.own_order ||
      std::all_of(node.input_geometries.begin(), node.input_geometries.end(),
                  [&](const Geometry* geometry) { return geometry == node.geometry; });
  node.reorders = one_axis && !network_->shapes()[value].timed &&
                  !node.geometry->same_order(geometries_.front());
  if (!node.reorders) return;
  const int64_t features = network_->shapes()[value].features;
  workspace_.want(&node.ordered, rows_of(value), features, Lifetime::kSaved);
  if (pass_.gradients) {
    workspace_.want(&node.dy, rows_of(value), features, Lifetime::kScratch);
  }
}

void Executor::plan(bool input_gradient) {
  workspace_.begin();
  plan_gradients(input_gradient);
  for (size_t k = 0; k < nodes_.size(); ++k) {
    Node& node = nodes_[k];
    workspace_.next_layer();
    enter(node);
    plan_order(k);
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
  gradients_[value] = {nullptr, rows_of(value), shape.features, padded(shape.features)};
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
    nodes_[k].unread = block_of_[input_count + k] == kNoBlock;
    if (nodes_[k].unread) want_block(input_count + k);
    for (size_t i = 0; i < inputs.size() && !nodes_[k].reads_states; ++i) {
      const size_t value = inputs[i];
      const ValueShape& shape = network_->shapes()[value];
      if (shape.tokens || (value < input_count && !input_gradient)) continue;
      if (block_of_[value] == kNoBlock) {
        want_block(value);
      } else {
        nodes_[k].scratch[i].rows = rows_of(value);
        nodes_[k].scratch[i].cols = shape.features;
      }
    }
    blocks_[block_of_[input_count + k]].free = true;
  }
}

void Executor::forward(std::span<const Geometry> geometries, std::span<const Value> inputs,
                       const RunOptions& options) {
  if (geometries.size() != geometries_.size()) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected lengths for " + std::to_string(geometries_.size()) +
                                          " time axes but received " +
                                          std::to_string(geometries.size()));
  }
  network_->pack_if_stale(options.threads,
                          options.gradients ? geometries : std::span<const Geometry>());
  const bool stale = must_plan(geometries, options);
  pass_.kernels = &network_->kernels();
  pass_.samples = &geometries_.front();
  pass_.threads = options.threads;
  pass_.training = options.training;
  pass_.gradients = options.gradients;
  pass_.step = options.step;
  pass_.cancel = options.cancel;
  pass_.split_trial = options.split_trial;
  if (stale) {
    planned_ = false;  // until the new plan stands
    std::copy(geometries.begin(), geometries.end(), geometries_.begin());
    if (geometries_.size() > 1) {
      for (Geometry& geometry : geometries_) geometry.index();
    }
    input_gradient_ = options.input_gradient;
    plan(input_gradient_);
    planned_ = true;
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    const Node& node = nodes_[states_[i].node];
    node.run->set_initial_state(*node.geometry, states_[i].state, initial_[i]);
    initial_[i] = nullptr;
  }
  std::copy(inputs.begin(), inputs.end(), values_.begin());
  for (size_t k = 0; k < nodes_.size(); ++k) {
    pass_.check_cancel();
    Node& node = nodes_[k];
    const std::vector<size_t>& from = network_->nodes()[k].inputs;
    for (size_t i = 0; i < from.size(); ++i) node.inputs[i] = values_[from[i]];
    enter(node);
    Value& output = values_[inputs.size() + k];
    output = node.run->forward_from(pass_, network_->params(), node.inputs);
    if (!node.reorders) continue;
    reorder(*node.geometry, output.floats, geometries_.front(), node.ordered);
    output.floats = node.ordered;
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
  for (const std::shared_ptr<Layer>& layer : network_->layers()) layer->begin_backward(params);
  for (size_t i = 0; i < states_.size(); ++i) {
    const Node& node = nodes_[states_[i].node];
    node.run->set_final_state_gradient(*node.geometry, states_[i].state, final_gradient_[i]);
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
    enter(node);
    const Matrix* dy = &gradients_[network_->input_count() + k];
    if (node.reorders) {
      reorder(geometries_.front(), *dy, *node.geometry, node.dy);
      dy = &node.dy;
    }
    if (node.unread) std::fill_n(dy->data, dy->rows * dy->ld, 0.0f);
    node.run->backward_to(pass_, params, node.inputs, *dy, node.dx);
    add_scratch(node, to);
  }
  params.clear_unclaimed();
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
  for (const Node& node : nodes_) {
    enter(node);
    node.run->commit(pass_, network_->params());
  }
}

void Executor::get_final_state(size_t index, float* destination) const {
  const StateSlot& slot = states_[index];
  const Node& node = nodes_[slot.node];
  node.run->get_final_state(*node.geometry, slot.state, destination);
}

void Executor::get_initial_state_gradient(size_t index, float* destination) const {
  const StateSlot& slot = states_[index];
  const Node& node = nodes_[slot.node];
  node.run->get_initial_state_gradient(*node.geometry, slot.state, destination);
}

void Executor::get_attention(size_t node, int64_t query_steps, int64_t key_steps,
                             float* destination) {
  enter(nodes_[node]);
  nodes_[node].run->get_attention(pass_, query_steps, key_steps, destination);
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
    values[i].resize(info.slots * geometries_.front().batch() * info.features);
    get_final_state(i, values[i].data());
  }
}

}  // namespace ostinato
