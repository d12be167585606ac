// Cells that are stated as text, on every instruction set: against the reference of the cells that
// they state again, and against the reference's interpreter.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "reference/expression.h"
#include "test/defined_cells.h"
#include "test/gradient_check.h"
#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

constexpr double kCellTapeTolerance = 1e-4;

// ---- cells of the library, stated again ------------------------------------------------------

const std::vector<std::pair<std::string, const char*>> kRestated = {
    {"elman_tanh", kElmanText}, {"gru", kGruText}, {"lstm", kLstmText}};

struct Shape {
  std::string name;
  reference::RecurrentConfig config;
  reference::RecurrentProblemOptions options;
};

// Of every cell, then those of one: enough work for two threads and more.
std::vector<Shape> shapes(bool large) {
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 17;
  std::vector<Shape> all{{"dense", config, {9, 4, false, true, 0.0}},
                         {"one_row", config, {1, 3, false, true, 0.0}}};
  config.go_backwards = true;
  all.push_back({"backwards", config, {5, 4, true, true, 0.0}});
  config.go_backwards = false;
  config.bidirectional = true;
  config.layers = 2;
  config.return_sequences = false;
  all.push_back({"both_directions", config, {5, 4, true, true, 0.0}});
  if (!large) return all;
  config = {};
  config.inputs = 20;
  config.units = 96;
  config.use_bias = false;
  all.push_back({"split_rows", config, {29, 3, true, true, 0.0}});
  config.use_bias = true;
  config.units = 150;
  all.push_back({"split_panels", config, {3, 5, false, true, 0.0}});
  config.units = 48;  // weights in place
  all.push_back({"in_place", config, {5, 5, false, true, 0.0}});
  return all;
}

TEST(CellTape, StatesTheCellsOfTheLibraryAgain) {
  for (const auto& [cell, text] : kRestated) {
    for (const Shape& shape : shapes(cell == "gru")) {
      SCOPED_TRACE(cell + " " + shape.name);
      reference::RecurrentConfig config = shape.config;
      config.cell = cell == "elman_tanh" ? reference::kElman.name : cell;
      const reference::RecurrentProblem problem =
          reference::random_recurrent_problem(config, shape.options, 21);
      const reference::RecurrentResult want = forward(config, problem.params, problem.input);
      const reference::RecurrentGradients gradients = backward(problem);
      for (const Kernels* kernels : available_kernels()) {
        SCOPED_TRACE(kernels->name);
        const Options options{{"cell", std::string(text)}};
        CoreRun got(*kernels, problem, 2, options);
        got.run();
        expect_close(got, want, gradients);
        // Without gradients another tape runs, over other buffers.
        CoreRun inference(*kernels, problem, 2, options);
        inference.forward(false);
        EXPECT_EQ(inference.y, got.y);
        EXPECT_EQ(inference.final_states, got.final_states);
        for (const int threads : {1, 7}) {
          CoreRun other(*kernels, problem, threads, options);
          other.run();
          EXPECT_EQ(other.y, got.y);
          EXPECT_EQ(other.gradients, got.gradients);
          EXPECT_EQ(other.initial_gradients, got.initial_gradients);
        }
      }
    }
  }
}

TEST(CellTape, RecomputesSegments) {
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 17;
  for (const auto& [cell, text] : kRestated) {
    config.cell = cell == "elman_tanh" ? reference::kElman.name : cell;
    const reference::RecurrentProblem problem =
        reference::random_recurrent_problem(config, {7, 11, true, true, 0.0}, 22);
    for (const Kernels* kernels : available_kernels()) {
      SCOPED_TRACE(cell + " " + kernels->name);
      CoreRun plain(*kernels, problem, 1, {{"cell", std::string(text)}});
      CoreRun cut(*kernels, problem, 1, {{"cell", std::string(text)}, {"checkpointEvery", 3.0}});
      plain.run();
      cut.run();
      EXPECT_EQ(cut.y, plain.y);
      EXPECT_EQ(cut.dx, plain.dx);
      EXPECT_EQ(cut.initial_gradients, plain.initial_gradients);
    }
  }
}

// ---- other cells -----------------------------------------------------------------------------

