// The layers without recurrence, forward and backward, against the reference in double.
#include <gtest/gtest.h>

#include <set>

#include "core/executor.h"
#include "reference/dense.h"
#include "reference/embedding.h"
#include "reference/layer_norm.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

constexpr double kLayersTolerance = 1e-5;
// For the gradient of a single bias, one sum of both signs over all rows: its error is measured by
// what is left of it. NEON is off by 2.8e-5 at tanh, one unit, 300 rows; all else keeps to 1e-5.
constexpr double kCancellingTolerance = 1e-4;

class Layers : public EveryIsa {};
OSTINATO_EVERY_ISA(Layers);

RunOptions with_gradients(int threads = 1, bool input_gradient = true) {
  RunOptions options;
  options.threads = threads;
  options.gradients = true;
  options.input_gradient = input_gradient;
  return options;
}

Geometry dense_geometry(int64_t rows) {
  Geometry geometry;
  geometry.assign(rows, 1, nullptr);
  return geometry;
}

const std::vector<std::pair<std::string, reference::Activation>> kActivations = {
    {"linear", reference::Activation::kLinear},   {"tanh", reference::Activation::kTanh},
    {"relu", reference::Activation::kRelu},       {"sigmoid", reference::Activation::kSigmoid},
    {"softmax", reference::Activation::kSoftmax}, {"gelu", reference::Activation::kGelu},
    {"silu", reference::Activation::kSilu}};

TEST_P(Layers, DenseFollowsTheReference) {
  reference::RandomSource random(1);
  const auto v = static_cast<size_t>(kernels().width);
  for (const auto& [name, activation] : kActivations) {
    for (const size_t units : {size_t{1}, v - (v > 1), v + 1, size_t{37}}) {
      for (const size_t rows : {size_t{1}, size_t{9}, size_t{300}}) {
        const size_t inputs = 1 + random.index(40);
        const bool bias = random.chance(0.7);
        const reference::DenseParams params{random.matrix(units, inputs),
                                            bias ? random.vector(units) : reference::Vector{}};
        const reference::Matrix x = random.matrix(rows, inputs), dy = random.matrix(rows, units);
        const auto network = make_network(
            kernels(), {static_cast<int64_t>(inputs), false, false},
            {layer("dense",
                   {{"units", static_cast<double>(units)}, {"activation", name}, {"useBias", bias}},
                   "d")});
        set_param(*network, "d.weight", params.weight.values());
        if (bias) set_param(*network, "d.bias", params.bias);
        Executor executor(network);
        const Rows x_rows(x), dy_rows(dy);
        const Value y = executor.forward(dense_geometry(static_cast<int64_t>(rows)), floats(x_rows),
                                         with_gradients());
        OSTINATO_EXPECT_CLOSE(vector_of(y.floats),
                              reference::dense_forward(params, activation, x).values(),
                              kLayersTolerance);
        const Matrix dx = executor.backward(dy_rows.view);
        const auto want = reference::dense_backward(params, activation, x, dy);
        // Softmax of one unit is constant: its gradients are rounding errors around zero.
        if (name == "softmax" && units == 1) continue;
        OSTINATO_EXPECT_CLOSE(vector_of(dx), want.x.values(), kLayersTolerance) << name << units;
        OSTINATO_EXPECT_CLOSE(gradient_of(*network, "d.weight"), want.weight.values(),
                              kLayersTolerance);
        if (!bias) continue;
        OSTINATO_EXPECT_CLOSE(gradient_of(*network, "d.bias"), want.bias,
                              units == 1 ? kCancellingTolerance : kLayersTolerance);
      }
    }
  }
}

TEST_P(Layers, ActivationFollowsTheReference) {
  reference::RandomSource random(2);
  const reference::Matrix x = random.matrix(7, 21, -3, 3), dy = random.matrix(7, 21);
  for (const auto& [name, activation] : kActivations) {
    const auto network =
        make_network(kernels(), {21, false, false}, {layer("activation", {{"activation", name}})});
    Executor executor(network);
    const Rows x_rows(x), dy_rows(dy);
    const Value y = executor.forward(dense_geometry(7), floats(x_rows), with_gradients());
    const reference::Vector output = vector_of(y.floats);
    const Matrix dx = executor.backward(dy_rows.view);
    reference::Vector want_y, want_dx;
    for (size_t r = 0; r < 7; ++r) {
      for (double value : reference::activate(activation, x.row(r))) want_y.push_back(value);
      for (double value : reference::activate_backward(activation, x.row(r), dy.row(r))) {
        want_dx.push_back(value);
      }
    }
    OSTINATO_EXPECT_CLOSE(output, want_y, kLayersTolerance) << name;
    OSTINATO_EXPECT_CLOSE(vector_of(dx), want_dx, kLayersTolerance) << name;
  }
}

