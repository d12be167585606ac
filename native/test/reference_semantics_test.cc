// What the reference layers mean: cells against their equations written out for one unit, and every
// option against the same result obtained in another way.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "reference/random_problem.h"
#include "reference/recurrent.h"

namespace ostinato::reference {
namespace {

constexpr double kTolerance = 1e-14;

double logistic(double a) { return 1.0 / (1.0 + std::exp(-a)); }

void expect_near(const Vector& actual, const Vector& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], kTolerance) << i;
}

// ---- one unit, one input, one step: weights that tell the gates apart -----------------------

RecurrentResult one_step(const std::string& cell, const Vector& w, const Vector& u, const Vector& b,
                         const Vector& d, double x, const NamedVectors& initial) {
  RecurrentConfig config;
  config.cell = cell;
  const RecurrentParams params{
      {"weight_ih_l0", w}, {"weight_hh_l0", u}, {"bias_ih_l0", b}, {"bias_hh_l0", d}};
  RecurrentInput input;
  input.batch = input.steps = 1;
  input.x = {x};
  input.initial = initial;
  return forward(config, params, input);
}

TEST(CellEquationsTest, Elman) {
  const double a = 0.5 * 0.3 - 0.7 * 0.4 + 0.1 + 0.2;
  EXPECT_NEAR(one_step("elman_tanh", {0.5}, {-0.7}, {0.1}, {0.2}, 0.3, {{"h", {0.4}}}).y[0],
              std::tanh(a), kTolerance);
  EXPECT_NEAR(one_step("elman_relu", {0.5}, {-0.7}, {0.1}, {0.2}, 0.3, {{"h", {0.4}}}).y[0], a,
              kTolerance);
  EXPECT_EQ(one_step("elman_relu", {0.5}, {-0.7}, {0.1}, {-0.2}, 0.3, {{"h", {0.4}}}).y[0], 0.0);
}

TEST(CellEquationsTest, LstmGatesInOrderIFGO) {
  const double x = 0.3, h = 0.4, c = -0.6;
  const Vector w{0.5, -0.2, 0.9, 0.7}, u{-0.7, 0.6, 0.1, -0.3}, b{0.1, 0.2, 0.3, 0.4},
      d{-0.05, 0.15, -0.25, 0.35};
  const auto a = [&](int k) { return w[k] * x + u[k] * h + b[k] + d[k]; };
  const double c_next = logistic(a(1)) * c + logistic(a(0)) * std::tanh(a(2));
  const RecurrentResult result = one_step("lstm", w, u, b, d, x, {{"h", {h}}, {"c", {c}}});
  EXPECT_NEAR(result.final_states.at("c")[0], c_next, kTolerance);
  EXPECT_NEAR(result.final_states.at("h")[0], logistic(a(3)) * std::tanh(c_next), kTolerance);
  EXPECT_EQ(result.y, result.final_states.at("h"));
}

TEST(CellEquationsTest, GruGatesInOrderRZNWithResetOnEitherSide) {
  const double x = 0.3, h = 0.4;
  const Vector w{0.5, -0.2, 0.9}, u{-0.7, 0.6, 0.8}, b{0.1, 0.2, 0.3}, d{-0.05, 0.15, -0.25};
  const double r = logistic(w[0] * x + u[0] * h + b[0] + d[0]);
  const double z = logistic(w[1] * x + u[1] * h + b[1] + d[1]);
  const double after = std::tanh(w[2] * x + b[2] + r * (u[2] * h + d[2]));
  const double before = std::tanh(w[2] * x + b[2] + u[2] * (r * h) + d[2]);
  EXPECT_NEAR(one_step("gru", w, u, b, d, x, {{"h", {h}}}).y[0], (1 - z) * after + z * h,
              kTolerance);
  EXPECT_NEAR(one_step("gru_reset_before", w, u, b, d, x, {{"h", {h}}}).y[0],
              (1 - z) * before + z * h, kTolerance);
}

// Of a zoned LSTM step with z on h and c, by its equations: h is made of the new c, not of the
// mixed.
TEST(CellEquationsTest, ZoneoutMixesWhatTheCellHasComputed) {
  const double h = 0.4, c = -0.6;
  RecurrentConfig config;
  RecurrentProblem problem = random_recurrent_problem(config, {.batch = 1, .steps = 1}, 12);
  problem.input.initial = {{"h", {h}}, {"c", {c}}};
  const RecurrentResult plain = forward(config, problem.params, problem.input);
  problem.input.zoneout = {{"h", {0.25}}, {"c", {1.0}}};
  const RecurrentResult zoned = forward(config, problem.params, problem.input);
  EXPECT_NEAR(zoned.y[0], 0.25 * h + 0.75 * plain.y[0], kTolerance);
  EXPECT_EQ(zoned.final_states.at("c")[0], c);
}

