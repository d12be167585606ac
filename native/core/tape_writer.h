// From expressions to a tape: order, fused operations, temporaries.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/expression.h"

namespace ostinato {

// Numbers that the tapes of a cell use, each repeated over kPad floats.
class TapeConstants {
 public:
  // The place of a number. Throws ERR_INVALID_ARGUMENT for too many.
  uint8_t place(float value);
  const float* data() const { return values_.data(); }

 private:
  std::vector<float> values_;
};

// A tape that owns its instructions.
struct Tape {
  std::vector<TapeInstruction> instructions;
  std::vector<uint8_t> places;
  int temps = 0;

  TapeCode code() const {
    return {instructions.data(), static_cast<int>(instructions.size()), places.data(),
            static_cast<int>(places.size()), temps};
  }
};

// A node whose value a tape leaves at a place.
struct TapeResult {
  int node;
  uint8_t place;
};

// Writes what computes the results from the nodes that are there already, `known`: node -> place.
// A result may overwrite a place that is read: the tape reads first. Places of `known` that are
// temporaries are used for others once they have been read for the last time. States before and
// after a step count as one place, since without gradients they are the same memory.
//
// Only what the first `leading` results need decides which products are fused into sums: they have
// the same bits whatever else is asked for.
//
// Throws ERR_INVALID_ARGUMENT for an expression with more values at a time than there are
// temporaries.
Tape write_tape(const ExpressionGraph& graph, const std::vector<TapeResult>& results,
                const std::map<int, uint8_t>& known, TapeConstants& constants, size_t leading);

}  // namespace ostinato
