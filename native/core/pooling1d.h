// The layers "averagePooling1d" and "maxPooling1d": the mean or the maximum of windows of steps.
#pragma once

#include <memory>
#include <span>

#include "core/layer.h"

namespace ostinato {

// Options poolSize (2) and strides (default: poolSize). Input [B, T, features]; output
// [B, (T - poolSize) / strides + 1, features], by each row's own length, on a time axis of its own:
// windows that a row does not fill are left out, and a row shorter than one has no steps.
class Pooling1d : public Layer {
 public:
  explicit Pooling1d(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  TimeAxis output_axis(std::span<const ValueShape> inputs) const override;
  std::unique_ptr<LayerRun> make_run() const override;
  bool streamable() const override { return false; }

 private:
  bool maximum_;
  int64_t size_, stride_;
  int64_t features_ = 0;
};

}  // namespace ostinato
