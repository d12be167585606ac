// Packing of weights into panels, see PackArgs.
#pragma once

#include "kernels/tile.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Whether V columns of the panel come from V consecutive rows of the source.
OSTINATO_INLINE bool consecutive(const int32_t* map, int64_t first, int64_t n) {
  if (first + kV > n) return false;
  if (map == nullptr) return true;
  if (map[first] < 0) return false;
  for (int64_t i = 1; i < kV; ++i) {
    if (map[first + i] != map[first] + i) return false;
  }
  return true;
}

// Whether the panels are written past the caches. Weights of this size do not stay in them until
// they are read, and a line that is written whole at once need not be read before.
OSTINATO_INLINE bool streams(const PackArgs& args) {
  constexpr int64_t kStreamedFloats = int64_t{1} << 20, kLineFloats = 64 / sizeof(float);
  return kV >= kLineFloats && args.k * args.n >= kStreamedFloats;
}

// V columns from `first` on of a transposed source: dst[k][0..V) of the panel.
inline void pack_transposed(const PackArgs& args, int64_t first, float* dst) {
  int64_t k = 0;
  if (consecutive(args.map, first, args.n)) {
    const int64_t row = args.map == nullptr ? first : args.map[first];
    const float* src = args.src + row * args.src_ld;
    const bool past_caches = streams(args);
    for (; k + kV <= args.k; k += kV) {
      float* const to = dst + k * args.width;
      if (!past_caches) {
        transpose_block(src + k, args.src_ld, to, args.width);
        continue;
      }
      alignas(64) float block[kV * kV];
      transpose_block(src + k, args.src_ld, block, kV);
      for (int64_t i = 0; i < kV; ++i) stream(to + i * args.width, load(block + i * kV));
    }
  }
  for (int64_t lane = 0; lane < kV; ++lane) {
    const int64_t n = first + lane;
    const int64_t row = n >= args.n ? -1 : args.map == nullptr ? n : args.map[n];
    for (int64_t i = k; i < args.k; ++i) {
      dst[i * args.width + lane] = row < 0 ? 0.0f : args.src[row * args.src_ld + i];
    }
  }
}

// Row by row of the source, each to all panels: panel by panel, a narrow one would take a line of
// each row, too far apart for the processor to foresee.
inline void pack_rows(const PackArgs& args) {
  constexpr int64_t kAhead = 4;  // rows
  const bool past_caches = streams(args);
  const auto row = [&](int64_t k) -> const float* {
    const int64_t from = k >= args.k ? -1 : args.map == nullptr ? k : args.map[k];
    return from < 0 ? nullptr : args.src + from * args.src_ld;
  };
  for (int64_t k = 0; k < args.k; ++k) {
    const float* const src = row(k);
    const float* const later = row(k + kAhead);
    for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
      float* const dst = args.dst + (panel * args.k + k) * args.width;
      for (int64_t v = 0; v < args.width; v += kV) {
        const int64_t column = panel * args.width + v, left = args.n_source - column;
        const int lanes = src == nullptr || left <= 0 ? 0 : static_cast<int>(left < kV ? left : kV);
        if (later != nullptr) prefetch(later + column);
        const Vf values = lanes == 0    ? zero()
                          : lanes == kV ? load(src + column)
                                        : load_n(src + column, lanes);
        if (past_caches) {
          stream(dst + v, values);
        } else {
          store(dst + v, values);
        }
      }
    }
  }
}

inline void pack(const PackArgs& args) noexcept {
  if (args.transposed) {
    for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
      float* const dst = args.dst + panel * args.k * args.width;
      for (int64_t v = 0; v < args.width; v += kV) {
        pack_transposed(args, panel * args.width + v, dst + v);
      }
    }
  } else {
    pack_rows(args);
  }
  stream_fence();
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
