#include "core/spare_block.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "core/large_pages.h"

namespace ostinato::test {
namespace {

constexpr size_t kBytes = 2 * SpareBlock::kLeast;

#if defined(__linux__)

TEST(SpareBlocks, GiveTheLastBlockOnce) {
  SpareBlock spare;
  void* const block = std::malloc(kBytes);
  std::memset(block, 1, kBytes);
  spare.keep(block, kBytes);
  EXPECT_EQ(spare.take(kBytes), block);
  EXPECT_EQ(spare.take(kBytes), nullptr);
  std::free(block);
}

TEST(SpareBlocks, FitWhatIsALittleSmallerOnly) {
  SpareBlock spare;
  void* const block = std::malloc(kBytes);
  spare.keep(block, kBytes);
  EXPECT_EQ(spare.take(kBytes + 1), nullptr);
  EXPECT_EQ(spare.take(kBytes / 2), nullptr);
  EXPECT_EQ(spare.take(kBytes - kBytes / 8), block);
  std::free(block);
}

TEST(SpareBlocks, KeepTheLargerOfTwo) {
  SpareBlock spare;
  void* const large = std::malloc(2 * kBytes);
  spare.keep(std::malloc(kBytes), kBytes);
  spare.keep(large, 2 * kBytes);
  spare.keep(std::malloc(kBytes), kBytes);
  EXPECT_EQ(spare.take(kBytes), nullptr);
  EXPECT_EQ(spare.take(2 * kBytes), large);
  std::free(large);
}

TEST(SpareBlocks, ServeTheStorageOfDataSets) {
  const size_t count = kBytes / sizeof(float);
  const float* first = nullptr;
  {
    const FloatStorage values(count, 1.0f);
    first = values.data();
  }
  const FloatStorage values(count, 2.0f);
  EXPECT_EQ(values.data(), first);
  EXPECT_EQ(values.back(), 2.0f);
}

#endif

TEST(SpareBlocks, LeaveSmallBlocksAlone) {
  SpareBlock spare;
  spare.keep(std::malloc(64), 64);
  EXPECT_EQ(spare.take(64), nullptr);
}

}  // namespace
}  // namespace ostinato::test
