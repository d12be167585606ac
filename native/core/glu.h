// The layer "glu": the gated linear unit (Dauphin, Fan, Auli and Grangier, "Language modeling with
// gated convolutional networks", ICML 2017).
#pragma once

#include "core/gemm.h"
#include "core/layer.h"

namespace ostinato {

// y = a * sigmoid(b), a and b the two halves of x . W^T + bias, or of x itself without units.
// Options: units (absent: no product; the input has an even number of features); useBias true;
// kernelInitializer "glorotUniform"; biasInitializer "zeros". Parameters, with units: weight
// [2 units, inputs], bias [2 units], the rows of a first.
class Glu : public Layer {
 public:
  explicit Glu(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry) override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class GluRun;

  bool projects_;
  int64_t units_;
  bool use_bias_;
  ValueShape input_, output_;
  int weight_ = -1, bias_ = -1;
  PackedMatrix forward_;   // W^T: [inputs, 2 units]
  PackedMatrix backward_;  // W: [2 units, inputs]
  uint64_t backward_version_ = 0;
};

}  // namespace ostinato
