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

// V columns from `first` on of a transposed source: dst[k][0..V) of the panel.
inline void pack_transposed(const PackArgs& args, int64_t first, float* dst) {
  int64_t k = 0;
  if (consecutive(args.map, first, args.n)) {
    const int64_t row = args.map == nullptr ? first : args.map[first];
    const float* src = args.src + row * args.src_ld;
    for (; k + kV <= args.k; k += kV) {
      transpose_block(src + k, args.src_ld, dst + k * args.width, args.width);
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

inline void pack_rows(const PackArgs& args, int64_t first, float* dst) {
  const int64_t valid = args.n_source - first;
  for (int64_t k = 0; k < args.k; ++k) {
    const int64_t row = args.map == nullptr ? k : args.map[k];
    const float* src = args.src + row * args.src_ld + first;
    for (int64_t v = 0; v < args.width; v += kV) {
      const int64_t left = valid - v;
      const int lanes = row < 0 || left <= 0 ? 0 : static_cast<int>(left < kV ? left : kV);
      store(dst + k * args.width + v, lanes == 0    ? zero()
                                      : lanes == kV ? load(src + v)
                                                    : load_n(src + v, lanes));
    }
  }
}

inline void pack(const PackArgs& args) noexcept {
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    float* dst = args.dst + panel * args.k * args.width;
    if (!args.transposed) {
      pack_rows(args, panel * args.width, dst);
      continue;
    }
    for (int64_t v = 0; v < args.width; v += kV)
      pack_transposed(args, panel * args.width + v, dst + v);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
