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
  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  ParamTable& params() { return params_; }
  const ParamTable& params() const { return params_; }
  uint64_t seed() const { return seed_; }

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
  void check(const NetworkConfig& config) const;
  void build_nodes();
  void check_use() const;
  void find_axes();

  const Kernels& kernels_;
  uint64_t seed_;
  size_t input_count_;
  std::vector<ValueShape> shapes_;
  std::vector<NodeConfig> nodes_;
  std::vector<size_t> node_axes_;
  std::vector<size_t> outputs_;
  ModelShape model_shape_;
  std::vector<std::unique_ptr<Layer>> layers_;
  ParamTable params_;
  std::mutex pack_mutex_;
  uint64_t packed_version_ = 0;
};

}  // namespace ostinato
