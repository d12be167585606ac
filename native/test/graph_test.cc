// Graphs: layers of several inputs, values that several nodes read, shared layers, several outputs.
#include <gtest/gtest.h>

#include "core/executor.h"
#include "core/predictor.h"
#include "reference/dense.h"
#include "reference/merges.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/training_problem.h"

namespace ostinato::test {
namespace {

using reference::dot;
using reference::Vector;

constexpr double kGraphTolerance = 1e-5;
constexpr int64_t kFeatures = 19, kUnits = 17;
const char* const kMerges[] = {"add", "multiply", "concat"};

TEST(MergesReference, GradientsMatchDifferences) {
  reference::RandomSource random(1);
  for (const std::string kind : kMerges) {
    std::vector<reference::Matrix> x{random.matrix(2, 3), random.matrix(2, 3), random.matrix(2, 3)};
    const reference::Matrix dy = random.matrix(2, kind == "concat" ? 9 : 3);
    const auto f = [&] { return dot(dy.values(), merge_forward(kind, x).values()); };
    const auto dx = merge_backward(kind, x, dy);
    for (size_t i = 0; i < 3; ++i) {
      reference::expect_gradient(kind, f, x[i].values(), dx[i].values());
    }
  }
}

// Inputs a (value 0) and b (1); dense is called on both (2, 3); m = multiply (4) and
// s = add of three (5) read what others read, too; c = concat (6) reads an input beside them.
// Outputs: c, and m, which c's node reads as well.
NetworkConfig diamond() {
  NetworkConfig config;
  config.seed = 3;
  config.inputs = {{kFeatures, true, false}, {kFeatures, true, false}};
  config.layers = {layer("dense", {{"units", double{kUnits}}, {"activation", "tanh"}}),
                   layer("multiply", {}), layer("add", {}), layer("concat", {})};
  config.nodes = {{0, {0}}, {0, {1}}, {1, {2, 3}}, {2, {4, 2, 2}}, {3, {5, 4, 0}}};
  config.outputs = {6, 4};
  return config;
}

struct Results {
  std::vector<Vector> outputs, inputs;
  Vector weight, bias;
};

Results run(const std::shared_ptr<Network>& network, const reference::Matrix& a,
            const reference::Matrix& b, const reference::Matrix& dc, const reference::Matrix& dm,
            int threads) {
  Executor executor(network);
  Geometry geometry;
  const int32_t lengths[] = {3, 0, 5};
  geometry.assign(3, 0, lengths);
  const Rows a_rows(a), b_rows(b), dc_rows(dc), dm_rows(dm);
  const Value inputs[] = {floats(a_rows), floats(b_rows)};
  RunOptions options;
  options.threads = threads;
  options.gradients = true;
  options.input_gradient = true;
  executor.forward(geometry, inputs, options);
  Results results;
  for (size_t i = 0; i < 2; ++i) results.outputs.push_back(vector_of(executor.output(i).floats));
  const Matrix dy[] = {dc_rows.view, dm_rows.view};
  executor.backward(dy);
  for (size_t i = 0; i < 2; ++i) results.inputs.push_back(vector_of(executor.input_gradient(i)));
  results.weight = gradient_of(*network, "dense.weight");
  results.bias = gradient_of(*network, "dense.bias");
  return results;
}

class Graphs : public EveryIsa {};
OSTINATO_EVERY_ISA(Graphs);

TEST_P(Graphs, FanOutAndMergesFollowTheReference) {
  reference::RandomSource random(2);
  const reference::Matrix a = random.matrix(8, kFeatures), b = random.matrix(8, kFeatures);
  const reference::Matrix dc = random.matrix(8, 2 * kUnits + kFeatures);
  const reference::Matrix dm = random.matrix(8, kUnits);
  const reference::DenseParams params{random.matrix(kUnits, kFeatures), random.vector(kUnits)};
  const auto network = std::make_shared<Network>(diamond(), kernels());
  set_param(*network, "dense.weight", params.weight.values());
  set_param(*network, "dense.bias", params.bias);
  const Results got = run(network, a, b, dc, dm, 1);

  const auto tanh = reference::Activation::kTanh;
  const auto add = [](const reference::Matrix& x, const reference::Matrix& y) {
    return reference::merge_forward("add", {x, y});
  };
  const reference::Matrix h = dense_forward(params, tanh, a), g = dense_forward(params, tanh, b);
  const reference::Matrix m = reference::merge_forward("multiply", {h, g});
  const reference::Matrix s = reference::merge_forward("add", {m, h, h});
  const reference::Matrix c = reference::merge_forward("concat", {s, m, a});
  const auto from_c = reference::merge_backward("concat", {s, m, a}, dc);
  const reference::Matrix total_m = add(add(dm, from_c[1]), from_c[0]);
  const auto from_m = reference::merge_backward("multiply", {h, g}, total_m);
  const reference::Matrix total_h = add(from_m[0], add(from_c[0], from_c[0]));
  const auto of_a = dense_backward(params, tanh, a, total_h);
  const auto of_b = dense_backward(params, tanh, b, from_m[1]);
  OSTINATO_EXPECT_CLOSE(got.outputs[0], c.values(), kGraphTolerance);
  OSTINATO_EXPECT_CLOSE(got.outputs[1], m.values(), kGraphTolerance);
  OSTINATO_EXPECT_CLOSE(got.inputs[0], add(of_a.x, from_c[2]).values(), kGraphTolerance);
  OSTINATO_EXPECT_CLOSE(got.inputs[1], of_b.x.values(), kGraphTolerance);
  OSTINATO_EXPECT_CLOSE(got.weight, add(of_a.weight, of_b.weight).values(), kGraphTolerance);
  for (const int threads : {2, 7}) {
    const Results again = run(network, a, b, dc, dm, threads);
    EXPECT_EQ(again.outputs, got.outputs);
    EXPECT_EQ(again.inputs, got.inputs);
    EXPECT_EQ(again.weight, got.weight);
    EXPECT_EQ(again.bias, got.bias);
  }
}

// A language model that reads two texts with one embedding, and has a loss for each.
NetworkConfig two_readers() {
  NetworkConfig config;
  config.inputs = {{1, true, true}, {1, true, true}};
  config.layers = {layer("embedding", {{"inputDim", double{kVocabulary}}, {"units", 6.0}}),
                   layer("lstm", {{"units", 8.0}, {"returnSequences", true}}), layer("add", {}),
                   layer("dense", {{"units", double{kVocabulary}}}, "one"),
                   layer("dense", {{"units", double{kVocabulary}}}, "two")};
  config.nodes = {{0, {0}}, {0, {1}}, {1, {2}}, {1, {3}}, {2, {4, 5}}, {3, {6}}, {4, {4}}};
  config.outputs = {7, 8};
  return config;
}

Dataset two_texts() {
  Dataset data = language_data(6, 9);
  data.more_inputs = {language_data(6, 9, 4)};
  data.more_targets = {data};
  data.validate({{{1, true, true}, {1, true, true}},
                 {{kVocabulary, true, false}, {kVocabulary, true, false}}},
                {kVocabulary, kVocabulary});
  return data;
}

TEST(GraphTraining, AddsUpWeightedLossesAndLearnsFromBoth) {
  const Dataset data = two_texts();
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = std::make_shared<Network>(two_readers(), *available_kernels().front());
  LossConfig half = language_loss();
  half.weight = 0.5;
  Trainer trainer(network, std::vector<LossConfig>{language_loss(), half}, {});
  StepResult first, last;
  for (int step = 0; step < 60; ++step) {
    last = trainer.step(data, samples.data(), 6, 0.03, false, false, 1, nullptr);
    if (step == 0) first = last;
  }
  const std::vector<LossValue>& losses = trainer.output_losses();
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_NEAR(last.loss.mean(), losses[0].mean() + 0.5 * losses[1].mean(), 1e-12);
  EXPECT_EQ(last.loss.count, 2 * 6 * 9);
  EXPECT_LT(last.loss.mean(), 0.4 * first.loss.mean());
}

// The embedding is called twice in a pass, so the rows that both calls touched must be cleared
// once, before the first of them.
TEST(GraphTraining, GradientsDoNotDependOnThePassBefore) {
  const Dataset data = two_texts();
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = std::make_shared<Network>(two_readers(), *available_kernels().front());
  Predictor predictor(network);
  Losses losses({language_loss(), language_loss()}, *network);
  const auto gradient = [&](int64_t count) {
    predictor.gradients(data, samples.data(), count, 9, &losses, {}, {}, 1, nullptr);
    return gradient_of(*network, "embedding.weight");
  };
  const Vector once = gradient(1);
  EXPECT_NE(gradient(6), once);
  EXPECT_EQ(gradient(1), once);
  EXPECT_GT(dot(once, once), 0);
}

TEST(Graph, RefusesGraphsThatCannotRun) {
  const auto refused = [](const std::string& code, const auto& change) {
    NetworkConfig config = diamond();
    change(config);
    return message_of(code, [&] { Network network(config, *available_kernels().front()); });
  };
  const std::string wrong = "ERR_INVALID_ARGUMENT", shape = "ERR_SHAPE_MISMATCH";
  refused(wrong, [](NetworkConfig& c) { c.nodes[0].inputs = {2}; });  // itself
  refused(wrong, [](NetworkConfig& c) { c.nodes[0].inputs = {6}; });  // a cycle
  refused(wrong, [](NetworkConfig& c) { c.nodes[0].inputs = {}; });
  refused(wrong, [](NetworkConfig& c) { c.nodes[0].layer = 9; });
  refused(wrong, [](NetworkConfig& c) { c.outputs = {4}; });  // c is read by nobody
  refused(wrong, [](NetworkConfig& c) { c.outputs = {6, 6}; });
  refused(wrong, [](NetworkConfig& c) { c.outputs = {0, 6}; });       // an input
  refused(wrong, [](NetworkConfig& c) { c.nodes[1].inputs = {0}; });  // b is read by nobody
  refused(wrong, [](NetworkConfig& c) { c.nodes[2].inputs = {2}; });  // a product of one
  refused(wrong, [](NetworkConfig& c) { c.nodes[0].inputs = {0, 1}; });
  refused(shape, [](NetworkConfig& c) { c.nodes[3].inputs = {4, 2, 0}; });
  EXPECT_NE(refused(shape, [](NetworkConfig& c) { c.inputs[1].features = 3; }).find("\"dense\""),
            std::string::npos);
  refused(shape, [](NetworkConfig& c) { c.inputs[1].timed = false; });
}

}  // namespace
}  // namespace ostinato::test
