#include "core/network.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/weight_rules.h"

namespace ostinato {

namespace {

[[noreturn]] void invalid(const std::string& message) {
  throw Error("ERR_INVALID_ARGUMENT", message);
}

std::vector<NodeConfig> chain(size_t layers) {
  std::vector<NodeConfig> nodes;
  for (size_t i = 0; i < layers; ++i) nodes.push_back({i, {i}});
  return nodes;
}

bool same(const ValueShape& a, const ValueShape& b) {
  return a.features == b.features && a.timed == b.timed && a.tokens == b.tokens;
}

}  // namespace

Network::Network(const NetworkConfig& config, const Kernels& kernels)
    : kernels_(kernels),
      seed_(config.seed),
      input_count_(config.inputs.size()),
      shapes_(config.inputs),
      nodes_(config.nodes.empty() ? chain(config.layers.size()) : config.nodes),
      outputs_(config.nodes.empty() ? std::vector<size_t>{config.layers.size()} : config.outputs) {
  check(config);
  for (const LayerConfig& layer : config.layers) {
    layers_.push_back(make_layer(layer));
    layers_.back()->set_index(layers_.size() - 1);
  }
  build_nodes();
  check_use();
  params_.realise();
  for (const std::unique_ptr<Layer>& layer : layers_) {
    layer->initialize(params_, seed_, layer->index());
  }
  model_shape_.inputs = config.inputs;
  for (const size_t value : outputs_) model_shape_.outputs.push_back(shapes_[value]);
}

void Network::check(const NetworkConfig& config) const {
  if (config.layers.empty()) invalid("Expected at least one layer for \"layers\"");
  if (config.inputs.empty() || (config.nodes.empty() && config.inputs.size() > 1)) {
    invalid("Expected one input for a chain of layers, at least one for a graph");
  }
  std::set<std::string> names;
  for (const LayerConfig& layer : config.layers) {
    if (names.insert(layer.name).second) continue;
    invalid("Expected a unique name for \"name\" of a layer but received \"" + layer.name +
            "\" twice (string)");
  }
  std::set<size_t> called;
  for (size_t k = 0; k < nodes_.size(); ++k) {
    if (nodes_[k].layer >= config.layers.size()) invalid("Expected the index of a layer in a node");
    called.insert(nodes_[k].layer);
    if (nodes_[k].inputs.empty()) invalid("Expected at least one input of a node");
    for (const size_t value : nodes_[k].inputs) {
      if (value >= input_count_ + k) invalid("Expected nodes that read only values before theirs");
    }
  }
  if (called.size() != config.layers.size()) invalid("Expected a node for each layer");
  const std::set<size_t> outputs(outputs_.begin(), outputs_.end());
  if (outputs.empty() || outputs.size() != outputs_.size()) {
    invalid("Expected at least one output, and each once");
  }
  if (*outputs.begin() < input_count_ || *outputs.rbegin() >= input_count_ + nodes_.size()) {
    invalid("Expected outputs that layers give");
  }
}

void Network::build_nodes() {
  struct Call {
    std::vector<ValueShape> inputs;
    ValueShape output;
  };
  std::vector<Call> first(layers_.size());
  for (const NodeConfig& node : nodes_) {
    std::vector<ValueShape> inputs;
    for (const size_t value : node.inputs) inputs.push_back(shapes_[value]);
    Call& call = first[node.layer];
    if (call.inputs.empty()) {
      const size_t before = params_.entries().size();
      call.output = layers_[node.layer]->build_from(inputs, params_);
      for (size_t i = before; i < params_.entries().size(); ++i) {
        params_.set_rules(static_cast<int>(i),
                          weight_rules(layers_[node.layer]->config(), params_.entries()[i].role));
      }
      call.inputs = std::move(inputs);
    } else if (!std::equal(inputs.begin(), inputs.end(), call.inputs.begin(), call.inputs.end(),
                           same)) {
      throw Error("ERR_SHAPE_MISMATCH", "Expected inputs of one shape in all calls of layer \"" +
                                            layers_[node.layer]->config().name + "\"");
    }
    shapes_.push_back(call.output);
  }
}

// Each value must be read by a node or be an output: there is no gradient for others.
void Network::check_use() const {
  std::vector<bool> used(shapes_.size(), false);
  for (const NodeConfig& node : nodes_) {
    for (const size_t value : node.inputs) used[value] = true;
  }
  for (const size_t value : outputs_) used[value] = true;
  for (size_t value = 0; value < used.size(); ++value) {
    if (used[value]) continue;
    invalid(value < input_count_ ? "Expected inputs that some layer reads"
                                 : "Expected layers whose output is read or is the model's");
  }
}

void Network::pack_if_stale(int threads, const Geometry* backward_over) {
  const std::lock_guard<std::mutex> lock(pack_mutex_);
  if (packed_version_ != params_.version()) {
    for (const std::unique_ptr<Layer>& layer : layers_) layer->pack(params_, kernels_, threads);
    packed_version_ = params_.version();
  }
  if (backward_over == nullptr) return;
  for (const std::unique_ptr<Layer>& layer : layers_) {
    layer->pack_backward(params_, kernels_, threads, *backward_over);
  }
}

}  // namespace ostinato