TEST_P(Layers, LayerNormFollowsTheReference) {
  reference::RandomSource random(3);
  for (const size_t cols : {size_t{2}, size_t{15}, size_t{16}, size_t{33}, size_t{300}}) {
    const size_t rows = 1 + random.index(80);
    const reference::LayerNormParams params{random.vector(cols, 0.5, 1.5), random.vector(cols),
                                            1e-3};
    const reference::Matrix x = random.matrix(rows, cols, -2, 4), dy = random.matrix(rows, cols);
    const auto network = make_network(kernels(), {static_cast<int64_t>(cols), false, false},
                                      {layer("layerNorm", {{"epsilon", 1e-3}}, "n")});
    set_param(*network, "n.weight", params.gamma);
    set_param(*network, "n.bias", params.beta);
    Executor executor(network);
    const Rows x_rows(x), dy_rows(dy);
    const Value y = executor.forward(dense_geometry(static_cast<int64_t>(rows)), floats(x_rows),
                                     with_gradients());
    OSTINATO_EXPECT_CLOSE(vector_of(y.floats), reference::layer_norm_forward(params, x).values(),
                          kLayersTolerance);
    const Matrix dx = executor.backward(dy_rows.view);
    const auto want = reference::layer_norm_backward(params, x, dy);
    OSTINATO_EXPECT_CLOSE(vector_of(dx), want.x.values(), kLayersTolerance) << cols;
    OSTINATO_EXPECT_CLOSE(gradient_of(*network, "n.weight"), want.gamma, kLayersTolerance);
    OSTINATO_EXPECT_CLOSE(gradient_of(*network, "n.bias"), want.beta, kLayersTolerance);
  }
}

TEST_P(Layers, EmbeddingFollowsTheReferenceBatchAfterBatch) {
  reference::RandomSource random(4);
  const reference::Matrix table = random.matrix(11, 19);
  const auto network = make_network(
      kernels(), {1, true, true}, {layer("embedding", {{"inputDim", 11.0}, {"units", 19.0}}, "e")});
  set_param(*network, "e.weight", table.values());
  Executor first(network), second(network);
  // Rows that one batch touched and the next did not must be zero again, whoever ran it.
  for (int batch = 0; batch < 6; ++batch) {
    const std::vector<int32_t> ids = random.labels(1 + random.index(9), batch < 3 ? 11 : 4);
    const reference::Matrix dy = random.matrix(ids.size(), 19);
    Executor& executor = batch % 2 ? second : first;
    const Value y = executor.forward(dense_geometry(static_cast<int64_t>(ids.size())), tokens(ids),
                                     with_gradients());
    OSTINATO_EXPECT_CLOSE(vector_of(y.floats), reference::embedding_forward(table, ids).values(),
                          0);
    EXPECT_FALSE(executor.backward(Rows(dy).view));
    OSTINATO_EXPECT_CLOSE(gradient_of(*network, "e.weight"),
                          reference::embedding_backward(table, ids, dy).table.values(),
                          kLayersTolerance);
  }
}

TEST_P(Layers, EmbeddingRefusesTokensThatItLacks) {
  const auto network = make_network(kernels(), {1, true, true},
                                    {layer("embedding", {{"inputDim", 3.0}, {"units", 2.0}})});
  Executor executor(network);
  for (const int32_t wrong : {3, -1}) {
    const std::vector<int32_t> ids{0, wrong};
    const std::string message = message_of("ERR_INVALID_ARGUMENT", [&] {
      executor.forward(dense_geometry(2), tokens(ids), RunOptions{});
    });
    EXPECT_EQ(message, "Expected a token id in [0, 3) but received " + std::to_string(wrong));
  }
}

