// The reference's cells with layer normalisation inside, against finite differences and against
// what a normalisation must do.
#include <gtest/gtest.h>

#include <cmath>
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
  for (const Cell& cell : normalized_cells()) {
    for (const bool stacked : {false, true}) {
      RecurrentConfig config;
      config.cell = cell.name;
      config.inputs = 2;
      config.units = 4;
      config.bidirectional = stacked;
      config.layers = stacked ? 2 : 1;
      config.use_bias = !stacked;
      config.return_sequences = !stacked;
      cases.push_back({cell.name + (stacked ? "_stacked" : ""), config});
    }
  }
  return cases;
}

class CellNormGradientTest : public testing::TestWithParam<Case> {};

TEST_P(CellNormGradientTest, MatchesDifferences) {
  const RecurrentProblemOptions options{.batch = 3, .steps = 3, .ragged = true, .initial = true};
  RecurrentProblem problem = random_recurrent_problem(GetParam().config, options, 41, 0.004);
  const RecurrentGradients gradients = backward(problem);
  ASSERT_EQ(gradients.params.size(), problem.params.size());
  const auto f = [&] { return loss(problem); };
  for (auto& [name, values] : problem.params) {
    expect_gradient(name, f, values, gradients.params.at(name));
    double squares = 0.0;
    for (const double value : gradients.params.at(name)) squares += value * value;
    EXPECT_GT(squares, 1e-6) << "nothing was checked of " << name;
  }
  expect_gradient("x", f, problem.input.x, gradients.x);
  for (auto& [name, values] : problem.input.initial) {
    expect_gradient("initial " + name, f, values, gradients.initial.at(name));
  }
}

INSTANTIATE_TEST_SUITE_P(, CellNormGradientTest, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

RecurrentProblem problem_of(const std::string& cell) {
  RecurrentConfig config;
  config.cell = cell;
  config.inputs = 3;
  config.units = 5;
  return random_recurrent_problem(config, {.initial = true}, 42);
}

double largest_difference(const Vector& a, const Vector& b) {
  double largest = 0.0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b.at(i)));
  return largest;
}

// What the paper calls invariance under re-scaling of the weights: of both where their sum is
// normalised, of each where they are apart. Only epsilon spoils it.
TEST(CellNormTest, ScaledWeightsGiveTheSameOutputs) {
  for (const Cell& cell : normalized_cells()) {
    RecurrentProblem problem = problem_of(cell.name);
    for (const char* name : {"weight_ih_l0", "weight_hh_l0"}) {
      for (double& value : problem.params[name]) value *= 30.0;
    }
    const Vector y = forward(problem.config, problem.params, problem.input).y;
    RecurrentProblem scaled = problem;
    for (double& value : scaled.params["weight_ih_l0"]) value *= 40.0;
    const double input_alone =
        largest_difference(y, forward(scaled.config, scaled.params, scaled.input).y);
    for (double& value : scaled.params["weight_hh_l0"]) value *= 40.0;
    const double both =
        largest_difference(y, forward(scaled.config, scaled.params, scaled.input).y);
    EXPECT_LE(both, 1e-4) << cell.name;
    if (cell.norm == "ba") {
      EXPECT_LE(input_alone, 1e-4) << cell.name;
    } else {
      EXPECT_GT(input_alone, 1e-2) << cell.name;
    }
  }
}

// A GRU with scales of zero has gates of its biases alone.
TEST(CellNormTest, ScalesOfZeroLeaveTheBiases) {
  for (const std::string norm : {"gates", "ba"}) {
    RecurrentProblem problem = problem_of("gru_" + norm);
    problem.input.steps = 1;
    problem.input.x.resize(problem.input.batch * problem.config.inputs);
    for (auto& [name, values] : problem.params) {
      if (name.rfind("weight_ln", 0) == 0) values.assign(values.size(), 0.0);
    }
    const Vector& ih = problem.params.at("bias_ih_l0");
    const Vector& hh = problem.params.at("bias_hh_l0");
    const Vector y = forward(problem.config, problem.params, problem.input).y;
    for (size_t j = 0; j < 5; ++j) {
      const double r = sigmoid(ih[j] + hh[j]), z = sigmoid(ih[5 + j] + hh[5 + j]);
      const double n = std::tanh(ih[10 + j] + r * hh[10 + j]);
      EXPECT_NEAR(y[j], (1.0 - z) * n + z * problem.input.initial.at("h")[j], 1e-15);
    }
  }
}

}  // namespace
}  // namespace ostinato::reference
