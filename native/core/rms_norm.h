// The layer "rmsNorm" (Zhang and Sennrich, arXiv:1910.07467, 2019): every row is divided by the
// root of the mean of its squares, then scaled.
#pragma once

#include "core/layer.h"

namespace ostinato {

// Option: epsilon (1e-6). Parameter: weight [features] (ones).
class RmsNorm : public Layer {
 public:
  explicit RmsNorm(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  friend class RmsNormRun;

  float epsilon_;
  ValueShape shape_;
  int weight_ = -1;
};

}  // namespace ostinato
