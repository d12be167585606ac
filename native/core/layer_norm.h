// The layer "layerNorm" (Ba, Kiros and Hinton, arXiv:1607.06450, 2016): every row is brought to
// mean 0 and variance 1 over its features, then scaled and shifted.
#pragma once

#include "core/layer.h"

namespace ostinato {

// Option: epsilon (1e-5 here; the public default is 1e-3, as in Keras). Parameters: weight
// [features] (ones), bias [features] (zeros).
class LayerNorm : public Layer {
 public:
  explicit LayerNorm(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class LayerNormRun;

  float epsilon_;
  ValueShape shape_;
  int weight_ = -1, bias_ = -1;
};

}  // namespace ostinato
