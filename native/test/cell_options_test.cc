// Cells with options (LSTM with peepholes, coupled gates, a bound on the cell state; IndRNN) in
// single precision, on every instruction set, against the double-precision reference, and for any
// number of threads and segments. What all cells share is tested with the plain ones
// (recurrent_test.cc), so there are few shapes here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

// Nearer to a corner single precision may find itself on the other side of it.
constexpr double kCellOptionsKinkDistance = 1e-6;

std::vector<RecurrentCase> cell_options_cases() {
  std::vector<RecurrentCase> cases;
  constexpr double kUnbounded = std::numeric_limits<double>::infinity(), kBounded = 0.375;
  const auto add = [&](const std::string& name, reference::RecurrentConfig config,
                       reference::RecurrentProblemOptions options, double cell_clip,
                       bool all = true) {
    for (const reference::Cell& cell : reference::variant_cells()) {
      if (!all && cell.peepholes == 0 && !cell.elementwise) continue;
      config.cell = cell.name;
      config.cell_clip = cell.states.size() > 1 ? cell_clip : kUnbounded;
      cases.push_back({cell.name + "_" + name, config, options});
    }
  };
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 17;
  add("plain", config, {3, 4, false, false, 0.0}, kUnbounded);
  add("ragged", config, {9, 5, true, true, 0.0}, kBounded);
  config.use_bias = false;
  config.go_backwards = true;
  add("backwards", config, {4, 5, false, true, 0.0}, kBounded);
  config.go_backwards = false;
  config.use_bias = true;
  config.bidirectional = true;
  config.layers = 2;
  config.return_sequences = false;
  add("two_layers_both_ways", config, {5, 5, true, true, 0.0}, kUnbounded);
  config = {};
  // The sums over rows, large enough for two threads and both ways of splitting the work.
  config.inputs = 8;
  config.units = 64;
  add("split_rows", config, {18, 10, true, true, 0.0}, kUnbounded, false);
  config.units = 97;
  add("split_panels", config, {3, 13, false, true, 0.0}, kUnbounded, false);
  // Weights in place, and more rows than a block has.
  config.inputs = 32;
  config.units = 32;
  add("in_place", config, {2, 3, false, true, 0.0}, kBounded);
  config.inputs = 3;
  config.units = 7;
  add("blocks", config, {130, 6, true, true, 0.0}, kUnbounded);
  return cases;
}

class CellOptionsTest : public testing::TestWithParam<RecurrentCase> {};

TEST_P(CellOptionsTest, AgreesWithTheReferenceForAnyNumberOfThreads) {
  const RecurrentCase& it = GetParam();
  expect_agreement_everywhere(
      reference::random_recurrent_problem(it.config, it.options, 21, kCellOptionsKinkDistance));
}

INSTANTIATE_TEST_SUITE_P(Cells, CellOptionsTest, testing::ValuesIn(cell_options_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CellOptions, TheCellStateStaysWithinItsBound) {
  reference::RecurrentConfig config;
  config.cell = "lstm_clipped";
  config.inputs = 2;
  config.units = 9;
  config.cell_clip = 0.125;
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(config, {5, 6, false, false, 0.0}, 22);
  CoreRun run(*available_kernels().back(), problem, 1);
  run.run();
  int at_bound = 0;
  for (const double c : run.final_states.at("c")) {
    EXPECT_LE(std::abs(c), 0.125);
    at_bound += std::abs(c) == 0.125 ? 1 : 0;
  }
  EXPECT_GT(at_bound, 0);
}

TEST(CellOptions, RefusesABoundThatIsNoneOrThatTheCellDoesNotHave) {
  const Kernels& kernels = *available_kernels().back();
  const auto make = [&](const char* cell, const Option& clip) {
    return message_of("ERR_INVALID_ARGUMENT", [&] {
      make_network(kernels, {3, true, false}, {layer(cell, {{"units", 4.0}, {"cellClip", clip}})});
    });
  };
  for (const double clip : {0.0, -1.0, 1e-60}) make("lstm_clipped", clip);
  make("lstm_clipped", "much");
  EXPECT_NE(make("lstm", 1.0).find("nothing for \"cellClip\""), std::string::npos);
}

TEST(CellOptions, InitialValues) {
  const Kernels& kernels = *available_kernels().back();
  const auto network = make_network(
      kernels, {3, true, false},
      {layer("lstm_peephole", {{"units", 4.0}, {"returnSequences", true}}, "a"),
       layer("lstm_coupled_peephole",
             {{"units", 4.0}, {"returnSequences", true}, {"recurrentInitializer", "torch"}}, "b"),
       layer("indrnn_relu", {{"units", 400.0}, {"recurrentInitializer", "unitUniform"}}, "c")});
  const auto values = [&](const std::string& name) {
    const int index = param_index(*network, name);
    return vector_of(network->params().value(index), network->params().entries()[index].size);
  };
  EXPECT_EQ(values("a.weight_ch_l0"), reference::Vector(3 * 4, 0.0));
  const reference::Vector peepholes = values("b.weight_ch_l0");
  EXPECT_EQ(peepholes.size(), 2 * 4U);
  for (const double p : peepholes) {
    EXPECT_LE(std::abs(p), 0.5);
    EXPECT_NE(p, 0.0);
  }
  const reference::Vector u = values("c.weight_hh_l0");
  EXPECT_EQ(u.size(), 400U);
  EXPECT_GE(*std::min_element(u.begin(), u.end()), 0.0);
  EXPECT_GT(*std::max_element(u.begin(), u.end()), 0.9);
  EXPECT_LE(*std::max_element(u.begin(), u.end()), 1.0);
}

}  // namespace
}  // namespace ostinato::test
