#include "core/workspace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/params.h"

namespace ostinato {
namespace {

TEST(AlignedBuffer, GrowsOnlyAlignedAndZeroed) {
  AlignedBuffer buffer;
  EXPECT_TRUE(buffer.reserve(10));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
  std::fill_n(buffer.data(), 10, 1.0f);
  float* const before = buffer.data();
  EXPECT_FALSE(buffer.reserve(5));
  EXPECT_EQ(buffer.data(), before);
  EXPECT_EQ(buffer.data()[9], 1.0f);
  EXPECT_TRUE(buffer.reserve(1000));
  EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + 1000, [](float x) { return x == 0; }));
  AlignedBuffer moved = std::move(buffer);
  EXPECT_EQ(moved.size(), 1000);
}

TEST(Workspace, SavedRegionsAreDisjointAndScratchOfLayersOverlaps) {
  Workspace workspace;
  Matrix saved[2], scratch[2];
  float* more = nullptr;
  workspace.begin();
  workspace.next_layer();
  workspace.want(&saved[0], 3, 17, Lifetime::kSaved);
  workspace.want(&scratch[0], 5, 40, Lifetime::kScratch);
  workspace.want(&more, 7, Lifetime::kScratch);
  workspace.next_layer();
  workspace.want(&scratch[1], 2, 3, Lifetime::kScratch);
  workspace.want(&saved[1], 1, 16, Lifetime::kSaved);
  workspace.realise();
  EXPECT_EQ(saved[0].ld, 32);
  EXPECT_EQ(saved[0].rows, 3);
  EXPECT_EQ(saved[0].cols, 17);
  EXPECT_GE(saved[1].data, saved[0].data + 3 * 32);
  EXPECT_GE(scratch[0].data, saved[1].data + 16);
  EXPECT_EQ(scratch[0].data, scratch[1].data);
  EXPECT_GE(more, scratch[0].data + 5 * 48);
  for (const float* pointer : {saved[0].data, saved[1].data, scratch[0].data, more + 0}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pointer) % 64, 0u);
  }
}

TEST(Workspace, SmallerPlansKeepTheMemory) {
  Workspace workspace;
  Matrix matrix;
  const auto plan = [&](int64_t rows) {
    workspace.begin();
    workspace.want(&matrix, rows, 16, Lifetime::kSaved);
    workspace.realise();
  };
  plan(100);
  const int64_t bytes = workspace.bytes();
  const float* const before = matrix.data;
  EXPECT_GE(bytes, 100 * 64);
  plan(10);
  EXPECT_EQ(matrix.data, before);
  EXPECT_EQ(workspace.bytes(), bytes);
  plan(0);
  EXPECT_NE(matrix.data, nullptr);
}

TEST(ParamTable, EntriesStartOnCacheLinesAndGapsAreLeftOut) {
  ParamTable table;
  EXPECT_EQ(table.add("a.weight", {3, 7}, ParamRole::kKernel), 0);
  EXPECT_EQ(table.add("a.bias", {3}, ParamRole::kBias), 1);
  EXPECT_EQ(table.add("b.weight", {16}, ParamRole::kNorm), 2);
  table.realise();
  EXPECT_EQ(table.count(), 21 + 3 + 16);
  EXPECT_EQ(table.size(), 32 + 16 + 16);
  EXPECT_EQ(table.value(1) - table.values(), 32);
  EXPECT_TRUE(table.entries()[0].decays());
  EXPECT_FALSE(table.entries()[1].decays());
  EXPECT_FALSE(table.entries()[2].decays());
  std::vector<int64_t> parts;
  for_each_part(table.entries(), 16, 64, [&](const ParamEntry& entry, int64_t from, int64_t to) {
    parts.insert(parts.end(), {entry.offset, from, to});
  });
  EXPECT_EQ(parts, (std::vector<int64_t>{0, 16, 21, 32, 32, 35, 48, 48, 64}));
}

}  // namespace
}  // namespace ostinato
