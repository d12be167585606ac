// Gradients that recurrent layers write instead of adding to what a pass has cleared: they hold
// nothing of the pass before, and all calls of a layer in one pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/executor.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

using reference::Vector;

constexpr int64_t kInputs = 20, kUnits = 70;

struct Gradients {
  Vector input, recurrent;
};

Gradients gradients_of(const Network& network, const std::string& type) {
  return {gradient_of(network, type + ".weight_ih_l0"),
          gradient_of(network, type + ".weight_hh_l0")};
}

double largest(const Vector& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

class WeightGradients : public testing::TestWithParam<const char*> {
 protected:
  LayerConfig rnn() const {
    return layer(GetParam(), {{"units", double{kUnits}}, {"returnSequences", true}});
  }
};

TEST_P(WeightGradients, HoldNothingOfThePassBefore) {
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    const auto network = make_network(*kernels, {kInputs, true, false}, {rnn()});
    Executor executor(network);
    const auto run = [&](int64_t steps, std::vector<int32_t> lengths) {
      Geometry geometry;
      geometry.assign(2, steps, lengths.data());
      reference::RandomSource random(1);
      const Rows x(random.matrix(geometry.rows(), kInputs));
      const Rows dy(random.matrix(geometry.rows(), kUnits));
      RunOptions options;
      options.gradients = true;
      executor.forward(geometry, floats(x), options);
      executor.backward(dy.view);
      return gradients_of(*network, GetParam());
    };
    const bool has_matrix = std::string(GetParam()) != "indrnn_tanh";
    const Gradients first = run(3, {3, 2});
    EXPECT_GT(largest(first.input), 0);
    EXPECT_GT(largest(first.recurrent), 0);
    // One step from a state of zeros: no gradient of recurrent weights.
    const Gradients one = run(1, {1, 1});
    EXPECT_GT(largest(one.input), 0);
    if (has_matrix) {
      EXPECT_EQ(largest(one.recurrent), 0);
    }
    // No step at all.
    const Gradients none = run(3, {0, 0});
    EXPECT_EQ(largest(none.input), 0);
    EXPECT_EQ(largest(none.recurrent), 0);
    const Gradients again = run(3, {3, 2});
    EXPECT_EQ(again.input, first.input);
    EXPECT_EQ(again.recurrent, first.recurrent);
  }
}

TEST_P(WeightGradients, OfASharedLayerAreThoseOfAllItsCalls) {
  NetworkConfig config;
  config.inputs = {{kInputs, true, false}, {kInputs, true, false}};
  config.layers = {rnn()};
  config.nodes = {{0, {0}}, {0, {1}}};
  config.outputs = {2, 3};
  constexpr int64_t kBatch = 2, kSteps = 4;
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    const auto network = std::make_shared<Network>(config, *kernels);
    Executor executor(network);
    Geometry geometry;
    geometry.assign(kBatch, kSteps, nullptr);
    reference::RandomSource random(2);
    const Rows a(random.matrix(kBatch * kSteps, kInputs));
    const Rows b(random.matrix(kBatch * kSteps, kInputs));
    const reference::Matrix upstream = random.matrix(kBatch * kSteps, kUnits);
    const reference::Matrix nothing(kBatch * kSteps, kUnits);
    const auto run = [&](const reference::Matrix& first, const reference::Matrix& second) {
      RunOptions options;
      options.gradients = true;
      const std::array inputs{floats(a), floats(b)};
      executor.forward(geometry, inputs, options);
      const Rows da(first), db(second);
      const std::array dy{da.view, db.view};
      executor.backward(dy);
      return gradients_of(*network, GetParam());
    };
    const Gradients of_a = run(upstream, nothing), of_b = run(nothing, upstream),
                    both = run(upstream, upstream);
    const auto sum = [](Vector x, const Vector& y) {
      for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
      return x;
    };
    OSTINATO_EXPECT_CLOSE(both.input, sum(of_a.input, of_b.input), 1e-5);
    OSTINATO_EXPECT_CLOSE(both.recurrent, sum(of_a.recurrent, of_b.recurrent), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, WeightGradients,
                         testing::Values("elman_tanh", "lstm", "gru", "gru_reset_before",
                                         "indrnn_tanh"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace ostinato::test
