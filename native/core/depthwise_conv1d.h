// The layer "depthwiseConv1d": a causal convolution of each feature by itself.
#pragma once

#include "core/causal_history.h"
#include "core/layer.h"

namespace ostinato {

// y[t] = activation(sum over taps j of w[:, j] * x[t - (k - 1 - j) dilation] + b), element by
// element; as wide as its input. Options: kernelSize, k; dilation 1; activation "linear"; useBias
// true; kernelInitializer "glorotUniform"; biasInitializer "zeros". Parameters, in PyTorch's layout
// for as many groups as features: weight [features, 1, k], bias [features].
class DepthwiseConv1d : public Layer {
 public:
  explicit DepthwiseConv1d(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  std::vector<StateInfo> states() const override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class DepthwiseConv1dRun;

  const float* tap_weights(int64_t tap) const { return by_tap_.data() + tap * padded(features_); }

  Taps taps_;
  Activation activation_;
  bool use_bias_;
  int64_t features_ = 0;
  int weight_ = -1, bias_ = -1;
  AlignedBuffer by_tap_;  // the weight as [k, features], rows padded
};

}  // namespace ostinato
