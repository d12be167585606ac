// A model: layers in order, their parameters, and packed weights for the active kernels.
#pragma once

#include <memory>
#include <mutex>
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
  const ValueShape& input_shape() const { return shapes_.front(); }
  const ValueShape& output_shape() const { return shapes_.back(); }
  // shapes()[i] is the input of layer i, shapes()[i + 1] its output.
  const std::vector<ValueShape>& shapes() const { return shapes_; }
  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  ParamTable& params() { return params_; }
  const ParamTable& params() const { return params_; }
  uint64_t seed() const { return seed_; }

  // Repacks what a forward pass reads, and with a geometry what the backward pass over it reads, if
  // the parameters have changed since; safe to call from several threads as long as nobody changes
  // parameters meanwhile.
  void pack_if_stale(int threads, const Geometry* backward_over);

 private:
  const Kernels& kernels_;
  uint64_t seed_;
  std::vector<ValueShape> shapes_;
  std::vector<std::unique_ptr<Layer>> layers_;
  ParamTable params_;
  std::mutex pack_mutex_;
  uint64_t packed_version_ = 0;
};

}  // namespace ostinato
