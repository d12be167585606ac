// The layer "conv1d": a causal convolution over the steps of each sequence.
#pragma once

#include "core/causal_history.h"
#include "core/gemm.h"
#include "core/layer.h"

namespace ostinato {

// y[t] = activation(sum over taps j of W[:, :, j] x[t - (k - 1 - j) dilation] + b), with what the
// state "inputs" says before the first step (zeros at first). Options: filters; kernelSize, k;
// dilation 1; activation "linear"; useBias true; kernelInitializer "glorotUniform"; biasInitializer
// "zeros". Parameters, in PyTorch's layout: weight [filters, inputs, k], bias [filters].
class Conv1d : public Layer {
 public:
  explicit Conv1d(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry) override;
  std::vector<StateInfo> states() const override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class Conv1dRun;

  int64_t width() const { return taps_.count * inputs_; }  // of a row of all taps' inputs

  int64_t filters_;
  Taps taps_;
  Activation activation_;
  bool use_bias_;
  int64_t inputs_ = 0;
  int weight_ = -1, bias_ = -1;
  AlignedBuffer by_tap_;   // the weight as [filters, k, inputs]
  PackedMatrix forward_;   // its transpose: [k inputs, filters]
  PackedMatrix backward_;  // itself: [filters, k inputs]
  uint64_t backward_version_ = 0;
};

}  // namespace ostinato