// A mask of zeros leaves the GRU's h alone where it is carried on, and nothing of its products.
TEST(CellEquationsTest, MaskOnHIsOfTheProductsAlone) {
  for (const char* cell : {"gru", "gru_reset_before"}) {
    RecurrentConfig config;
    config.cell = cell;
    RecurrentProblem problem =
        random_recurrent_problem(config, {.batch = 1, .steps = 1, .initial = true}, 13);
    problem.input.recurrent_mask = {0.0};
    const RecurrentResult masked = forward(config, problem.params, problem.input);
    problem.input.recurrent_mask.clear();
    EXPECT_NE(forward(config, problem.params, problem.input).y, masked.y);
    problem.params["weight_hh_l0"] = Vector(3, 0.0);
    EXPECT_EQ(forward(config, problem.params, problem.input).y, masked.y);
  }
}

// Candidates that are dropped leave what the gates keep of the memory: nothing is forgotten.
TEST(CellEquationsTest, DroppedCandidatesLeaveTheMemory) {
  for (const char* cell : {"lstm", "lstm_peephole", "gru", "gru_reset_before"}) {
    RecurrentConfig config;
    config.cell = cell;
    RecurrentProblem problem =
        random_recurrent_problem(config, {.batch = 1, .steps = 1, .initial = true}, 14);
    const std::string memory = find_cell(cell).states.back();
    // The gate that keeps is a sigmoid of 0.
    for (auto& [name, values] : problem.params) {
      for (double& value : values) value = 0.0;
    }
    problem.params["bias_ih_l0"][2] = 0.7;  // the candidate's
    const RecurrentResult plain = forward(config, problem.params, problem.input);
    problem.input.candidate_mask = {0.0};
    const RecurrentResult dropped = forward(config, problem.params, problem.input);
    const double before = problem.input.initial.at(memory)[0];
    EXPECT_NEAR(dropped.final_states.at(memory)[0], 0.5 * before, kTolerance);
    EXPECT_NEAR(plain.final_states.at(memory)[0], 0.5 * (before + std::tanh(0.7)), kTolerance);
  }
}

// ---- options --------------------------------------------------------------------------------

class RecurrentSemanticsTest : public testing::TestWithParam<std::string> {
 protected:
  RecurrentConfig config(size_t layers = 1) const {
    RecurrentConfig config;
    config.cell = GetParam();
    config.inputs = 3;
    config.units = 2;
    config.layers = layers;
    return config;
  }
  static RecurrentResult run(const RecurrentProblem& p) {
    return forward(p.config, p.params, p.input);
  }
  // The last `count` or first `count` of steps of x, [B, T, I] -> [B, count, I].
  static Vector slice(const Vector& x, size_t batch, size_t steps, size_t features, size_t begin,
                      size_t count) {
    Vector part;
    for (size_t row = 0; row < batch; ++row) {
      for (size_t i = begin * features; i < (begin + count) * features; ++i) {
        part.push_back(x.at(row * steps * features + i));
      }
    }
    return part;
  }
};

const RecurrentProblemOptions kRagged{.batch = 4, .steps = 5, .ragged = true, .initial = true};

TEST_P(RecurrentSemanticsTest, TwoHalvesWithCarriedStateEqualTheWhole) {
  RecurrentProblem problem =
      random_recurrent_problem(config(2), {.batch = 2, .steps = 5, .initial = true}, 1);
  const RecurrentResult whole = run(problem);
  RecurrentProblem part = problem;
  part.input.steps = 2;
  part.input.x = slice(problem.input.x, 2, 5, 3, 0, 2);
  const RecurrentResult first = run(part);
  part.input.steps = 3;
  part.input.x = slice(problem.input.x, 2, 5, 3, 2, 3);
  part.input.initial = first.final_states;
  const RecurrentResult second = run(part);
  EXPECT_EQ(first.y, slice(whole.y, 2, 5, 2, 0, 2));
  EXPECT_EQ(second.y, slice(whole.y, 2, 5, 2, 2, 3));
  EXPECT_EQ(second.final_states, whole.final_states);
}

