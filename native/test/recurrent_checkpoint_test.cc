// Recomputation over segments of steps against a plain run: every value but the gradients of the
// weights is the same to the bit; those are summed in another order.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

constexpr double kRecurrentCheckpointTolerance =
    3e-6;  // of a sum of some hundred products in another order

std::vector<RecurrentCase> recurrent_checkpoint_cases() {
  std::vector<RecurrentCase> cases;
  const auto add = [&](const std::string& name, reference::RecurrentConfig config,
                       reference::RecurrentProblemOptions options) {
    for (const reference::Cell& cell : reference::all_cells()) {
      config.cell = cell.name;
      cases.push_back({cell.name + "_" + name, config, options});
    }
  };
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 17;
  // Rows, steps, ragged (rows without steps among them), initial states.
  const reference::RecurrentProblemOptions dense{3, 11, false, false, 0.0};
  const reference::RecurrentProblemOptions stateful{3, 11, false, true, 0.0};
  const reference::RecurrentProblemOptions ragged{7, 11, true, true, 0.0};
  for (const bool sequences : {true, false}) {
    const std::string suffix = sequences ? "" : "_last";
    config.return_sequences = sequences;
    add("dense" + suffix, config, dense);
    add("stateful" + suffix, config, stateful);
    add("ragged" + suffix, config, ragged);
    add("single_row" + suffix, config, {1, 11, false, true, 0.0});
    config.go_backwards = true;
    add("backwards_dense" + suffix, config, dense);
    add("backwards_stateful" + suffix, config, stateful);
    add("backwards_ragged" + suffix, config, ragged);
    config.go_backwards = false;
    config.bidirectional = true;
    config.layers = 2;
    add("two_layers_both_ways" + suffix, config, ragged);
    config.bidirectional = false;
    config.layers = 1;
  }
  config.return_sequences = true;
  config.use_bias = false;
  add("no_bias", config, ragged);
  // Large enough for several threads and both ways of splitting the work.
  config = {};
  config.inputs = 40;
  config.units = 96;
  add("split_rows", config, {32, 12, true, true, 0.0});
  config.units = 150;
  add("split_panels", config, {3, 12, true, true, 0.0});
  return cases;
}

// One step, lengths that do and do not divide 11 and 12, all steps, and more than all.
constexpr int kEvery[] = {1, 2, 4, 5, 11, 12, 100};

class RecurrentCheckpointTest : public testing::TestWithParam<RecurrentCase> {};

TEST_P(RecurrentCheckpointTest, AgreesWithAPlainRun) {
  const RecurrentCase& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 13);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    CoreRun plain(*kernels, problem, 1);
    plain.run();
    for (const int every : kEvery) {
      SCOPED_TRACE(every);
      CoreRun cut(*kernels, problem, 1, {{"checkpointEvery", static_cast<double>(every)}});
      cut.run();
      expect_equal(cut, plain);
      for (const auto& [name, values] : plain.gradients) {
        EXPECT_LE(relative_error(cut.gradients.at(name), values), kRecurrentCheckpointTolerance)
            << name;
      }
      // Nothing of a run may leak into the next one.
      const reference::NamedVectors first = cut.gradients;
      cut.run();
      expect_equal(cut, plain);
      EXPECT_EQ(cut.gradients, first);
    }
  }
}

TEST_P(RecurrentCheckpointTest, IsBitwiseEqualForAnyNumberOfThreads) {
  const RecurrentCase& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 14);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    for (const int every : {1, 4, 11}) {
      SCOPED_TRACE(every);
      const Options more{{"checkpointEvery", static_cast<double>(every)}};
      CoreRun one(*kernels, problem, 1, more);
      one.run();
      for (const int threads : {2, 7}) {
        SCOPED_TRACE(threads);
        CoreRun other(*kernels, problem, threads, more);
        other.run();
        expect_equal(other, one);
        EXPECT_EQ(other.gradients, one.gradients);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentCheckpointTest,
                         testing::ValuesIn(recurrent_checkpoint_cases()),
                         [](const auto& info) { return info.param.name; });

// Enough rows for segments that nobody asked for: gates of more than 32 MiB, 64 MiB in all.
class LongSequenceTest : public testing::Test {
 protected:
  static reference::RecurrentProblem problem(const std::string& cell, bool sequences,
                                             bool backwards) {
    reference::RecurrentConfig config;
    config.cell = cell;
    config.inputs = 3;
    config.units = 17;
    config.return_sequences = sequences;
    config.go_backwards = backwards;
    return reference::random_recurrent_problem(config, {3, 40'000, false, true, 0.0}, 15);
  }
  // Where to cut is the core's business; the other tests cut on every instruction set.
  static const Kernels& kernels() { return *available_kernels().back(); }
};

TEST_F(LongSequenceTest, PassesWithoutGradientsKeepTheGatesOfOneSegment) {
  for (const char* cell : {"lstm", "gru", "gru_reset_before"}) {
    for (const bool sequences : {true, false}) {
      for (const bool backwards : {true, false}) {
        SCOPED_TRACE(testing::Message() << cell << sequences << backwards);
        const reference::RecurrentProblem it = problem(cell, sequences, backwards);
        CoreRun plain(kernels(), it, 1), cut(kernels(), it, 1);
        plain.forward(true);
        cut.forward(false);
        EXPECT_EQ(cut.y, plain.y);
        EXPECT_EQ(cut.final_states, plain.final_states);
        EXPECT_LT(cut.workspace_bytes(), int64_t{sequences ? 52 : 20} << 20);
        EXPECT_GT(plain.workspace_bytes(), int64_t{58} << 20);
      }
    }
  }
}

TEST_F(LongSequenceTest, AutoCutsWhatIsLarge) {
  for (const bool backwards : {true, false}) {
    const reference::RecurrentProblem it = problem("lstm", false, backwards);
    CoreRun plain(kernels(), it, 1), cut(kernels(), it, 1, {{"checkpointEvery", "auto"}});
    plain.run();
    cut.run();
    expect_equal(cut, plain);
    for (const auto& [name, values] : plain.gradients) {
      EXPECT_LE(relative_error(cut.gradients.at(name), values), 1e-5) << name;
    }
    EXPECT_LT(cut.workspace_bytes(), plain.workspace_bytes() / 2);
  }
}

TEST(RecurrentCheckpoint, AutoLeavesSmallPassesAlone) {
  const RecurrentCase it = recurrent_checkpoint_cases().front();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 16);
  const Kernels& kernels = *available_kernels().back();
  CoreRun plain(kernels, problem, 1), cut(kernels, problem, 1, {{"checkpointEvery", "auto"}});
  plain.run();
  cut.run();
  expect_equal(cut, plain);
  EXPECT_EQ(cut.gradients, plain.gradients);
  EXPECT_EQ(cut.workspace_bytes(), plain.workspace_bytes());
}

TEST(RecurrentCheckpoint, RefusesOtherValues) {
  const Kernels& kernels = *available_kernels().back();
  for (const Option& value :
       {Option(0.0), Option(-1.0), Option(1.5), Option("never"), Option(true)}) {
    message_of("ERR_INVALID_ARGUMENT", [&] {
      make_network(kernels, {3, true, false},
                   {layer("lstm", {{"units", 4.0}, {"checkpointEvery", value}})});
    });
  }
}

}  // namespace
}  // namespace ostinato::test
