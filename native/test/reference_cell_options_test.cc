// The reference's cells with options against finite differences, and against each other where two
// of them must agree.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gradient_check.h"
#include "reference/recurrent.h"

namespace ostinato::reference {
namespace {

struct Case {
  std::string name;
  RecurrentConfig config;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Cell& cell : variant_cells()) {
    for (const bool stacked : {false, true}) {
      RecurrentConfig config;
      config.cell = cell.name;
      config.inputs = 2;
      config.units = 3;
      config.bidirectional = stacked;
      config.layers = stacked ? 2 : 1;
      config.use_bias = !stacked;
      config.return_sequences = !stacked;
      const std::string name = cell.name + (stacked ? "_stacked" : "");
      cases.push_back({name, config});
      if (cell.states.size() < 2) continue;
      config.cell_clip = 0.375;
      cases.push_back({name + "_bounded", config});
    }
  }
  return cases;
}

class CellOptionsGradientTest : public testing::TestWithParam<Case> {};

void expect_differences(const RecurrentConfig& config, const RecurrentProblemOptions& options) {
  RecurrentProblem problem = random_recurrent_problem(config, options, 31, 0.004);
  const RecurrentGradients gradients = backward(problem);
  ASSERT_EQ(gradients.params.size(), problem.params.size());
  const auto f = [&] { return loss(problem); };
  double squares = 0.0;
  for (auto& [name, values] : problem.params) {
    expect_gradient(name, f, values, gradients.params.at(name));
    for (const double value : gradients.params.at(name)) squares += value * value;
  }
  EXPECT_GT(squares, 1e-3) << "nothing was checked";
  expect_gradient("x", f, problem.input.x, gradients.x);
  for (auto& [name, values] : problem.input.initial) {
    expect_gradient("initial " + name, f, values, gradients.initial.at(name));
  }
}

TEST_P(CellOptionsGradientTest, MatchesDifferences) {
  expect_differences(GetParam().config, {.batch = 3, .steps = 3, .ragged = true, .initial = true});
}

// Masks on h, zoneout and dropout of the candidate together, with masks that are given.
TEST_P(CellOptionsGradientTest, MatchesDifferencesWithDropoutInTheLoop) {
  expect_differences(GetParam().config, {.batch = 3,
                                         .steps = 3,
                                         .ragged = true,
                                         .initial = true,
                                         .recurrent_dropout = 0.25,
                                         .zoneout = 0.25,
                                         .candidate_dropout = 0.25});
}

INSTANTIATE_TEST_SUITE_P(, CellOptionsGradientTest, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

// With options that change nothing the plain cell is left.
TEST(CellOptionsReferenceTest, PeepholesOfZeroAndAnInfiniteBoundAreThePlainCell) {
  RecurrentConfig config;
  config.inputs = 2;
  config.units = 3;
  RecurrentProblem problem = random_recurrent_problem(config, {.initial = true}, 32);
  const RecurrentResult plain = forward(problem.config, problem.params, problem.input);
  problem.config.cell = "lstm_clipped";
  EXPECT_EQ(forward(problem.config, problem.params, problem.input).y, plain.y);
  problem.config.cell = "lstm_peephole";
  problem.params["weight_ch_l0"] = Vector(9, 0.0);
  EXPECT_EQ(forward(problem.config, problem.params, problem.input).y, plain.y);
}

// By hand, one unit at one step.
TEST(CellOptionsReferenceTest, OneStepByHand) {
  RecurrentConfig config;
  config.use_bias = false;
  RecurrentInput input;
  input.batch = input.steps = 1;
  input.x = {0.5};
  input.initial = {{"h", {0.0}}, {"c", {0.8}}};
  config.cell = "lstm_coupled_peephole";
  const double f = sigmoid(0.3 * 0.5 + 0.7 * 0.8);
  const double c = f * 0.8 + (1.0 - f) * std::tanh(-0.6 * 0.5);
  const double h = sigmoid(0.9 * 0.5 - 0.4 * c) * std::tanh(c);
  const RecurrentParams params{{"weight_ih_l0", {0.3, -0.6, 0.9}},
                               {"weight_hh_l0", {0.0, 0.0, 0.0}},
                               {"weight_ch_l0", {0.7, -0.4}}};
  EXPECT_NEAR(forward(config, params, input).y[0], h, 1e-15);
  config.cell_clip = 0.1;
  EXPECT_NEAR(forward(config, params, input).final_states.at("c")[0], 0.1, 1e-15);
  EXPECT_NEAR(forward(config, params, input).y[0], sigmoid(0.9 * 0.5 - 0.4 * 0.1) * std::tanh(0.1),
              1e-15);

  config = {};
  config.cell = "indrnn_relu";
  config.use_bias = false;
  input.initial = {{"h", {0.8}}};
  EXPECT_NEAR(forward(config, {{"weight_ih_l0", {0.4}}, {"weight_hh_l0", {1.1}}}, input).y[0],
              0.4 * 0.5 + 1.1 * 0.8, 1e-15);
}

}  // namespace
}  // namespace ostinato::reference
