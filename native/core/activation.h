// Activation functions by their public names, applied to rows.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"
#include "core/tensor.h"
#include "kernels/kernels.h"

namespace ostinato {

// The activation that option "activation" of a layer names: linear (also where the option is
// absent), tanh, relu, sigmoid, softmax, gelu (the exact form with the error function), silu.
// Throws ERR_INVALID_ARGUMENT for another name.
Activation activation_option(const LayerConfig& config);

// Whether the derivative must be taken from the argument; otherwise the value is enough.
constexpr bool needs_argument(Activation kind) {
  return kind == Activation::kGelu || kind == Activation::kSilu;
}

// y = activation(x) row by row, in place allowed.
void activate(const Kernels& kernels, int threads, Activation kind, const Matrix& x,
              const Matrix& y);

// dx = dy * activation'; dx may be dy. x is read only where needs_argument(kind).
void activate_backward(const Kernels& kernels, int threads, Activation kind, const Matrix& x,
                       const Matrix& y, const Matrix& dy, const Matrix& dx);

}  // namespace ostinato