TEST_P(Layers, LastStepPicksEachRowsLast) {
  Geometry geometry;
  const std::vector<int32_t> lengths{2, 0, 3};
  geometry.assign(3, 0, lengths.data());
  const auto network = make_network(kernels(), {2, true, false}, {layer("lastStep", {})});
  Executor executor(network);
  // Sorted: batch rows 2 (3 steps), 0 (2), 1 (0). Packed: steps 0 and 1 of both, step 2 of one.
  const reference::Matrix x(5, 2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const Value y = executor.forward(geometry, floats(Rows(x)), with_gradients());
  EXPECT_EQ(vector_of(y.floats), (reference::Vector{9, 10, 7, 8, 0, 0}));
  const reference::Matrix dy(3, 2, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(vector_of(executor.backward(Rows(dy).view)),
            (reference::Vector{0, 0, 0, 0, 0, 0, 3, 4, 1, 2}));
}

std::shared_ptr<Network> dropout_network(const Kernels& kernels, double rate, bool timed = true) {
  return make_network(kernels, {20, timed, false}, {layer("dropout", {{"rate", rate}})}, 9);
}

TEST_P(Layers, DropoutKeepsTheShareAndTheScaleThatItSays) {
  Executor executor(dropout_network(kernels(), 0.25));
  Geometry geometry;
  geometry.assign(100, 50, nullptr);
  const Rows x(reference::Matrix(5000, 20, reference::Vector(100000, 3.0)));
  RunOptions options = with_gradients();
  options.training = true;
  options.step = 4;
  const reference::Vector y = vector_of(executor.forward(geometry, floats(x), options).floats);
  EXPECT_EQ(std::set<double>(y.begin(), y.end()), (std::set<double>{0.0, 4.0}));
  const auto dropped = static_cast<double>(std::count(y.begin(), y.end(), 0.0));
  EXPECT_NEAR(dropped / 100000.0, 0.25, 0.006);
  EXPECT_EQ(vector_of(executor.backward(x.view)), y) << "the backward pass draws the same mask";
  EXPECT_EQ(vector_of(executor.forward(geometry, floats(x), options).floats), y);
  options.threads = 7;
  EXPECT_EQ(vector_of(executor.forward(geometry, floats(x), options).floats), y);
  options.step = 5;
  EXPECT_NE(vector_of(executor.forward(geometry, floats(x), options).floats), y);
  options.training = false;
  EXPECT_EQ(vector_of(executor.forward(geometry, floats(x), options).floats), vector_of(x.view));
  EXPECT_EQ(vector_of(executor.backward(x.view)), vector_of(x.view));
}

// A row's mask is that of its batch row and step, whatever the other rows' lengths make of the
// order.
TEST_P(Layers, DropoutMasksDoNotDependOnSorting) {
  constexpr int64_t kBatch = 6, kSteps = 5;
  const auto masks = [&](const std::vector<int32_t>& lengths, int threads) {
    Executor executor(dropout_network(kernels(), 0.5));
    Geometry geometry;
    geometry.assign(kBatch, 0, lengths.data());
    const Rows x(
        reference::Matrix(geometry.rows(), 20, reference::Vector(geometry.rows() * 20, 1.0)));
    RunOptions options;
    options.training = true;
    options.threads = threads;
    const Matrix y = executor.forward(geometry, floats(x), options).floats;
    std::map<std::pair<int64_t, int64_t>, reference::Vector> result;
    for (int64_t sorted = 0; sorted < kBatch; ++sorted) {
      for (int64_t t = 0; t < geometry.length(sorted); ++t) {
        result[{geometry.batch_row(sorted), t}] = vector_of(y.row(geometry.row(sorted, t)), 20);
      }
    }
    return result;
  };
  const auto dense = masks(std::vector<int32_t>(kBatch, kSteps), 1);
  for (const auto& [place, mask] : masks({1, 5, 0, 3, 4, 3}, 2)) EXPECT_EQ(dense.at(place), mask);
}

TEST_P(Layers, RowsWithoutStepsAreNoTrouble) {
  const auto network = make_network(
      kernels(), {3, true, false},
      {layer("dense", {{"units", 4.0}}), layer("layerNorm", {}), layer("dropout", {{"rate", 0.5}}),
       layer("lastStep", {}), layer("dense", {{"units", 2.0}, {"activation", "gelu"}}, "out")});
  Executor executor(network);
  Geometry geometry;
  const std::vector<int32_t> lengths{0, 0};
  geometry.assign(2, 0, lengths.data());
  RunOptions options = with_gradients();
  options.training = true;
  const Rows none(0, 3), dy(reference::Matrix(2, 2, {1, 1, 1, 1}));
  const Value y = executor.forward(geometry, floats(none), options);
  EXPECT_EQ(vector_of(y.floats), reference::Vector(4, 0.0));  // the bias is zero, gelu(0) = 0
  EXPECT_EQ(executor.backward(dy.view).rows, 0);
  OSTINATO_EXPECT_CLOSE(gradient_of(*network, "dense.weight"), reference::Vector(12, 0.0), 0);
  OSTINATO_EXPECT_CLOSE(gradient_of(*network, "out.bias"), (reference::Vector{1, 1}), 1e-6);
}

}  // namespace
}  // namespace ostinato::test