reference::ExpressionProblem random_problem(const reference::ExpressionCell& cell, size_t inputs,
                                            size_t units, const std::vector<size_t>& lengths,
                                            uint64_t seed) {
  reference::RandomSource random(seed);
  reference::ExpressionProblem problem;
  const size_t gates = cell.gates.size();
  problem.weights = reference::CellWeights(gates, inputs, units);
  const double bound = 1.0 / std::sqrt(static_cast<double>(units));
  problem.weights.ih = random.matrix(gates * units, inputs, -bound, bound);
  problem.weights.hh = random.matrix(gates * units, units, -bound, bound);
  problem.weights.bias_ih = random.vector(gates * units);
  problem.weights.bias_hh = random.vector(gates * units);
  for (const std::string& name : cell.vectors) {
    problem.vectors[name] = random.vector(units, 0.5, 1.5);
  }
  for (const size_t length : lengths) {
    problem.x.emplace_back();
    problem.dy.emplace_back();
    for (size_t t = 0; t < length; ++t) {
      problem.x.back().push_back(random.vector(inputs));
      problem.dy.back().push_back(random.vector(units));
    }
    problem.initial.emplace_back();
    problem.d_final.emplace_back();
    for (size_t s = 0; s < cell.states.size(); ++s) {
      problem.initial.back().push_back(random.vector(units));
      problem.d_final.back().push_back(random.vector(units));
    }
  }
  return problem;
}

TEST(CellTape, ReferenceAgreesWithFiniteDifferences) {
  for (const char* text : {kEverythingText, kScaledText, kShuffleText}) {
    SCOPED_TRACE(text);
    const reference::ExpressionCell cell(text);
    reference::ExpressionProblem problem = random_problem(cell, 2, 3, {3, 0, 2}, 5);
    const reference::ExpressionGradients gradients = backward(cell, problem);
    const auto loss = [&] { return forward(cell, problem).loss; };
    std::vector<reference::Differentiated> all{
        {"weight_ih", &problem.weights.ih.values(), &gradients.weights.ih.values()},
        {"weight_hh", &problem.weights.hh.values(), &gradients.weights.hh.values()},
        {"bias_ih", &problem.weights.bias_ih, &gradients.weights.bias_ih},
        {"bias_hh", &problem.weights.bias_hh, &gradients.weights.bias_hh}};
    for (auto& [name, vector] : problem.vectors) {
      all.push_back({name, &vector, &gradients.vectors.at(name)});
    }
    for (size_t row = 0; row < problem.x.size(); ++row) {
      for (size_t t = 0; t < problem.x[row].size(); ++t) {
        all.push_back({"x", &problem.x[row][t], &gradients.x[row][t]});
      }
      for (size_t s = 0; s < cell.states.size(); ++s) {
        all.push_back({"initial", &problem.initial[row][s], &gradients.initial[row][s]});
      }
    }
    for (const reference::Differentiated& one : all) {
      reference::expect_gradient(one.name, loss, *one.variable, *one.gradient);
    }
  }
}

