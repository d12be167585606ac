// The reference's projected LSTM against finite differences, and against the plain one.
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
  RecurrentProblemOptions options;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  RecurrentConfig config;
  config.inputs = 2;
  config.units = 4;
  config.projection = 2;
  const RecurrentProblemOptions plain{.batch = 3, .steps = 3, .ragged = true, .initial = true};
  cases.push_back({"plain", config, plain});
  RecurrentProblemOptions dropped = plain;
  dropped.recurrent_dropout = dropped.zoneout = dropped.candidate_dropout = 0.4;
  cases.push_back({"dropped", config, dropped});
  config.cell = "lstm_coupled_peephole";
  config.cell_clip = 0.375;
  config.bidirectional = true;
  config.layers = 2;
  config.use_bias = false;
  config.return_sequences = false;
  cases.push_back({"with_options_stacked", config, plain});
  return cases;
}

class ProjectionGradientTest : public testing::TestWithParam<Case> {};

TEST_P(ProjectionGradientTest, MatchesDifferences) {
  RecurrentProblem problem =
      random_recurrent_problem(GetParam().config, GetParam().options, 41, 0.004);
  const RecurrentGradients gradients = backward(problem);
  ASSERT_EQ(gradients.params.size(), problem.params.size());
  const auto f = [&] { return loss(problem); };
  for (auto& [name, values] : problem.params) {
    expect_gradient(name, f, values, gradients.params.at(name));
  }
  double squares = 0.0;
  for (const double value : gradients.params.at("weight_hr_l0")) squares += value * value;
  EXPECT_GT(squares, 1e-3) << "nothing was checked";
  expect_gradient("x", f, problem.input.x, gradients.x);
  for (auto& [name, values] : problem.input.initial) {
    expect_gradient("initial " + name, f, values, gradients.initial.at(name));
  }
}

INSTANTIATE_TEST_SUITE_P(, ProjectionGradientTest, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

// A projection that changes nothing leaves the plain cell.
TEST(ProjectionReferenceTest, ByTheIdentityIsThePlainCell) {
  RecurrentConfig config;
  config.inputs = 2;
  config.units = 3;
  RecurrentProblem problem = random_recurrent_problem(config, {.initial = true}, 42);
  const RecurrentResult plain = forward(problem.config, problem.params, problem.input);
  problem.config.projection = 3;
  problem.params["weight_hr_l0"] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  const RecurrentResult projected = forward(problem.config, problem.params, problem.input);
  EXPECT_EQ(projected.y, plain.y);
  EXPECT_EQ(projected.final_states, plain.final_states);
}

// By hand: two units at two steps, one value of h.
TEST(ProjectionReferenceTest, TwoStepsByHand) {
  RecurrentConfig config;
  config.units = 2;
  config.projection = 1;
  config.use_bias = false;
  RecurrentInput input;
  input.batch = 1;
  input.steps = 2;
  input.x = {0.5, -1.0};
  const Vector ih{0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, 0.8};
  const Vector hh{0.2, 0.1, -0.3, 0.5, 0.4, -0.6, 0.9, -0.7};
  const RecurrentParams params{
      {"weight_ih_l0", ih}, {"weight_hh_l0", hh}, {"weight_hr_l0", {2.0, -3.0}}};
  double h = 0.0, c[2] = {0.0, 0.0};
  Vector y;
  for (const double x : input.x) {
    double m[2];
    for (size_t j = 0; j < 2; ++j) {
      const auto a = [&](size_t gate) { return ih[2 * gate + j] * x + hh[2 * gate + j] * h; };
      c[j] = sigmoid(a(1)) * c[j] + sigmoid(a(0)) * std::tanh(a(2));
      m[j] = sigmoid(a(3)) * std::tanh(c[j]);
    }
    h = 2.0 * m[0] - 3.0 * m[1];
    y.push_back(h);
  }
  const RecurrentResult got = forward(config, params, input);
  ASSERT_EQ(got.y.size(), 2U);
  for (size_t t = 0; t < 2; ++t) EXPECT_NEAR(got.y[t], y[t], 1e-15);
  EXPECT_EQ(got.final_states.at("h").size(), 1U);
  ASSERT_EQ(got.final_states.at("c").size(), 2U);
  for (size_t j = 0; j < 2; ++j) EXPECT_NEAR(got.final_states.at("c")[j], c[j], 1e-15);
}

}  // namespace
}  // namespace ostinato::reference
