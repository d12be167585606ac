// The pointwise maths of a cell as data: what a cell that is not compiled in hands to the kernels.
// core/cell_program.h makes tapes from expressions; kernels/cell_tape.inl.h runs them.
//
// A tape is a list of instructions over places. A place is a vector of V units for each row and
// panel of a block: a temporary in a scratch buffer, or a part of the buffers of the step itself.
#pragma once

#include <cstdint>

namespace ostinato {

enum class TapeOp : uint8_t {
  kMove,     // a
  kAdd,      // a + b
  kSub,      // a - b
  kMul,      // a b
  kDiv,      // a / b
  kNeg,      // -a
  kFma,      // a b + c
  kFms,      // a b - c
  kFnma,     // c - a b
  kSigmoid,  // 1 / (1 + e^-a)
  kTanh,
  kRelu,  // max(0, a)
  kExp,
  kLog,
  kSoftplus,  // log(1 + e^a)
  kAbs,
  kSqrt,
  kMin,  // a < b ? a : b
  kMax,  // a > b ? a : b
  // Parts of derivatives, a being the gradient that arrives:
  kSigmoidGrad,  // a b (1 - b), b the sigmoid
  kTanhGrad,     // a (1 - b^2), b the tanh
  kReluGrad,     // a where b > 0, else 0
  kAbsGrad,      // a times the sign of b, 0 for 0
  kIfGreater,    // a where b > c, else 0
};

// Indices of places.
inline constexpr int kTapeTemps = 40;
inline constexpr int kTapeParams = 8;      // learned vectors of a cell
inline constexpr int kTapeConstants = 64;  // different numbers in one cell
inline constexpr int kTapeGates = kTapeTemps;
inline constexpr int kTapeRecurrentGates = kTapeGates + 8;
inline constexpr int kTapePrevious = kTapeRecurrentGates + 8;
inline constexpr int kTapeNext = kTapePrevious + 4;
inline constexpr int kTapeStateGradients = kTapeNext + 4;
inline constexpr int kTapeParam = kTapeStateGradients + 4;
inline constexpr int kTapeParamGradients = kTapeParam + kTapeParams;
inline constexpr int kTapeConstant = kTapeParamGradients + kTapeParams;
inline constexpr int kTapePlaces = kTapeConstant + kTapeConstants;

struct TapeInstruction {
  TapeOp op;
  uint8_t to;
  uint8_t a, b, c;  // as many as the operation has
};

struct TapeCode {
  const TapeInstruction* instructions;
  int count;
  const uint8_t* places;  // all that the instructions name, but for temporaries
  int place_count;
  int temps;  // temporaries that they use
};

// Forward, temporary g holds at first what the product left for gate g: the recurrent product of a
// split gate with its bias, the whole pre-activation of any other. Backward, temporary 0 holds the
// gradient of h; `state_gradients` holds those of the other states, and in the end those of all
// states before the step.
struct CellTape {
  int gates;
  int states;
  int params;
  uint32_t split_gates;    // as CellInfo's
  const float* constants;  // [count][kPad], each repeated
  TapeCode infer, train, backward;
};

}  // namespace ostinato
