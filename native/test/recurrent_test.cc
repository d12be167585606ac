// The recurrent layer in single precision, on every instruction set, against the double-precision
// reference: outputs, final states and all gradients.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reference/random_problem.h"
#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

std::vector<RecurrentCase> recurrent_cases() {
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
  const reference::RecurrentProblemOptions dense{3, 4, false, false, 0.0};
  const reference::RecurrentProblemOptions full{5, 6, true, true, 0.0};
  add("plain", config, dense);
  // Units and rows around vector widths and tile heights; single rows and single steps.
  for (const size_t units : {1, 2, 8, 15, 16, 31, 33, 64, 65}) {
    config.units = units;
    add("units_" + std::to_string(units), config, {7, 3, false, true, 0.0});
  }
  config.units = 17;
  for (const size_t batch : {1, 2, 6, 9, 13, 25}) {
    add("rows_" + std::to_string(batch), config, {batch, 3, true, true, 0.0});
  }
  add("one_step", config, {3, 1, false, true, 0.0});
  config.use_bias = false;
  add("no_bias", config, full);
  config.use_bias = true;
  config.go_backwards = true;
  add("go_backwards", config, full);
  add("go_backwards_dense", config, {4, 5, false, true, 0.0});
  config.return_sequences = false;
  add("go_backwards_last", config, full);
  config.go_backwards = false;
  add("last", config, full);
  for (const reference::Merge merge : {reference::Merge::kConcat, reference::Merge::kSum,
                                       reference::Merge::kMul, reference::Merge::kAve}) {
    config.bidirectional = true;
    config.merge = merge;
    config.layers = 2;
    config.return_sequences = true;
    add(std::string("two_layers_") + merge_name(merge), config, full);
    config.return_sequences = false;
    add(std::string("two_layers_last_") + merge_name(merge), config, full);
  }
  config.bidirectional = false;
  config.merge = reference::Merge::kConcat;
  config.return_sequences = true;
  config.layers = 3;
  add("three_layers", config, full);
  config.go_backwards = true;
  add("three_layers_backwards", config, full);
  // Large enough for two threads and both ways of splitting the work.
  config = {};
  config.inputs = 40;
  config.units = 96;
  add("split_rows", config, {32, 12, true, true, 0.0});
  config.units = 150;
  add("split_panels", config, {3, 12, true, true, 0.0});
  // Weights that the backward pass reads in place, for one row and for a tile of rows, and not for
  // more; inputs projected by one product for all steps, whose gradient reads weights in place too.
  config.inputs = 64;
  config.units = 48;
  for (const size_t batch : {1, 5, 7}) {
    add("in_place_rows_" + std::to_string(batch), config, {batch, 9, batch > 1, true, 0.0});
  }
  // More rows than a block has: a dense batch, a ragged one, and a state for each way to begin.
  config.inputs = 3;
  config.units = 7;
  add("blocks", config, {90, 7, false, true, 0.0});
  add("blocks_ragged", config, {130, 9, true, true, 0.0});
  config.bidirectional = true;
  add("blocks_both_directions", config, {100, 7, true, true, 0.0});
  return cases;
}

class RecurrentTest : public testing::TestWithParam<RecurrentCase> {};

TEST_P(RecurrentTest, AgreesWithTheReferenceOnEveryInstructionSet) {
  const RecurrentCase& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 11);
  const reference::RecurrentResult want = forward(it.config, problem.params, problem.input);
  const reference::RecurrentGradients want_gradients = backward(problem);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    CoreRun got(*kernels, problem, 2);
    got.run();
    expect_close(got, want, want_gradients);
  }
}

TEST_P(RecurrentTest, IsBitwiseEqualForAnyNumberOfThreads) {
  const RecurrentCase& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 12);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    CoreRun one(*kernels, problem, 1);
    one.run();
    for (const int threads : {2, 7}) {
      SCOPED_TRACE(threads);
      CoreRun other(*kernels, problem, threads);
      other.run();
      expect_equal(other, one);
      EXPECT_EQ(one.gradients, other.gradients);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentTest, testing::ValuesIn(recurrent_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ostinato::test
