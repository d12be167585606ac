// The layers "globalAveragePooling1d" and "globalMaxPooling1d": one row for each sequence, the mean
// or the maximum of its steps, by its own length.
#pragma once

#include "core/layer.h"

namespace ostinato {

// No options, no parameters. A sequence without steps gives zeros. The states make a session, or a
// sequence in pieces, see all steps so far: "sum" or "max" [1, B, features] of the steps before,
// and "count" [1, B, 1], how many they are (without any, the other state counts as absent).
class GlobalPooling : public Layer {
 public:
  explicit GlobalPooling(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  std::vector<StateInfo> states() const override;
  std::unique_ptr<LayerRun> make_run() const override;

 private:
  bool maximum_;
  int64_t features_ = 0;
};

}  // namespace ostinato