void expect_core_agrees(const Kernels& kernels, const char* text, size_t units, int threads) {
  const reference::ExpressionCell cell(text);
  const std::vector<size_t> lengths{4, 3, 0, 4, 1, 2, 4};  // 7 rows
  constexpr size_t kInputs = 3, kSteps = 4;
  const reference::ExpressionProblem problem = random_problem(cell, kInputs, units, lengths, 6);
  const reference::ExpressionResult want = forward(cell, problem);
  const reference::ExpressionGradients gradients = backward(cell, problem);

  const auto network = make_network(kernels, {kInputs, true, false},
                                    {layer("custom",
                                           {{"units", static_cast<double>(units)},
                                            {"cell", std::string(text)},
                                            {"returnSequences", true}},
                                           "rnn")});
  set_param(*network, "rnn.weight_ih_l0", problem.weights.ih.values());
  set_param(*network, "rnn.weight_hh_l0", problem.weights.hh.values());
  set_param(*network, "rnn.bias_ih_l0", problem.weights.bias_ih);
  set_param(*network, "rnn.bias_hh_l0", problem.weights.bias_hh);
  for (const auto& [name, vector] : problem.vectors) {
    set_param(*network, "rnn." + name + "_l0", vector);
  }
  Executor executor(network);
  const std::vector<int32_t> sizes(lengths.begin(), lengths.end());
  Geometry geometry;
  geometry.assign(static_cast<int64_t>(lengths.size()), kSteps, sizes.data());

  // Rows of [row][step] values in the core's order, and back to one vector in the problem's.
  const auto each_row = [&](const auto& body) {
    for (int64_t b = 0; b < geometry.batch(); ++b) {
      for (int64_t t = 0; t < geometry.length(b); ++t) {
        body(geometry.row(b, t), static_cast<size_t>(geometry.batch_row(b)),
             static_cast<size_t>(t));
      }
    }
  };
  const auto packed = [&](const std::vector<std::vector<reference::Vector>>& values, size_t cols) {
    Rows rows(geometry.rows(), static_cast<int64_t>(cols));
    each_row([&](int64_t to, size_t row, size_t t) {
      std::copy(values[row][t].begin(), values[row][t].end(), rows.view.row(to));
    });
    return rows;
  };
  const auto expect_rows = [&](const char* what, const Matrix& got,
                               const std::vector<std::vector<reference::Vector>>& values) {
    reference::Vector all_got, all_want;
    each_row([&](int64_t from, size_t row, size_t t) {
      all_got.insert(all_got.end(), got.row(from), got.row(from) + got.cols);
      all_want.insert(all_want.end(), values[row][t].begin(), values[row][t].end());
    });
    EXPECT_LE(relative_error(all_got, all_want), kCellTapeTolerance) << what;
  };
  const auto flat = [&](const std::vector<reference::States>& states, size_t s) {
    reference::Vector values;
    for (const reference::States& row : states) {
      values.insert(values.end(), row[s].begin(), row[s].end());
    }
    return values;
  };

  std::vector<std::vector<float>> sources;
  sources.reserve(2 * cell.states.size());
  for (size_t s = 0; s < cell.states.size(); ++s) {
    EXPECT_EQ(executor.states()[s].info.name, cell.states[s]);
    const reference::Vector initial = flat(problem.initial, s);
    sources.emplace_back(initial.begin(), initial.end());
    executor.set_initial_state(s, sources.back().data());
  }
  RunOptions options;
  options.threads = threads;
  options.gradients = true;
  options.input_gradient = true;
  const Rows x = packed(problem.x, kInputs), dy = packed(problem.dy, units);
  expect_rows("output", executor.forward(geometry, floats(x), options).floats, want.y);
  std::vector<float> state(lengths.size() * units);
  for (size_t s = 0; s < cell.states.size(); ++s) {
    executor.get_final_state(s, state.data());
    EXPECT_LE(
        relative_error(reference::Vector(state.begin(), state.end()), flat(want.final_states, s)),
        kCellTapeTolerance)
        << "final " << cell.states[s];
    const reference::Vector upstream = flat(problem.d_final, s);
    sources.emplace_back(upstream.begin(), upstream.end());
    executor.set_final_state_gradient(s, sources.back().data());
  }
  expect_rows("gradient of the input", executor.backward(dy.view), gradients.x);
  for (size_t s = 0; s < cell.states.size(); ++s) {
    executor.get_initial_state_gradient(s, state.data());
    EXPECT_LE(
        relative_error(reference::Vector(state.begin(), state.end()), flat(gradients.initial, s)),
        kCellTapeTolerance)
        << "gradient of initial " << cell.states[s];
  }
  const auto expect_param = [&](const std::string& name, const reference::Vector& values) {
    EXPECT_LE(relative_error(gradient_of(*network, "rnn." + name + "_l0"), values),
              kCellTapeTolerance)
        << "gradient of " << name;
  };
  expect_param("weight_ih", gradients.weights.ih.values());
  expect_param("weight_hh", gradients.weights.hh.values());
  expect_param("bias_ih", gradients.weights.bias_ih);
  expect_param("bias_hh", gradients.weights.bias_hh);
  for (const auto& [name, vector] : gradients.vectors) expect_param(name, vector);
}

class DefinedCell : public EveryIsa {};
OSTINATO_EVERY_ISA(DefinedCell);

TEST_P(DefinedCell, AgreesWithTheReference) {
  for (const size_t units : {5, 33}) {
    SCOPED_TRACE(units);
    expect_core_agrees(kernels(), kEverythingText, units, 2);
    expect_core_agrees(kernels(), kShuffleText, units, 1);
  }
}

TEST_P(DefinedCell, LetsNoNanOutOfThePadding) { expect_core_agrees(kernels(), kScaledText, 5, 1); }

}  // namespace
}  // namespace ostinato::test
