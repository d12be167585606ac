// Activation functions of dense layers, forward and backward.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

template <class Function>
OSTINATO_INLINE void map_rows(const ActivationArgs& args, const Function& function) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols,
                [&](int64_t j, auto lanes) { lanes.store(y + j, function(lanes.load(x + j))); });
  }
}

// The softmax of a row, stabilised by its maximum: the largest exponential is 1.
inline void softmax_row(const float* x, float* y, int64_t cols) {
  const Vf largest = set1(row_max(x, cols));
  Vf sums = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    const Vf e = exp(lanes.load(x + j) - largest);
    lanes.store(y + j, e);
    sums = sums + lanes.keep(e, zero());
  });
  const Vf factor = set1(1.0f / reduce_add(sums));
  for_columns(cols, [&](int64_t j, auto lanes) { lanes.store(y + j, lanes.load(y + j) * factor); });
}

inline void activation(const ActivationArgs& args) noexcept {
  switch (args.kind) {
    case Activation::kLinear:
      return map_rows(args, [](Vf x) { return x; });
    case Activation::kTanh:
      return map_rows(args, [](Vf x) { return tanh(x); });
    case Activation::kRelu:
      return map_rows(args, [](Vf x) { return max(zero(), x); });  // x second: NaN passes
    case Activation::kSigmoid:
      return map_rows(args, [](Vf x) { return sigmoid(x); });
    case Activation::kGelu:
      return map_rows(args, [](Vf x) { return gelu(x); });
    case Activation::kSilu:
      return map_rows(args, [](Vf x) { return silu(x); });
    case Activation::kSoftmax:
      for (int64_t row = 0; row < args.rows; ++row) {
        softmax_row(args.x + row * args.x_ld, args.y + row * args.y_ld, args.cols);
      }
      return;
  }
}

// dx = function(saved, dy), where `saved` is the x or the y of the forward pass.
template <class Function>
OSTINATO_INLINE void map_gradients(const ActivationGradArgs& args, const float* saved,
                                   int64_t saved_ld, const Function& function) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* s = saved + row * saved_ld;
    const float* dy = args.dy + row * args.dy_ld;
    float* dx = args.dx + row * args.dx_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(dx + j, function(lanes.load(s + j), lanes.load(dy + j)));
    });
  }
}

// dx = y (dy - dy . y)
inline void softmax_grad_row(const float* y, const float* dy, float* dx, int64_t cols) {
  Vf sums = zero();
  for_columns(cols, [&](int64_t j, auto lanes) {
    sums = fma(lanes.load(dy + j), lanes.load(y + j), sums);
  });
  const Vf dot = set1(reduce_add(sums));
  for_columns(cols, [&](int64_t j, auto lanes) {
    lanes.store(dx + j, lanes.load(y + j) * (lanes.load(dy + j) - dot));
  });
}

inline void activation_grad(const ActivationGradArgs& args) noexcept {
  switch (args.kind) {
    case Activation::kLinear:
      return map_gradients(args, args.dy, args.dy_ld, [](Vf, Vf dy) { return dy; });
    case Activation::kTanh:
      return map_gradients(args, args.y, args.y_ld,
                           [](Vf y, Vf dy) { return dy * fnma(y, y, set1(1.0f)); });
    case Activation::kRelu:
      return map_gradients(args, args.y, args.y_ld, [](Vf y, Vf dy) {
        return select(le(y, zero()), zero(), select(is_nan(y), y, dy));
      });
    case Activation::kSigmoid:
      return map_gradients(args, args.y, args.y_ld,
                           [](Vf y, Vf dy) { return dy * (y * (set1(1.0f) - y)); });
    case Activation::kGelu:
      return map_gradients(args, args.x, args.x_ld,
                           [](Vf x, Vf dy) { return dy * gelu_derivative(x); });
    case Activation::kSilu:
      return map_gradients(args, args.x, args.x_ld,
                           [](Vf x, Vf dy) { return dy * silu_derivative(x); });
    case Activation::kSoftmax:
      for (int64_t row = 0; row < args.rows; ++row) {
        softmax_grad_row(args.y + row * args.y_ld, args.dy + row * args.dy_ld,
                         args.dx + row * args.dx_ld, args.cols);
      }
      return;
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
