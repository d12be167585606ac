// A vector for every step of a sequence of fixed length.
#pragma once

#include <memory>
#include <span>

#include "core/layer.h"

namespace ostinato {

// Option n: the number of steps. Input [B, features]; output [B, n, features], on the time axis of
// all sequences of n steps.
class RepeatVector : public Layer {
 public:
  explicit RepeatVector(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  TimeAxis output_axis(std::span<const ValueShape> inputs) const override;
  std::unique_ptr<LayerRun> make_run() const override;
  bool streamable() const override { return false; }

 private:
  int64_t steps_;
  ValueShape output_;
};

}  // namespace ostinato
