// The layer "highway" (Srivastava, Greff and Schmidhuber, "Training very deep networks", NIPS
// 2015): a gate decides how much of a row is transformed and how much passes as it is.
#pragma once

#include "core/gemm.h"
#include "core/layer.h"

namespace ostinato {

// y = t h + (1 - t) x with h = activation(x . W_h^T + b_h) and t = sigmoid(x . W_t^T + b_t); as
// wide as its input. Options: activation "linear" (the public default is relu); kernelInitializer
// "glorotUniform"; biasInitializer "zeros", of b_h; transformBias 0 (the public default is -2),
// what b_t begins with. Parameters: h.weight and t.weight [features, features], h.bias and t.bias
// [features].
class Highway : public Layer {
 public:
  explicit Highway(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry) override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class HighwayRun;

  struct Projection {
    int weight = -1, bias = -1;
    PackedMatrix forward;   // W^T
    PackedMatrix backward;  // W
  };

  Activation activation_;
  float transform_bias_;
  ValueShape shape_;
  Projection h_, t_;
  uint64_t backward_version_ = 0;
};

}  // namespace ostinato
