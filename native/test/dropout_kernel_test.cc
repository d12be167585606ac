// The dropout kernel and the random numbers behind it.
#include <gtest/gtest.h>

#include <array>

#include "kernels/kernels.h"
#include "kernels/philox.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr std::array<uint32_t, 4> philox_block(uint64_t key, uint64_t high, uint64_t low) {
  uint32_t out[4] = {};
  Philox4x32::generate(key, high, low, out);
  return {out[0], out[1], out[2], out[3]};
}

// The known answers of philox4x32-10 that come with the Random123 library, at compile time.
static_assert(philox_block(0, 0, 0) ==
              std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox_block(~0ull, ~0ull, ~0ull) ==
              std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox_block(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
              std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

class DropoutKernel : public EveryIsa {
 protected:
  void drop(const DropoutArgs& base, int64_t first_row, const GuardedRows& x,
            const GuardedRows& y) const {
    DropoutArgs args = base;
    args.first_row = first_row;
    args.rows = static_cast<int64_t>(x.rows());
    args.cols = static_cast<int64_t>(x.cols());
    args.x = x.data(), args.x_ld = x.ld();
    args.y = y.data(), args.y_ld = y.ld();
    kernels().dropout(args);
  }
  static DropoutArgs rate(float value, uint64_t seed = 42) {
    DropoutArgs args{};
    args.seed = seed;
    args.stream = 0x8000000000000007;
    args.rate = value;
    return args;
  }
};
OSTINATO_EVERY_ISA(DropoutKernel);

TEST_P(DropoutKernel, MaskIsTheOneThatTheContractStates) {
  reference::RandomSource random(1);
  for (const size_t cols : edge_counts()) {
    for (const float p : {0.0f, 1e-10f, 0.1f, 0.5f, 0.9f, 0.99999994f}) {
      SCOPED_TRACE(testing::Message() << cols << " columns, rate " << p);
      constexpr int64_t kFirst = (int64_t{1} << 40) + 3;  // the counter's upper word takes part
      const GuardedRows x(random.matrix(3, cols)), y(3, cols, 2);
      const DropoutArgs args = rate(p);
      drop(args, kFirst, x, y);
      const uint64_t blocks = (cols + 3) / 4;
      for (size_t r = 0; r < 3; ++r) {
        for (size_t c = 0; c < cols; ++c) {
          const uint32_t word =
              philox_block(args.seed, args.stream, (kFirst + r) * blocks + c / 4)[c % 4];
          const bool kept = word * 0x1p-32 >= static_cast<double>(p);
          EXPECT_EQ(y(r, c), kept ? x(r, c) * (1.0f / (1.0f - p)) : 0.0f);
        }
      }
      EXPECT_TRUE(y.padding_untouched());
    }
  }
}

// A word just at the rate is kept, a word half a step below is not. Small words alone leave room in
// a float for that half step.
TEST_P(DropoutKernel, RateIsComparedExactly) {
  const DropoutArgs any = rate(0.0f);
  uint64_t block = 0;
  while (philox_block(any.seed, any.stream, block)[0] >> 22 != 0) ++block;
  const auto word = static_cast<float>(philox_block(any.seed, any.stream, block)[0]);
  const GuardedRows x(1, 1), y(1, 1);
  x(0, 0) = 1.0f;
  drop(rate(word * 0x1p-32f), static_cast<int64_t>(block), x, y);
  EXPECT_NE(y(0, 0), 0.0f);
  drop(rate((word + 0.5f) * 0x1p-32f), static_cast<int64_t>(block), x, y);
  EXPECT_EQ(y(0, 0), 0.0f);
}

TEST_P(DropoutKernel, KeepsTheShareThatTheRateSays) {
  constexpr size_t kRows = 100, kCols = 333;
  const GuardedRows x(kRows, kCols), y(kRows, kCols);
  for (size_t r = 0; r < kRows; ++r) std::fill_n(x.row(r), kCols, 1.0f);
  for (const float p : {0.05f, 0.3f, 0.8f}) {
    drop(rate(p), 0, x, y);
    double dropped = 0, sum = 0;
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < kCols; ++c) {
        dropped += y(r, c) == 0.0f;
        sum += y(r, c);
      }
    }
    EXPECT_NEAR(dropped / (kRows * kCols), p, 0.01);
    EXPECT_NEAR(sum / (kRows * kCols), 1.0, 0.03);
  }
}

TEST_P(DropoutKernel, RateOneDropsEverything) {
  const GuardedRows x(reference::RandomSource(2).matrix(2, 70)), y(2, 70);
  drop(rate(1.0f), 0, x, y);
  for (size_t r = 0; r < 2; ++r) {
    for (size_t c = 0; c < 70; ++c) EXPECT_EQ(y(r, c), 0.0f);
  }
}

TEST_P(DropoutKernel, SplitOrInPlaceGivesTheSameBits) {
  reference::RandomSource random(3);
  const reference::Matrix values = random.matrix(6, 75);
  const GuardedRows x(values), whole(6, 75), in_place(values), parts(6, 75);
  drop(rate(0.4f), 10, x, whole);
  drop(rate(0.4f), 10, in_place, in_place);
  for (size_t r = 0; r < 6; ++r) {
    DropoutArgs args = rate(0.4f);
    args.first_row = 10 + static_cast<int64_t>(r);
    args.rows = 1, args.cols = 75;
    args.x = x.row(r), args.y = parts.row(r);
    kernels().dropout(args);
  }
  EXPECT_EQ(in_place.bits(), whole.bits());
  EXPECT_EQ(parts.bits(), whole.bits());

  const GuardedRows other(6, 75);
  drop(rate(0.4f, 43), 10, x, other);
  EXPECT_NE(other.bits(), whole.bits());
}

TEST_P(DropoutKernel, NanStaysNan) {
  const GuardedRows x(1, 9), y(1, 9);
  std::fill_n(x.row(0), 9, std::nanf(""));
  drop(rate(0.5f), 0, x, y);
  for (size_t c = 0; c < 9; ++c) EXPECT_TRUE(std::isnan(y(0, c)));
}

}  // namespace
}  // namespace ostinato::test
