// A model: a graph of layers, their parameters, and packed weights for the active kernels.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/layer.h"
#include "core/params.h"

namespace ostinato {

class Network {
 public:
  // Builds the layers, checks shapes, declares and initialises parameters.
  // Throws ERR_SHAPE_MISMATCH or ERR_INVALID_ARGUMENT.
  Network(const NetworkConfig& config, const Kernels& kernels);
  // A view of another network: a graph of its own over layers of that one, which it finds by their
  // names, and their weights. Calls of these layers need inputs of the shapes that they were built
  // for. Further layers may stand between them, if they have no parameters. Views share packed
  // weights, too; whoever changes parameters must be alone on all of them. Keeps `base` alive.
  // Throws as above.
  Network(const NetworkConfig& config, std::shared_ptr<Network> base);

  const Kernels& kernels() const { return kernels_; }
  // Of the first input, and the first output.
  const ValueShape& input_shape() const { return shapes_.front(); }
  const ValueShape& output_shape() const { return shapes_[outputs_.front()]; }
  // Of all values: the inputs, then the output of each node. In a chain shapes()[i] is the input of
  // layer i, shapes()[i + 1] its output.
  const std::vector<ValueShape>& shapes() const { return shapes_; }
  size_t input_count() const { return input_count_; }
  // Calls of layers, in the order in which they run; a node reads values before its own.
  const std::vector<NodeConfig>& nodes() const { return nodes_; }
  const std::vector<size_t>& outputs() const { return outputs_; }  // values
  // The inputs and outputs alone, as a dataset is checked against them.
  const ModelShape& model_shape() const { return model_shape_; }
  const std::vector<std::shared_ptr<Layer>>& layers() const { return layers_; }
  ParamTable& params() { return base_ ? base_->params() : params_; }
  const ParamTable& params() const { return base_ ? base_->params() : params_; }
  uint64_t seed() const { return seed_; }
  bool is_view() const { return base_ != nullptr; }

  // Which time axis each node runs on (an index of model_shape().axes): its first input's that has
  // one, else its output's, else the first.
  const std::vector<size_t>& node_axes() const { return node_axes_; }

  // The nodes whose layers attend.
  std::vector<size_t> attention_nodes() const;

  // Repacks what a forward pass reads, and with geometries, one for each time axis, what the
  // backward pass over them reads, if the parameters have changed since; safe to call from several
  // threads as long as nobody changes parameters meanwhile.
  void pack_if_stale(int threads, std::span<const Geometry> backward_over);

 private:
  // What the first call of a layer reads and gives; no inputs before it.
  struct Call {
    std::vector<ValueShape> inputs;
    ValueShape output;
  };

  Network(const NetworkConfig& config, const Kernels& kernels, std::shared_ptr<Network> base);
  void check(const NetworkConfig& config) const;
  void make_layers(const NetworkConfig& config);
  void build_nodes();
  void build_layer(size_t layer, const std::vector<ValueShape>& inputs);
  void check_use() const;
  void find_axes();

  const std::shared_ptr<Network> base_;  // of a view, else null
  const Kernels& kernels_;
  uint64_t seed_;
  size_t input_count_;
  std::vector<ValueShape> shapes_;
  std::vector<NodeConfig> nodes_;
  std::vector<size_t> node_axes_;
  std::vector<size_t> outputs_;
  ModelShape model_shape_;
  std::vector<std::shared_ptr<Layer>> layers_;
  std::vector<Call> calls_;  // [layers]
  ParamTable params_;
  std::mutex pack_mutex_;
  uint64_t packed_version_ = 0;
};

}  // namespace ostinato
