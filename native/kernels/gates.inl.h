// What gated layers do beside their products: the gated linear unit and the highway's mixture.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

inline void glu(const GluArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* a = args.a + row * args.ld;
    const float* b = args.b + row * args.ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(y + j, lanes.load(a + j) * sigmoid(lanes.load(b + j)));
    });
  }
}

// da = dy s, db = dy a s (1 - s) with s = sigmoid(b).
inline void glu_grad(const GluArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* a_row = args.a + row * args.ld;
    const float* b_row = args.b + row * args.ld;
    const float* dy_row = args.dy + row * args.dy_ld;
    float* da = args.da + row * args.d_ld;
    float* db = args.db + row * args.d_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf a = lanes.load(a_row + j);
      const Vf s = sigmoid(lanes.load(b_row + j));
      const Vf through = lanes.load(dy_row + j) * s;
      lanes.store(da + j, through);
      lanes.store(db + j, through * a * (set1(1.0f) - s));
    });
  }
}

inline void highway(const HighwayArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x_row = args.x + row * args.x_ld;
    const float* h = args.h + row * args.ld;
    const float* t = args.t + row * args.ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf x = lanes.load(x_row + j);
      lanes.store(y + j, fma(lanes.load(t + j), lanes.load(h + j) - x, x));
    });
  }
}

// dh = dy t, da = dy (h - x) t (1 - t), dx = dy (1 - t).
inline void highway_grad(const HighwayArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x_row = args.x + row * args.x_ld;
    const float* h_row = args.h + row * args.ld;
    const float* t_row = args.t + row * args.ld;
    const float* dy_row = args.dy + row * args.dy_ld;
    float* dh = args.dh + row * args.d_ld;
    float* da = args.da + row * args.d_ld;
    float* dx = args.dx == nullptr ? nullptr : args.dx + row * args.dx_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf t = lanes.load(t_row + j);
      const Vf dy = lanes.load(dy_row + j);
      const Vf past = dy * (set1(1.0f) - t);
      lanes.store(da + j, (lanes.load(h_row + j) - lanes.load(x_row + j)) * t * past);
      lanes.store(dh + j, dy * t);
      if (dx != nullptr) lanes.store(dx + j, past);
    });
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
