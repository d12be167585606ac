// A stream's state between single steps.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/executor.h"

namespace ostinato {

// What an input reads in one step: ids [streams] or numbers [streams, features].
struct StepValue {
  const int32_t* tokens = nullptr;
  const float* floats = nullptr;
};

// Owns the states of `streams` rows (batch order, [slots, streams, features] per state). Only for
// networks whose layers can run one step at a time (no bidirectional or reversed layer:
// ERR_INVALID_ARGUMENT).
class Session {
 public:
  Session(std::shared_ptr<Network> network, int64_t streams);
  Session(const Session& other);  // a copy of the states over the same network

  // One step on all time axes: a value for each input, and where each output goes,
  // [streams, features]. An input without a time axis is given anew for each step.
  void step(std::span<const StepValue> inputs, std::span<float* const> outputs, int threads);
  // The same for a network of one input and one output.
  void step(const int32_t* tokens, const float* floats, float* output, int threads) {
    const StepValue input{tokens, floats};
    step(std::span(&input, 1), std::span(&output, 1), threads);
  }
  void reset();
  int64_t streams() const { return streams_; }
  const std::vector<Executor::StateSlot>& states() const { return executor_.states(); }
  StateValues& values() { return values_; }

 private:
  std::shared_ptr<Network> network_;
  Executor executor_;
  int64_t streams_;
  std::vector<Geometry> geometries_;  // of each time axis: one step for every row
  std::vector<AlignedBuffer> input_rows_;
  std::vector<Value> inputs_;
  StateValues values_;
};

}  // namespace ostinato
