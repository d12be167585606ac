// The layer "dense": y = activation(x . W^T + b) for every row, be it a step or a whole sample.
#pragma once

#include "core/gemm.h"
#include "core/layer.h"

namespace ostinato {

// Options: units; activation "linear"; useBias true; kernelInitializer "glorotUniform";
// biasInitializer "zeros". Parameters: weight [units, inputs], bias [units].
class Dense : public Layer {
 public:
  explicit Dense(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry) override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class DenseRun;

  int64_t units_;
  Activation activation_;
  bool use_bias_;
  ValueShape input_, output_;
  int weight_ = -1, bias_ = -1;  // indices in the table
  PackedMatrix forward_;         // W^T: [inputs, units]
  PackedMatrix backward_;        // W: [units, inputs]
  uint64_t backward_version_ = 0;
};

}  // namespace ostinato
