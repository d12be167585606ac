// A final state of a recurrent layer as a value of a graph.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/layer.h"

namespace ostinato {

// Input: the output of a recurrent layer, of which it takes the state `state` (option; default "h")
// after each row's last step, not the output. Output: [B, slots * features], a sample's slots side
// by side: what recurrent layers take as an initial state. A row without steps has its initial
// state.
class FinalState : public Layer {
 public:
  explicit FinalState(const LayerConfig& config);
  bool reads_states() const override { return true; }
  void read_states_of(const Layer& source) override;
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  std::unique_ptr<LayerRun> make_run() const override;
  bool streamable() const override { return false; }

 private:
  std::string state_;
  size_t state_index_ = 0;  // of the state
  StateInfo info_;
};

}  // namespace ostinato
