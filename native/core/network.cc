#include "core/network.h"

#include <set>

#include "core/error.h"
#include "core/weight_rules.h"

namespace ostinato {

Network::Network(const NetworkConfig& config, const Kernels& kernels)
    : kernels_(kernels), seed_(config.seed) {
  if (config.layers.empty()) {
    throw Error("ERR_INVALID_ARGUMENT", "Expected at least one layer for \"layers\"");
  }
  shapes_.push_back(config.input);
  std::set<std::string> names;
  for (const LayerConfig& layer : config.layers) {
    if (!names.insert(layer.name).second) {
      throw Error("ERR_INVALID_ARGUMENT",
                  "Expected a unique name for \"name\" of a layer but received \"" + layer.name +
                      "\" twice (string)");
    }
    layers_.push_back(make_layer(layer));
    layers_.back()->set_index(layers_.size() - 1);
    const size_t first = params_.entries().size();
    shapes_.push_back(layers_.back()->build(shapes_.back(), params_));
    for (size_t i = first; i < params_.entries().size(); ++i) {
      params_.set_rules(static_cast<int>(i), weight_rules(layer, params_.entries()[i].role));
    }
  }
  params_.realise();
  for (const std::unique_ptr<Layer>& layer : layers_) {
    layer->initialize(params_, seed_, layer->index());
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
