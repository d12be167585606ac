// The kernels of zoneout and of a masked gradient: the draws that the contract states, the values,
// and that nothing outside the rows and columns of a call is read or written.
#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/philox.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr size_t kRows = 3;
constexpr uint64_t kSeed = 42, kStream = 7;
constexpr int64_t kFirstBlock = (int64_t{1} << 33) + 5;

// Columns [begin, end) of `cols`.
struct Columns {
  size_t cols, begin, end;
};

std::vector<Columns> all_columns() {
  std::vector<Columns> all;
  for (const size_t cols : edge_counts()) all.push_back({cols, 0, cols});
  for (const auto& [begin, end] : {std::array<size_t, 2>{4, 9}, {16, 33}, {64, 130}, {8, 8}}) {
    all.push_back({130, begin, end});
  }
  return all;
}

class StateDropoutKernels : public EveryIsa {
 protected:
  static ZoneoutArgs zoneout_args(const Columns& columns, float rate, bool expected, int64_t ld) {
    ZoneoutArgs args{};
    args.seed = kSeed;
    args.stream = kStream;
    args.rate = rate;
    args.expected = expected;
    args.first_block = kFirstBlock;
    args.row_blocks = row_blocks(columns);
    args.rows = kRows;
    args.begin = static_cast<int64_t>(columns.begin);
    args.end = static_cast<int64_t>(columns.end);
    args.ld = ld;
    return args;
  }
  static int64_t row_blocks(const Columns& columns) {
    return 8 * static_cast<int64_t>((columns.cols + 3) / 4);
  }
  // The weight of what the cell computed.
  static float update(const Columns& columns, float rate, bool expected, size_t row, size_t col) {
    if (expected) return 1.0f - rate;
    const auto block = static_cast<uint64_t>(kFirstBlock) +
                       row * static_cast<uint64_t>(row_blocks(columns)) + col / 4;
    uint32_t words[4];
    Philox4x32::generate(kSeed, kStream, block, words);
    return words[col % 4] * 0x1p-32 < static_cast<double>(rate) ? 0.0f : 1.0f;
  }
  // body(row, column, whether the call was about it)
  template <class Body>
  static void for_elements(const Columns& columns, const Body& body) {
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < columns.cols; ++c) body(r, c, columns.begin <= c && c < columns.end);
    }
  }
};
OSTINATO_EVERY_ISA(StateDropoutKernels);

TEST_P(StateDropoutKernels, ZoneoutMixesByTheStatedDraws) {
  reference::RandomSource random(1);
  for (const Columns& columns : all_columns()) {
    for (const auto& [rate, expected] :
         {std::pair{0.0f, false}, {0.3f, false}, {1.0f, false}, {0.3f, true}}) {
      SCOPED_TRACE(testing::Message() << columns.cols << ": " << columns.begin << " … "
                                      << columns.end << ", rate " << rate << " " << expected);
      const GuardedRows x(random.matrix(kRows, columns.cols));
      const GuardedRows previous(random.matrix(kRows, columns.cols));
      const GuardedRows y(random.matrix(kRows, columns.cols));
      const std::vector<uint32_t> before = y.bits();
      ZoneoutArgs args = zoneout_args(columns, rate, expected, y.ld());
      args.x = x.data();
      args.previous = previous.data();
      args.y = y.data();
      kernels().zoneout(args);
      const std::vector<uint32_t> after = y.bits();
      for_elements(columns, [&](size_t r, size_t c, bool inside) {
        if (!inside) {
          EXPECT_EQ(after[r * columns.cols + c], before[r * columns.cols + c]) << r << " " << c;
          return;
        }
        const double u = update(columns, rate, expected, r, c);
        // A unit that stays is the same to the bit.
        EXPECT_NEAR(y(r, c), u * x(r, c) + (1 - u) * previous(r, c), expected ? 1e-7 : 0.0);
      });
      EXPECT_TRUE(y.padding_untouched());
      // In place of either argument.
      for (const GuardedRows* in_place : {&x, &previous}) {
        const GuardedRows a(kRows, columns.cols);
        for_elements(columns, [&](size_t r, size_t c, bool) { a(r, c) = (*in_place)(r, c); });
        (in_place == &x ? args.x : args.previous) = a.data();
        args.y = a.data();
        kernels().zoneout(args);
        for_elements(columns, [&](size_t r, size_t c, bool inside) {
          EXPECT_EQ(a(r, c), inside ? y(r, c) : (*in_place)(r, c));
        });
        args.x = x.data();
      }
    }
  }
}

TEST_P(StateDropoutKernels, TheGradientIsSplitByTheSameDraws) {
  reference::RandomSource random(2);
  for (const Columns& columns : all_columns()) {
    for (const auto& [rate, expected] : {std::pair{0.3f, false}, {1.0f, false}, {0.3f, true}}) {
      SCOPED_TRACE(testing::Message() << columns.cols << ": " << columns.begin << " … "
                                      << columns.end << ", rate " << rate << " " << expected);
      const reference::Matrix given = random.matrix(kRows, columns.cols);
      const GuardedRows d(given), kept(kRows, columns.cols);
      const std::vector<uint32_t> before = kept.bits();
      ZoneoutGradArgs args{};
      args.forward = zoneout_args(columns, rate, expected, d.ld());
      args.d = d.data();
      args.kept = kept.data();
      kernels().zoneout_grad(args);
      const std::vector<uint32_t> after = kept.bits();
      for_elements(columns, [&](size_t r, size_t c, bool inside) {
        if (!inside) {
          EXPECT_EQ(d(r, c), static_cast<float>(given(r, c)));
          EXPECT_EQ(after[r * columns.cols + c], before[r * columns.cols + c]);
          return;
        }
        const double u = update(columns, rate, expected, r, c);
        EXPECT_NEAR(d(r, c), u * given(r, c), expected ? 1e-7 : 0.0);
        EXPECT_NEAR(kept(r, c), (1 - u) * given(r, c), expected ? 1e-7 : 0.0);
      });
      EXPECT_TRUE(d.padding_untouched());
      EXPECT_TRUE(kept.padding_untouched());
    }
  }
}

TEST_P(StateDropoutKernels, AMaskedGradientMoves) {
  reference::RandomSource random(3);
  for (const size_t cols : edge_counts()) {
    SCOPED_TRACE(cols);
    const GuardedRows mask(random.matrix(kRows, cols));
    const reference::Matrix x_given = random.matrix(kRows, cols);
    const reference::Matrix y_given = random.matrix(kRows, cols);
    const GuardedRows x(x_given), y(y_given);
    MaskedRowsArgs args{};
    args.rows = kRows;
    args.cols = static_cast<int64_t>(cols);
    args.mask = mask.data();
    args.x = x.data();
    args.y = y.data();
    args.ld = y.ld();
    args.mask_ld = mask.ld();
    kernels().add_masked(args);
    for_elements({cols, 0, cols}, [&](size_t r, size_t c, bool) {
      EXPECT_NEAR(y(r, c), y_given(r, c) + mask(r, c) * x_given(r, c), 2e-7);
      EXPECT_EQ(x(r, c), 0.0f);
    });
    EXPECT_TRUE(x.padding_untouched());
    EXPECT_TRUE(y.padding_untouched());
  }
}

}  // namespace
}  // namespace ostinato::test
