// Inverted dropout (N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
// overfitting", JMLR 15, 2014): what is kept grows by 1 / (1 - rate), so that the mean stays.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "kernels/philox.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Blocks of four random words that are drawn together: enough for the compiler to fill vectors.
inline constexpr int kDropoutBlocks = 16;

// factors[4 * i + w] = word w of block first + i decides: below the threshold 0, else `kept`.
inline void draw_factors(uint64_t seed, uint64_t stream, uint64_t first, uint32_t threshold,
                         float kept, float (&factors)[4 * kDropoutBlocks]) {
  for (int i = 0; i < kDropoutBlocks; ++i) {
    uint32_t words[4];
    Philox4x32::generate(seed, stream, first + static_cast<uint64_t>(i), words);
    factors[4 * i] = words[0] >= threshold ? kept : 0.0f;
    factors[4 * i + 1] = words[1] >= threshold ? kept : 0.0f;
    factors[4 * i + 2] = words[2] >= threshold ? kept : 0.0f;
    factors[4 * i + 3] = words[3] >= threshold ? kept : 0.0f;
  }
}

// The smallest word that is kept: word * 2^-32 >= rate for just the words from here on. `rate` < 1,
// and a float below 1 is at most 1 - 2^-24, so the result fits.
inline uint32_t dropout_threshold(float rate) {
  const double scaled = static_cast<double>(rate) * 0x1p32;
  const auto whole = static_cast<uint64_t>(scaled);
  return static_cast<uint32_t>(whole + (static_cast<double>(whole) < scaled ? 1 : 0));
}

// At a rate of 1 everything is dropped. A dropped NaN or infinity gives NaN, as 0 * x does.
inline void dropout(const DropoutArgs& args) noexcept {
  constexpr int64_t kChunk = 4 * kDropoutBlocks;
  const bool drops_all = args.rate >= 1.0f;
  const float kept = drops_all ? 0.0f : 1.0f / (1.0f - args.rate);
  const uint32_t threshold = drops_all ? 0 : dropout_threshold(args.rate);
  const int64_t row_blocks = (args.cols + 3) / 4;
  alignas(64) float factors[kChunk];
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.x_ld;
    float* y = args.y + row * args.y_ld;
    const auto first = static_cast<uint64_t>((args.first_row + row) * row_blocks);
    for (int64_t begin = 0; begin < args.cols; begin += kChunk) {
      draw_factors(args.seed, args.stream, first + static_cast<uint64_t>(begin / 4), threshold,
                   kept, factors);
      const int64_t count = args.cols - begin < kChunk ? args.cols - begin : kChunk;
      for_columns(count, [&](int64_t j, auto lanes) {
        lanes.store(y + begin + j, lanes.load(x + begin + j) * load(factors + j));
      });
    }
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
