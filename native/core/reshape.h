// The numbers of a sample in rows of another length: [units] to [steps, features] and back.
#pragma once

#include <memory>
#include <span>

#include "core/layer.h"

namespace ostinato {

// Options: features, and steps (default 0: the output has no time axis). Input and output are
// [B, features] or [B, steps, features] with a fixed number of steps, and as many numbers a sample,
// which keep their order (row-major).
class Reshape : public Layer {
 public:
  explicit Reshape(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  TimeAxis output_axis(std::span<const ValueShape> inputs) const override;
  std::unique_ptr<LayerRun> make_run() const override;
  bool streamable() const override { return false; }

 private:
  int64_t steps_, features_;
  ValueShape input_;
};

}  // namespace ostinato
