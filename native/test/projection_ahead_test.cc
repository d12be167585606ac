// Inputs projected ahead of the time loop: that pieces of work are done once and in time, and that
// who does them changes no bit of outputs, states and gradients.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "core/work_ahead.h"
#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

TEST(WorkAhead, DoesEachPieceOnceBeforeItIsNeeded) {
  for (const int threads : {1, 2, 7}) {
    for (const int64_t pieces : {1, 5, 64}) {
      WorkAhead work(pieces);
      std::array<int, WorkAhead::kMostPieces> made{};
      const auto make = [&](int64_t piece) { ++made[piece]; };
      int64_t in_time = 0;
      work.run(threads, make, [&](const auto& need) {
        for (int64_t piece = 0; piece < pieces; ++piece) {
          need(piece);
          in_time += made[piece] == 1 ? 1 : 0;
        }
      });
      EXPECT_EQ(in_time, pieces);
      for (int64_t piece = 0; piece < WorkAhead::kMostPieces; ++piece) {
        EXPECT_EQ(made[piece], piece < pieces ? 1 : 0) << piece;
      }
    }
  }
}

std::vector<RecurrentCase> projection_ahead_cases() {
  std::vector<RecurrentCase> cases;
  const auto add = [&](const std::string& name, const reference::RecurrentConfig& config,
                       const reference::RecurrentProblemOptions& options) {
    cases.push_back({config.cell + "_" + name, config, options});
  };
  for (const char* cell : {"elman_tanh", "lstm", "gru", "gru_reset_before", "indrnn_tanh"}) {
    reference::RecurrentConfig config;
    config.cell = cell;
    config.inputs = 20;
    config.units = 17;
    add("one_row", config, {1, 50, false, false, 0.0});
    add("rows", config, {5, 33, false, true, 0.0});
    add("ragged", config, {7, 40, true, true, 0.0});
    config.go_backwards = true;
    add("ragged_backwards", config, {7, 40, true, true, 0.0});
  }
  reference::RecurrentConfig config;
  config.cell = "lstm";
  config.inputs = 20;
  config.units = 17;
  // More steps than there are pieces with the fewest rows.
  add("long", config, {1, 900, false, true, 0.0});
  config.projection = 9;
  add("projected", config, {3, 40, true, true, 0.0});
  config.projection = 0;
  config.layers = 2;
  config.bidirectional = true;
  add("stack", config, {3, 40, true, true, 0.0});
  return cases;
}

class ProjectionAheadTest : public testing::TestWithParam<RecurrentCase> {
 protected:
  // Whether runs of two and of seven threads, made to project ahead, give what one thread gives.
  static void expect_same_bits(const Options& more, bool training) {
    const RecurrentCase& it = GetParam();
    const reference::RecurrentProblem problem =
        reference::random_recurrent_problem(it.config, it.options, 41);
    for (const Kernels* kernels : available_kernels()) {
      SCOPED_TRACE(kernels->name);
      CoreRun one(*kernels, problem, 1, more), inference(*kernels, problem, 1, more);
      one.training = training;
      one.run();
      inference.forward(false);
      for (const int threads : {2, 7}) {
        SCOPED_TRACE(threads);
        SplitTrial trial{threads, false, true};
        CoreRun ahead(*kernels, problem, threads, more);
        ahead.split_trial = &trial;
        ahead.training = training;
        ahead.run();
        expect_equal(ahead, one);
        EXPECT_EQ(ahead.gradients, one.gradients);
        ahead.training = false;
        ahead.forward(false);
        EXPECT_EQ(ahead.y, inference.y);
        EXPECT_EQ(ahead.final_states, inference.final_states);
      }
    }
  }
};

TEST_P(ProjectionAheadTest, ChangesNoBit) { expect_same_bits({}, false); }

TEST_P(ProjectionAheadTest, ChangesNoBitInSegments) {
  expect_same_bits({{"checkpointEvery", 30.0}}, false);
}

TEST_P(ProjectionAheadTest, ChangesNoBitUnderDropout) {
  expect_same_bits({{"recurrentDropout", 0.3}, {"zoneout", 0.2}}, true);
}

INSTANTIATE_TEST_SUITE_P(Cells, ProjectionAheadTest, testing::ValuesIn(projection_ahead_cases()),
                         [](const auto& info) { return info.param.name; });

#if !defined(OSTINATO_PARALLEL_SERIAL)
TEST(ProjectionAhead, IsChosenForOneRowOfFewUnits) {
  reference::RecurrentConfig config;
  config.cell = "lstm";
  const auto chosen = [&](size_t inputs, size_t units, size_t batch) {
    config.inputs = inputs;
    config.units = units;
    const reference::RecurrentProblem problem =
        reference::random_recurrent_problem(config, {batch, 100, false, false, 0.0}, 42);
    SplitTrial trial;
    CoreRun run(active_kernels(), problem, 2);
    run.split_trial = &trial;
    run.forward(false);
    return trial.chosen_ahead;
  };
  EXPECT_TRUE(chosen(64, 64, 1));
  EXPECT_TRUE(chosen(64, 64, 2));
  EXPECT_FALSE(chosen(4, 128, 1)) << "little to project";
  EXPECT_FALSE(chosen(256, 256, 1)) << "the weights need both caches";
  EXPECT_FALSE(chosen(64, 64, 32)) << "rows enough for each thread";
}
#endif

}  // namespace
}  // namespace ostinato::test