TEST_P(RecurrentSemanticsTest, RaggedRowsEqualRowsRunAlone) {
  for (int variant = 0; variant < 3; ++variant) {
    RecurrentConfig c = config(2);
    c.bidirectional = variant == 1;
    c.go_backwards = variant == 2;
    const RecurrentProblem problem = random_recurrent_problem(c, kRagged, 2);
    const RecurrentResult together = run(problem);
    const size_t batch = 4, features = c.features(), slots = c.layers * c.directions();
    for (size_t row = 0; row < batch; ++row) {
      const size_t length = problem.input.length(row);
      RecurrentProblem alone = problem;
      alone.input.batch = 1;
      alone.input.steps = length;
      alone.input.lengths.clear();
      alone.input.x.assign(&problem.input.x[row * 15], &problem.input.x[row * 15] + length * 3);
      for (auto& [name, state] : alone.input.initial) {
        Vector own;
        for (size_t slot = 0; slot < slots; ++slot) {
          for (size_t j = 0; j < 2; ++j) own.push_back(state[(slot * batch + row) * 2 + j]);
        }
        state = own;
      }
      const RecurrentResult expected = run(alone);
      for (size_t i = 0; i < 5 * features; ++i) {
        EXPECT_EQ(together.y[row * 5 * features + i], i < length * features ? expected.y[i] : 0.0);
      }
      for (const auto& [name, state] : together.final_states) {
        for (size_t i = 0; i < slots * 2; ++i) {
          const double value = state[(i / 2 * batch + row) * 2 + i % 2];
          EXPECT_EQ(value, expected.final_states.at(name)[i]) << name;
          if (length == 0) {
            EXPECT_EQ(value, alone.input.initial.at(name)[i]) << name;
          }
        }
      }
    }
  }
}

TEST_P(RecurrentSemanticsTest, GoBackwardsReadsEachRowFromItsOwnEnd) {
  RecurrentConfig c = config(2);
  c.go_backwards = true;
  const RecurrentProblem problem = random_recurrent_problem(c, kRagged, 3);
  RecurrentProblem turned = problem;
  turned.config.go_backwards = false;
  turned.input.x = pad(reversed(unpad(problem.input.x, 3, problem.input)), 3, problem.input);
  EXPECT_EQ(run(problem).y, run(turned).y);
  EXPECT_EQ(run(problem).final_states, run(turned).final_states);
}

TEST_P(RecurrentSemanticsTest, BidirectionalIsAForwardAndABackwardLayerMerged) {
  RecurrentConfig c = config();
  c.bidirectional = true;
  RecurrentProblem problem = random_recurrent_problem(c, kRagged, 4);
  const size_t half = 4 * 2;  // B * H: the slots of the forward direction come first

  Sequences direction_y[2];
  for (int direction : {0, 1}) {
    RecurrentProblem one = problem;
    one.config.bidirectional = false;
    one.config.go_backwards = direction == 1;
    for (const char* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      one.params[param_name(kind, 0, 0)] = problem.params.at(param_name(kind, 0, direction));
    }
    for (auto& [name, state] : one.input.initial) {
      const Vector& both = problem.input.initial.at(name);
      state.assign(both.begin() + direction * half, both.begin() + (direction + 1) * half);
    }
    const RecurrentResult result = run(one);
    direction_y[direction] = unpad(result.y, 2, problem.input);
    if (direction == 1) direction_y[1] = reversed(direction_y[1]);
    for (const auto& [name, state] : run(problem).final_states) {
      EXPECT_EQ(result.final_states.at(name),
                Vector(state.begin() + direction * half, state.begin() + (direction + 1) * half));
    }
  }

  for (Merge merge : {Merge::kConcat, Merge::kSum, Merge::kMul, Merge::kAve}) {
    problem.config.merge = merge;
    const size_t features = problem.config.features();
    const Vector y = run(problem).y;
    problem.config.return_sequences = false;
    const Vector last = run(problem).y;
    problem.config.return_sequences = true;
    const auto join = [&](double f, double r) {
      return merge == Merge::kSum ? f + r : merge == Merge::kMul ? f * r : (f + r) / 2.0;
    };
    for (size_t row = 0; row < 4; ++row) {
      const size_t length = problem.input.length(row);
      for (size_t j = 0; j < features; ++j) {
        const auto at = [&](size_t forward_step, size_t reverse_step) {
          const double f = direction_y[0][row][forward_step][j % 2];
          const double r = direction_y[1][row][reverse_step][j % 2];
          return merge == Merge::kConcat ? (j < 2 ? f : r) : join(f, r);
        };
        for (size_t t = 0; t < length; ++t) {
          EXPECT_EQ(y[(row * 5 + t) * features + j], at(t, t));
        }
        EXPECT_EQ(last[row * features + j], length == 0 ? 0.0 : at(length - 1, 0));
      }
    }
  }
}

