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
    : Network(config, kernels, nullptr) {}

Network::Network(const NetworkConfig& config, std::shared_ptr<Network> base)
    : Network(config, base->kernels(), base) {}

Network::Network(const NetworkConfig& config, const Kernels& kernels, std::shared_ptr<Network> base)
    : base_(std::move(base)),
      kernels_(kernels),
      seed_(config.seed),
      input_count_(config.inputs.size()),
      shapes_(config.inputs),
      nodes_(config.nodes.empty() ? chain(config.layers.size()) : config.nodes),
      outputs_(config.nodes.empty() ? std::vector<size_t>{config.layers.size()} : config.outputs) {
  if (base_ != nullptr && base_->base_ != nullptr) {
    invalid("Expected a network that has layers of its own for a view");
  }
  check(config);
  make_layers(config);
  build_nodes();
  check_use();
  if (base_ == nullptr) {
    params_.realise();
    for (const std::shared_ptr<Layer>& layer : layers_) {
      layer->initialize(params_, seed_, layer->index());
    }
  } else if (!params_.entries().empty()) {
    invalid("Expected layers without parameters beside those of the other network");
  }
  model_shape_.inputs = config.inputs;
  for (const size_t value : outputs_) model_shape_.outputs.push_back(shapes_[value]);
  find_axes();
}

void Network::check(const NetworkConfig& config) const {
  if (config.layers.empty()) invalid("Expected at least one layer for \"layers\"");
  if (config.inputs.empty() || (config.nodes.empty() && config.inputs.size() > 1)) {
    invalid("Expected one input for a chain of layers, at least one for a graph");
  }
  std::set<size_t> lengths;
  for (const ValueShape& input : config.inputs) {
    if (input.timed) lengths.insert(input.axis.lengths);
    if (!input.axis.of_data()) invalid("Expected inputs whose lengths the data gives");
  }
  if (!lengths.empty() && *lengths.rbegin() + 1 != lengths.size()) {
    invalid("Expected inputs whose time axes are numbered from 0 without gaps");
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

void Network::make_layers(const NetworkConfig& config) {
  const size_t shared = base_ ? base_->layers_.size() : 0;
  for (const LayerConfig& layer : config.layers) {
    size_t at = 0;
    while (at < shared && base_->layers_[at]->config().name != layer.name) ++at;
    if (at < shared) {
      if (base_->layers_[at]->config().type != layer.type) {
        invalid("Expected layer \"" + layer.name + "\" to be of the type that it has");
      }
      layers_.push_back(base_->layers_[at]);
      calls_.push_back(base_->calls_[at]);
      continue;
    }
    layers_.push_back(make_layer(layer));
    layers_.back()->set_index(shared + layers_.size() - 1);
    calls_.emplace_back();
  }
}

void Network::build_layer(size_t layer, const std::vector<ValueShape>& inputs) {
  const size_t before = params_.entries().size();
  calls_[layer].output = layers_[layer]->build_from(inputs, params_);
  for (size_t i = before; i < params_.entries().size(); ++i) {
    params_.set_rules(static_cast<int>(i),
                      weight_rules(layers_[layer]->config(), params_.entries()[i].role));
  }
  calls_[layer].inputs = inputs;
}

void Network::build_nodes() {
  for (const NodeConfig& node : nodes_) {
    std::vector<ValueShape> inputs;
    for (const size_t value : node.inputs) inputs.push_back(shapes_[value]);
    if (layers_[node.layer]->reads_states()) {
      const size_t value = node.inputs.front();
      if (node.inputs.size() > 1 || value < input_count_) {
        invalid("Expected the output of one layer for layer \"" +
                layers_[node.layer]->config().name + "\"");
      }
      layers_[node.layer]->read_states_of(*layers_[nodes_[value - input_count_].layer]);
    }
    Call& call = calls_[node.layer];
    if (call.inputs.empty()) {
      build_layer(node.layer, inputs);
    } else if (!std::equal(inputs.begin(), inputs.end(), call.inputs.begin(), call.inputs.end(),
                           same)) {
      throw Error("ERR_SHAPE_MISMATCH", "Expected inputs of one shape in all calls of layer \"" +
                                            layers_[node.layer]->config().name + "\"");
    }
    ValueShape output = call.output;
    output.axis = layers_[node.layer]->output_axis(inputs);
    if (!output.timed) output.axis = {};
    shapes_.push_back(output);
  }
}

void Network::find_axes() {
  std::vector<TimeAxis>& axes = model_shape_.axes;
  for (const ValueShape& input : model_shape_.inputs) {
    while (input.timed && axes.size() <= input.axis.lengths) axes.push_back({axes.size(), 0});
  }
  for (const ValueShape& shape : shapes_) {
    if (shape.timed && std::find(axes.begin(), axes.end(), shape.axis) == axes.end()) {
      axes.push_back(shape.axis);
    }
  }
  for (size_t k = 0; k < nodes_.size(); ++k) {
    const ValueShape* on = &shapes_[input_count_ + k];
    for (size_t i = nodes_[k].inputs.size(); i-- > 0;) {
      const ValueShape& input = shapes_[nodes_[k].inputs[i]];
      if (input.timed) on = &input;
    }
    node_axes_.push_back(model_shape_.axis_of(*on));
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

std::vector<size_t> Network::attention_nodes() const {
  std::vector<size_t> nodes;
  for (size_t k = 0; k < nodes_.size(); ++k) {
    if (layers_[nodes_[k].layer]->attends()) nodes.push_back(k);
  }
  return nodes;
}

void Network::pack_if_stale(int threads, std::span<const Geometry> backward_over) {
  // Layers of views are packed by the network that owns them; their own ones have no weights.
  Network& owner = base_ ? *base_ : *this;
  const std::lock_guard<std::mutex> lock(owner.pack_mutex_);
  if (owner.packed_version_ != owner.params_.version()) {
    for (const std::shared_ptr<Layer>& layer : owner.layers_) {
      layer->pack(owner.params_, kernels_, threads);
    }
    owner.packed_version_ = owner.params_.version();
  }
  if (backward_over.empty()) return;
  for (size_t k = 0; k < nodes_.size(); ++k) {
    layers_[nodes_[k].layer]->pack_backward(owner.params_, kernels_, threads,
                                            backward_over[node_axes_[k]]);
  }
}

}  // namespace ostinato
