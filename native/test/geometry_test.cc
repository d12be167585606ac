#include "core/geometry.h"

#include <gtest/gtest.h>

#include <set>

#include "reference/random_problem.h"

namespace ostinato {
namespace {

std::vector<int64_t> batch_rows(const Geometry& geometry) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < geometry.batch(); ++i) rows.push_back(geometry.batch_row(i));
  return rows;
}

TEST(Geometry, SortsLongestFirstAndKeepsTheOrderOfEqualLengths) {
  Geometry geometry;
  const std::vector<int32_t> lengths{2, 0, 3, 2, 3};
  geometry.assign(5, 99, lengths.data());
  EXPECT_EQ(geometry.steps(), 3);
  EXPECT_EQ(geometry.rows(), 10);
  EXPECT_FALSE(geometry.dense());
  EXPECT_EQ(batch_rows(geometry), (std::vector<int64_t>{2, 4, 0, 3, 1}));
  EXPECT_EQ(geometry.active(0), 4);
  EXPECT_EQ(geometry.active(1), 4);
  EXPECT_EQ(geometry.active(2), 2);
  EXPECT_EQ(geometry.active(3), 0);
  EXPECT_EQ(geometry.offset(2), 8);
  EXPECT_EQ(geometry.row(1, 2), 9);
  EXPECT_EQ(geometry.length(4), 0);
}

TEST(Geometry, DenseBatchesAreTheCaseWithoutLengths) {
  Geometry with, without;
  const std::vector<int32_t> lengths{4, 4, 4};
  with.assign(3, 0, lengths.data());
  without.assign(3, 4, nullptr);
  EXPECT_TRUE(with.dense());
  EXPECT_TRUE(with == without);
  EXPECT_EQ(without.rows(), 12);
  EXPECT_EQ(batch_rows(without), (std::vector<int64_t>{0, 1, 2}));
}

TEST(Geometry, EmptyBatchesAndRowsWithoutSteps) {
  Geometry geometry;
  geometry.assign(0, 7, nullptr);
  EXPECT_EQ(geometry.rows(), 0);
  EXPECT_EQ(geometry.steps(), 0);
  const std::vector<int32_t> none{0, 0};
  geometry.assign(2, 7, none.data());
  EXPECT_EQ(geometry.batch(), 2);
  EXPECT_EQ(geometry.steps(), 0);
  EXPECT_EQ(geometry.rows(), 0);
  EXPECT_EQ(geometry.active(0), 0);
  geometry.assign(2, 0, nullptr);
  EXPECT_EQ(geometry.rows(), 0);
}

TEST(Geometry, EveryStepOfEveryRowHasItsOwnPackedRow) {
  reference::RandomSource random(5);
  Geometry geometry;
  for (size_t batch = 1; batch < 20; ++batch) {
    std::vector<int32_t> lengths;
    int64_t sum = 0;
    for (const size_t length : random.lengths(batch, 1 + random.index(12))) {
      lengths.push_back(static_cast<int32_t>(length));
      sum += static_cast<int64_t>(length);
    }
    geometry.assign(static_cast<int64_t>(batch), 0, lengths.data());
    EXPECT_EQ(geometry.rows(), sum);
    std::set<int64_t> packed, seen;
    for (int64_t sorted = 0; sorted < geometry.batch(); ++sorted) {
      seen.insert(geometry.batch_row(sorted));
      EXPECT_EQ(geometry.length(sorted), lengths[geometry.batch_row(sorted)]);
      for (int64_t t = 0; t < geometry.length(sorted); ++t) {
        EXPECT_LT(sorted, geometry.active(t));
        packed.insert(geometry.row(sorted, t));
      }
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), geometry.batch());
    EXPECT_EQ(static_cast<int64_t>(packed.size()), sum);
    if (sum > 0) {
      EXPECT_EQ(*packed.begin(), 0);
      EXPECT_EQ(*packed.rbegin(), sum - 1);
    }
  }
}

}  // namespace
}  // namespace ostinato
