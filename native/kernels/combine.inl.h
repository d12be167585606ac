// The two directions of a bidirectional layer made one: their sum, product or average.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

template <class Function>
OSTINATO_INLINE void combine_rows(const CombineArgs& args, const Function& function) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* a = args.a + row * args.a_ld;
    const float* b = args.b + row * args.b_ld;
    float* y = args.y + row * args.y_ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(y + j, function(lanes.load(a + j), lanes.load(b + j)));
    });
  }
}

inline void combine(const CombineArgs& args) noexcept {
  switch (args.kind) {
    case Combine::kSum:
      return combine_rows(args, [](Vf a, Vf b) { return a + b; });
    case Combine::kMul:
      return combine_rows(args, [](Vf a, Vf b) { return a * b; });
    case Combine::kAve:
      return combine_rows(args, [](Vf a, Vf b) { return (a + b) * set1(0.5f); });
  }
}

// da and db may each be dy, a or b themselves: a column is read before it is written.
inline void combine_grad(const CombineArgs& args) noexcept {
  const Vf share = set1(args.kind == Combine::kAve ? 0.5f : 1.0f);
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* dy_row = args.dy + row * args.dy_ld;
    float* da = args.da + row * args.da_ld;
    float* db = args.db + row * args.db_ld;
    if (args.kind == Combine::kMul) {
      const float* a_row = args.a + row * args.a_ld;
      const float* b_row = args.b + row * args.b_ld;
      for_columns(args.cols, [&](int64_t j, auto lanes) {
        const Vf dy = lanes.load(dy_row + j);
        const Vf a = lanes.load(a_row + j);
        const Vf b = lanes.load(b_row + j);
        lanes.store(da + j, dy * b);
        lanes.store(db + j, dy * a);
      });
    } else {
      for_columns(args.cols, [&](int64_t j, auto lanes) {
        const Vf gradient = lanes.load(dy_row + j) * share;
        lanes.store(da + j, gradient);
        lanes.store(db + j, gradient);
      });
    }
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