TEST_P(RecurrentSemanticsTest, LayersAreLayersOneAfterAnotherWithDropoutBetween) {
  RecurrentConfig c = config(2);
  c.bidirectional = true;
  RecurrentProblemOptions options = kRagged;
  options.initial = false;
  options.dropout = 0.5;
  const RecurrentProblem problem = random_recurrent_problem(c, options, 5);

  RecurrentProblem first = problem, second = problem;
  first.config.layers = second.config.layers = 1;
  first.input.dropout_masks.clear();
  second.input.dropout_masks.clear();
  second.config.inputs = 4;
  for (const char* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
    for (size_t direction : {0, 1}) {
      second.params[param_name(kind, 0, direction)] =
          problem.params.at(param_name(kind, 1, direction));
    }
  }
  second.input.x = run(first).y;
  for (size_t i = 0; i < second.input.x.size(); ++i) {
    second.input.x[i] *= problem.input.dropout_masks[0][i];
  }
  EXPECT_EQ(run(problem).y, run(second).y);
}

TEST_P(RecurrentSemanticsTest, WithoutSequencesTheLastProcessedStepRemains) {
  for (bool go_backwards : {false, true}) {
    RecurrentConfig c = config(2);
    c.go_backwards = go_backwards;
    RecurrentProblem problem = random_recurrent_problem(c, kRagged, 6);
    const Vector sequences = run(problem).y;
    problem.config.return_sequences = false;
    const Vector last = run(problem).y;
    ASSERT_EQ(last.size(), 8u);
    for (size_t i = 0; i < 8; ++i) {
      const size_t row = i / 2, length = problem.input.length(row);
      EXPECT_EQ(last[i], length == 0 ? 0.0 : sequences[(row * 5 + length - 1) * 2 + i % 2]);
    }
  }
}

TEST_P(RecurrentSemanticsTest, WithoutBiasIsWithZeroBiases) {
  RecurrentProblem problem = random_recurrent_problem(config(2), kRagged, 7);
  RecurrentProblem unbiased = problem;
  unbiased.config.use_bias = false;
  for (auto& [name, values] : problem.params) {
    if (name.starts_with("bias")) values.assign(values.size(), 0.0);
  }
  for (const ParamShape& shape : param_shapes(unbiased.config)) {
    EXPECT_TRUE(shape.name.starts_with("weight")) << shape.name;
  }
  expect_near(run(unbiased).y, run(problem).y);
  EXPECT_EQ(backward(unbiased).params.count("bias_ih_l0"), 0u);
}

INSTANTIATE_TEST_SUITE_P(, RecurrentSemanticsTest,
                         testing::Values("elman_tanh", "elman_relu", "lstm", "gru",
                                         "gru_reset_before"),
                         [](const auto& info) { return info.param; });

TEST(RecurrentConfigTest, ParametersHaveTheNamesShapesAndOrderOfPyTorch) {
  RecurrentConfig config;
  config.cell = "gru";
  config.inputs = 5;
  config.units = 4;
  config.layers = 2;
  config.bidirectional = true;
  const std::vector<ParamShape> shapes = param_shapes(config);
  ASSERT_EQ(shapes.size(), 16u);
  EXPECT_EQ(shapes[0].name, "weight_ih_l0");
  EXPECT_EQ(shapes[0].rows, 12u);
  EXPECT_EQ(shapes[0].cols, 5u);
  EXPECT_EQ(shapes[7].name, "bias_hh_l0_reverse");
  EXPECT_EQ(shapes[8].name, "weight_ih_l1");
  EXPECT_EQ(shapes[8].cols, 8u);
  config.merge = Merge::kSum;
  EXPECT_EQ(param_shapes(config)[8].cols, 4u);
}

TEST(RecurrentConfigTest, RefusesWhatDoesNotFit) {
  RecurrentConfig config;
  const RecurrentProblem problem = random_recurrent_problem(config, {}, 8);
  const auto refused = [&](const auto& spoil) {
    RecurrentProblem bad = problem;
    spoil(bad);
    EXPECT_THROW(forward(bad.config, bad.params, bad.input), std::invalid_argument);
  };
  refused([](auto& p) { p.config.cell = "lstn"; });
  refused([](auto& p) { p.config.bidirectional = p.config.go_backwards = true; });
  refused([](auto& p) { p.params.erase("bias_hh_l0"); });
  refused([](auto& p) { p.input.x.pop_back(); });
  refused([](auto& p) { p.input.lengths = {1, 2, 5}; });
  refused([](auto& p) { p.input.initial["c"] = {1.0}; });
  RecurrentProblem bad = problem;
  bad.upstream.final_states["h"].pop_back();
  EXPECT_THROW(backward(bad), std::invalid_argument);
}

}  // namespace
}  // namespace ostinato::reference
