// The layer "batchNorm" (Ioffe and Szegedy, "Batch normalization", ICML 2015): every feature is
// brought to mean 0 and variance 1 over the rows of a batch, then scaled and shifted.
#pragma once

#include "core/layer.h"

namespace ostinato {

// In training by the mean and variance of the batch, over all of its packed rows; otherwise by
// their running means, which each training step that counts moves toward the batch's:
// running = momentum * running + (1 - momentum) * batch, of the unbiased variance as in the paper's
// algorithm 2. Options: epsilon (1e-5 here; the public default is 1e-3, as in Keras), momentum
// (0.99). Parameters: weight (ones), bias (zeros), running_mean (zeros), running_var (ones), all
// [features]; the latter two have no gradient.
class BatchNorm : public Layer {
 public:
  explicit BatchNorm(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class BatchNormRun;

  float epsilon_;
  float momentum_;
  ValueShape shape_;
  int weight_ = -1, bias_ = -1, running_mean_ = -1, running_var_ = -1;
};

}  // namespace ostinato
