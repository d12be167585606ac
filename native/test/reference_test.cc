// The gradients of every cell under every option of the recurrent layer, against finite
// differences.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "gradient_check.h"
#include "reference/recurrent.h"

namespace ostinato::reference {
namespace {

// How far relu arguments stay from zero: some times the width of a difference, because what changes
// by that width reaches the argument multiplied by inputs and weights.
constexpr double kReferenceKinkDistance = 0.004;

// The order in which a layer reads its rows, and how it joins directions.
struct Order {
  const char* name;
  bool bidirectional;
  Merge merge;
  bool go_backwards;
};

const std::vector<Order> kOrders{
    {"forward", false, Merge::kConcat, false}, {"backwards", false, Merge::kConcat, true},
    {"concat", true, Merge::kConcat, false},   {"sum", true, Merge::kSum, false},
    {"mul", true, Merge::kMul, false},         {"ave", true, Merge::kAve, false},
};

std::vector<std::string> cell_names() {
  std::vector<std::string> names;
  for (const Cell& cell : all_cells()) names.push_back(cell.name);
  return names;
}

void PrintTo(const Order& order, std::ostream* out) { *out << order.name; }

using Case = std::tuple<std::string, Order, size_t, bool>;  // cell, order, layers, bias

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const auto& [cell, order, layers, bias] = info.param;
  return cell + "_" + order.name + "_" + std::to_string(layers) + "layers" +
         (bias ? "" : "_unbiased");
}

RecurrentConfig config_of(const Case& parameters, size_t inputs, size_t units) {
  const auto& [cell, order, layers, bias] = parameters;
  RecurrentConfig config;
  config.cell = cell;
  config.inputs = inputs;
  config.units = units;
  config.layers = layers;
  config.bidirectional = order.bidirectional;
  config.merge = order.merge;
  config.go_backwards = order.go_backwards;
  config.use_bias = bias;
  return config;
}

double sum_squares(const Vector& values) {
  double total = 0.0;
  for (double value : values) total += value * value;
  return total;
}

// A problem away from kinks whose gradients reach the first layer's weights; few relu units may all
// be dead, hence the attempts.
RecurrentProblem differentiable_problem(const RecurrentConfig& config,
                                        const RecurrentProblemOptions& options, uint64_t seed) {
  RecurrentProblem problem;
  for (int attempt = 0; attempt < 20; ++attempt) {
    problem =
        random_recurrent_problem(config, options, 1000 * seed + attempt, kReferenceKinkDistance);
    if (sum_squares(backward(problem).params.at("weight_ih_l0")) > 1e-12) break;
  }
  return problem;
}

// Calls check(f, all) with the loss of a problem and everything that it has gradients for. Absent
// initial states are made explicit zeros, so that their gradients are checked too.
template <class Check>
void check_all(RecurrentProblem& problem, const Check& check) {
  const RecurrentGradients gradients = backward(problem);
  ASSERT_EQ(gradients.params.size(), problem.params.size());
  EXPECT_GT(sum_squares(gradients.params.at("weight_ih_l0")), 1e-12) << "nothing was checked";
  std::vector<Differentiated> all{{"x", &problem.input.x, &gradients.x}};
  for (auto& [name, values] : problem.params) {
    all.push_back({name, &values, &gradients.params.at(name)});
  }
  for (const auto& [name, gradient] : gradients.initial) {
    Vector& state = problem.input.initial[name];
    state.resize(gradient.size(), 0.0);
    all.push_back({"initial " + name, &state, &gradient});
  }
  check([&problem] { return loss(problem); }, all);
}

class RecurrentGradientTest : public testing::TestWithParam<Case> {};

// One difference through all tensors at once, under all combinations of the remaining options.
TEST_P(RecurrentGradientTest, MatchesDifferencesAlongARandomDirection) {
  uint64_t seed = 1;
  RandomSource random(99);
  for (int bits = 0; bits < 16; ++bits) {
    RecurrentConfig config = config_of(GetParam(), 2, 3);
    RecurrentProblemOptions options;
    options.ragged = bits & 1;
    options.initial = bits & 2;
    config.return_sequences = bits & 4;
    options.dropout = bits & 8 ? 0.4 : 0.0;
    if (options.dropout > 0.0 && config.layers == 1) continue;
    SCOPED_TRACE(testing::Message()
                 << "ragged " << options.ragged << ", initial " << options.initial << ", sequences "
                 << config.return_sequences << ", dropout " << options.dropout);
    RecurrentProblem problem = differentiable_problem(config, options, seed++);
    check_all(problem, [&random](const auto& f, const auto& all) {
      expect_directional_gradient(f, all, random);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(, RecurrentGradientTest,
                         testing::Combine(testing::ValuesIn(cell_names()),
                                          testing::ValuesIn(kOrders), testing::Values(1, 2, 3),
                                          testing::Bool()),
                         case_name);

class RecurrentElementGradientTest : public testing::TestWithParam<Case> {};

// Every single element, with all options on.
TEST_P(RecurrentElementGradientTest, MatchesDifferences) {
  for (bool return_sequences : {true, false}) {
    SCOPED_TRACE(return_sequences ? "sequences" : "last step");
    RecurrentConfig config = config_of(GetParam(), 2, 3);
    config.return_sequences = return_sequences;
    RecurrentProblemOptions options;
    options.steps = 3;
    options.ragged = true;
    options.initial = true;
    options.dropout = config.layers > 1 ? 0.3 : 0.0;
    RecurrentProblem problem = differentiable_problem(config, options, 7);
    check_all(problem, [](const auto& f, const auto& all) {
      for (const Differentiated& one : all) {
        expect_gradient(one.name, f, *one.variable, *one.gradient);
      }
    });
  }
}

// Masks on h, zoneout and dropout of the candidate, each alone and together, with masks that are
// given.
TEST_P(RecurrentElementGradientTest, MatchesDifferencesWithDropoutInTheLoop) {
  for (const auto& [mask, zoneout, candidate] :
       {std::array{0.5, 0.0, 0.0}, {0.0, 0.5, 0.0}, {0.0, 0.0, 0.5}, {0.25, 0.25, 0.25}}) {
    SCOPED_TRACE(testing::Message()
                 << "mask " << mask << ", zoneout " << zoneout << ", candidate " << candidate);
    RecurrentProblemOptions options;
    options.steps = 3;
    options.ragged = true;
    options.initial = true;
    options.recurrent_dropout = mask;
    options.zoneout = zoneout;
    options.candidate_dropout = candidate;
    RecurrentProblem problem = differentiable_problem(config_of(GetParam(), 2, 3), options, 8);
    check_all(problem, [](const auto& f, const auto& all) {
      for (const Differentiated& one : all) {
        expect_gradient(one.name, f, *one.variable, *one.gradient);
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(, RecurrentElementGradientTest,
                         testing::Combine(testing::ValuesIn(cell_names()),
                                          testing::ValuesIn(kOrders), testing::Values(1, 2),
                                          testing::Values(true)),
                         case_name);

class RecurrentEdgeGradientTest : public testing::TestWithParam<std::string> {
 protected:
  RecurrentConfig config() const { return config_of({GetParam(), kOrders[2], 2, true}, 3, 2); }
};

TEST_P(RecurrentEdgeGradientTest, SingleStepSingleRowSingleUnit) {
  RecurrentConfig small = config();
  small.inputs = small.units = 1;
  RecurrentProblem problem = random_recurrent_problem(
      small, {.batch = 1, .steps = 1, .initial = true}, 3, kReferenceKinkDistance);
  const RecurrentGradients gradients = backward(problem);
  const auto f = [&] { return loss(problem); };
  for (auto& [name, values] : problem.params) {
    expect_gradient(name, f, values, gradients.params.at(name));
  }
  expect_gradient("x", f, problem.input.x, gradients.x);
}

// Rows of no steps hand the final states' gradients to the initial states untouched.
TEST_P(RecurrentEdgeGradientTest, RowsWithoutSteps) {
  RecurrentProblem problem =
      random_recurrent_problem(config(), {.batch = 2, .steps = 3, .initial = true}, 4);
  problem.input.lengths = {0, 0};
  const RecurrentGradients gradients = backward(problem);
  EXPECT_EQ(gradients.x, Vector(problem.input.x.size(), 0.0));
  for (const auto& [name, gradient] : gradients.params) {
    EXPECT_EQ(gradient, Vector(gradient.size(), 0.0)) << name;
  }
  EXPECT_EQ(gradients.initial, problem.upstream.final_states);
}

TEST_P(RecurrentEdgeGradientTest, NoRowsAtAll) {
  RecurrentProblem problem = random_recurrent_problem(config(), {.batch = 0, .steps = 3}, 4);
  const RecurrentGradients gradients = backward(problem);
  EXPECT_TRUE(forward(problem.config, problem.params, problem.input).y.empty());
  EXPECT_TRUE(gradients.x.empty());
  EXPECT_EQ(gradients.params.at("weight_ih_l0"),
            Vector(problem.params.at("weight_ih_l0").size(), 0.0));
}

// Padding is neither read nor given a gradient, whatever it holds.
TEST_P(RecurrentEdgeGradientTest, PaddingIsNeverRead) {
  RecurrentProblem problem =
      random_recurrent_problem(config(), {.ragged = true}, 5, kReferenceKinkDistance);
  const RecurrentResult expected = forward(problem.config, problem.params, problem.input);
  const RecurrentGradients expected_gradients = backward(problem);

  const auto poison = [&](Vector& padded, size_t features) {
    for (size_t row = 0; row < problem.input.batch; ++row) {
      for (size_t step = problem.input.length(row); step < problem.input.steps; ++step) {
        for (size_t j = 0; j < features; ++j) {
          padded[(row * problem.input.steps + step) * features + j] =
              std::numeric_limits<double>::quiet_NaN();
        }
      }
    }
  };
  poison(problem.input.x, problem.config.inputs);
  poison(problem.upstream.y, problem.config.features());
  const RecurrentResult result = forward(problem.config, problem.params, problem.input);
  const RecurrentGradients gradients = backward(problem);
  EXPECT_EQ(result.y, expected.y);
  EXPECT_EQ(result.final_states, expected.final_states);
  EXPECT_EQ(gradients.x, expected_gradients.x);
  EXPECT_EQ(gradients.params, expected_gradients.params);
  EXPECT_EQ(gradients.initial, expected_gradients.initial);
}

INSTANTIATE_TEST_SUITE_P(, RecurrentEdgeGradientTest, testing::ValuesIn(cell_names()),
                         [](const auto& info) { return info.param; });

// A check that passes whatever it is given would prove nothing.
TEST(GradientCheckTest, NoticesAnErrorOfFiveInAMillion) {
  RecurrentConfig config;
  config.units = 2;
  RecurrentProblem problem = random_recurrent_problem(config, {}, 6);
  const Vector gradient = backward(problem).params.at("weight_hh_l0");
  const auto f = [&] { return loss(problem); };
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (std::abs(gradient[i]) < 1e-3) continue;
    const double numeric = central_difference(f, problem.params.at("weight_hh_l0")[i]);
    EXPECT_LE(relative_error(gradient[i], numeric), kGradientTolerance);
    EXPECT_GT(relative_error(gradient[i] * (1.0 + 5e-6), numeric), kGradientTolerance);
  }
}

TEST(RandomProblemTest, IsTheSameForTheSameSeedAndFitsInFloat) {
  const RecurrentProblemOptions options{.ragged = true, .initial = true, .dropout = 0.5};
  RecurrentConfig config;
  config.layers = 2;
  const RecurrentProblem one = random_recurrent_problem(config, options, 11);
  const RecurrentProblem same = random_recurrent_problem(config, options, 11);
  const RecurrentProblem other = random_recurrent_problem(config, options, 12);
  EXPECT_EQ(one.params, same.params);
  EXPECT_EQ(one.input.x, same.input.x);
  EXPECT_EQ(one.input.lengths, same.input.lengths);
  EXPECT_NE(one.params, other.params);
  for (double value : one.input.x) EXPECT_EQ(value, static_cast<double>(static_cast<float>(value)));
  // mt19937_64 is fixed by the C++ standard: its 10000th number from the default seed.
  std::mt19937_64 engine;
  engine.discard(9999);
  EXPECT_EQ(engine(), 9981545732273789042ULL);
}

}  // namespace
}  // namespace ostinato::reference
