// Dropout of the states of a recurrence: zoneout (Krueger et al., ICLR 2017), and what a mask on h
// before the recurrent product (Gal & Ghahramani, NIPS 2016) needs on the way back.
#pragma once

#include "kernels/dropout.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// body(row, first, count, updates) for runs of columns; updates[j] is the weight of what the cell
// computed: 0 or 1 as drawn, or 1 - rate. The state before the step has what is left of 1.
template <class Body>
OSTINATO_INLINE void for_zoneout(const ZoneoutArgs& args, const Body& body) {
  constexpr int64_t kChunk = 4 * kDropoutBlocks;
  alignas(64) float updates[kChunk];
  const bool drawn = !args.expected && args.rate < 1.0f;
  for (int64_t j = 0; j < kChunk && !drawn; ++j) updates[j] = 1.0f - args.rate;
  const uint32_t threshold = drawn ? dropout_threshold(args.rate) : 0;
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t first = args.begin; first < args.end; first += kChunk) {
      if (drawn) {
        const int64_t block = args.first_block + row * args.row_blocks + first / 4;
        draw_factors(args.seed, args.stream, static_cast<uint64_t>(block), threshold, 1.0f,
                     updates);
      }
      const int64_t count = args.end - first < kChunk ? args.end - first : kChunk;
      body(row, first, count, updates);
    }
  }
}

inline void zoneout(const ZoneoutArgs& args) noexcept {
  for_zoneout(args, [&](int64_t row, int64_t first, int64_t count, const float* updates) {
    const float* x = args.x + row * args.ld + first;
    const float* previous = args.previous + row * args.ld + first;
    float* y = args.y + row * args.ld + first;
    for_columns(count, [&](int64_t j, auto lanes) {
      const Vf u = load(updates + j);
      const Vf kept = set1(1.0f) - u;
      lanes.store(y + j, fma(u, lanes.load(x + j), kept * lanes.load(previous + j)));
    });
  });
}

inline void zoneout_grad(const ZoneoutGradArgs& args) noexcept {
  for_zoneout(args.forward, [&](int64_t row, int64_t first, int64_t count, const float* updates) {
    float* d = args.d + row * args.forward.ld + first;
    float* kept = args.kept + row * args.forward.ld + first;
    for_columns(count, [&](int64_t j, auto lanes) {
      const Vf u = load(updates + j);
      const Vf gradient = lanes.load(d + j);
      lanes.store(d + j, u * gradient);
      lanes.store(kept + j, (set1(1.0f) - u) * gradient);
    });
  });
}

inline void add_masked(const MaskedRowsArgs& args) noexcept {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* mask = args.mask + row * args.mask_ld;
    float* x = args.x + row * args.ld;
    float* y = args.y + row * args.ld;
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(y + j, fma(lanes.load(mask + j), lanes.load(x + j), lanes.load(y + j)));
      lanes.store(x + j, zero());
    });
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
