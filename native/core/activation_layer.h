// The layer "activation": a function of every element (softmax: of every row).
#pragma once

#include "core/layer.h"

namespace ostinato {

// Option: activation.
class ActivationLayer : public Layer {
 public:
  explicit ActivationLayer(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  Activation kind_;
  ValueShape shape_;
};

}  // namespace ostinato
