// The layer "lastStep": of every row, its last valid step; zeros for a row without steps.
#pragma once

#include "core/layer.h"

namespace ostinato {

// No options. Its input has steps, its output has not.
class LastStep : public Layer {
 public:
  explicit LastStep(const LayerConfig& config) : Layer(config) {}
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  ValueShape output_;
};

}  // namespace ostinato
