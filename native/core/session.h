// A stream's state between single steps.
#pragma once

#include <memory>
#include <vector>

#include "core/executor.h"

namespace ostinato {

// Owns the states of `streams` rows (batch order, [slots, streams, features] per state). Only for
// networks whose layers can run one step at a time (no bidirectional or reversed layer:
// ERR_INVALID_ARGUMENT).
class Session {
 public:
  Session(std::shared_ptr<Network> network, int64_t streams);
  Session(const Session& other);  // a copy of the states over the same network

  // One step: tokens [streams] or floats [streams, features]; output [streams, output features].
  void step(const int32_t* tokens, const float* floats, float* output, int threads);
  void reset();
  int64_t streams() const { return streams_; }
  const std::vector<Executor::StateSlot>& states() const { return executor_.states(); }
  StateValues& values() { return values_; }

 private:
  std::shared_ptr<Network> network_;
  Executor executor_;
  int64_t streams_;
  Geometry geometry_;
  AlignedBuffer input_;
  StateValues values_;
};

}  // namespace ostinato
