#include "core/network.h"

#include <gtest/gtest.h>

#include "core/executor.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

const Kernels& kernels() { return *available_kernels().front(); }

std::string refused(const std::string& code, const ValueShape& input,
                    std::vector<LayerConfig> layers) {
  return message_of(code, [&] { make_network(kernels(), input, layers); });
}

TEST(Network, KnowsItsShapesAndParameters) {
  const auto network =
      make_network(kernels(), {1, true, true},
                   {layer("embedding", {{"inputDim", 5.0}, {"units", 3.0}}),
                    layer("lstm", {{"units", 4.0}, {"returnSequences", true}}),
                    layer("lastStep", {}), layer("dense", {{"units", 2.0}, {"useBias", false}})});
  EXPECT_EQ(network->shapes()[1].features, 3);
  EXPECT_TRUE(network->shapes()[2].timed);
  EXPECT_FALSE(network->output_shape().timed);
  EXPECT_EQ(network->output_shape().features, 2);
  EXPECT_EQ(network->params().count(), 5 * 3 + 16 * 3 + 16 * 4 + 32 + 2 * 4);
  EXPECT_EQ(network->params().entries().front().name, "embedding.weight");
  EXPECT_EQ(network->params().entries().back().name, "dense.weight");
}

TEST(Network, RefusesLayersThatDoNotFit) {
  const LayerConfig dense = layer("dense", {{"units", 2.0}});
  EXPECT_NE(refused("ERR_SHAPE_MISMATCH", {1, true, true}, {dense}).find("embedding"),
            std::string::npos);
  refused("ERR_SHAPE_MISMATCH", {3, true, false},
          {layer("embedding", {{"inputDim", 5.0}, {"units", 3.0}})});
  refused("ERR_SHAPE_MISMATCH", {3, false, false}, {layer("lastStep", {})});
  EXPECT_NE(refused("ERR_INVALID_ARGUMENT", {3, true, false}, {dense, dense}).find("unique"),
            std::string::npos);
  EXPECT_NE(refused("ERR_INVALID_ARGUMENT", {3, true, false}, {layer("lsmt", {})}).find("\"lsmt\""),
            std::string::npos);
  refused("ERR_INVALID_ARGUMENT", {3, true, false}, {});
}

TEST(Network, RefusesOptionsOfTheWrongKindOrRange) {
  const auto message = [](Options options, const std::string& type = "dense") {
    return refused("ERR_INVALID_ARGUMENT", {3, true, false},
                   {layer(type, std::move(options), "d")});
  };
  EXPECT_EQ(message({{"units", true}}),
            "Expected an integer for \"units\" of layer \"d\" but received true (boolean)");
  EXPECT_EQ(message({{"units", 2.5}}),
            "Expected an integer for \"units\" of layer \"d\" but received 2.5 (number)");
  EXPECT_EQ(message({}),
            "Expected a positive integer for \"units\" of layer \"d\" but received nothing");
  EXPECT_EQ(message({{"units", 1.0}, {"useBias", 1.0}}),
            "Expected a boolean for \"useBias\" of layer \"d\" but received 1 (number)");
  EXPECT_NE(message({{"units", 1.0}, {"activation", "tahn"}}).find("\"tahn\""), std::string::npos);
  EXPECT_NE(message({{"units", 1.0}, {"kernelInitializer", "magic"}}).find("\"magic\""),
            std::string::npos);
  EXPECT_EQ(message({{"rate", 1.0}}, "dropout"),
            "Expected a number in [0, 1) for \"rate\" of layer \"d\" but received 1 (number)");
}

TEST(Network, PacksAgainOnlyAfterAChange) {
  const auto network =
      make_network(kernels(), {2, false, false}, {layer("dense", {{"units", 1.0}}, "d")});
  set_param(*network, "d.weight", {1, 2});
  Executor executor(network);
  Geometry geometry;
  geometry.assign(1, 1, nullptr);
  const Rows x(reference::Matrix(1, 2, {10, 100}));
  const auto output = [&] {
    return executor.forward(geometry, floats(x), RunOptions{}).floats.data[0];
  };
  EXPECT_EQ(output(), 210.0f);
  network->params().value(0)[0] = 3;
  EXPECT_EQ(output(), 210.0f) << "nobody said that the values have changed";
  network->params().touch();
  EXPECT_EQ(output(), 230.0f);
}

TEST(Executor, PlansAgainForEveryGeometryAndKeepsItsMemory) {
  const auto network = make_network(kernels(), {3, true, false},
                                    {layer("lstm", {{"units", 5.0}, {"returnSequences", true}}),
                                     layer("dense", {{"units", 2.0}})});
  Executor executor(network);
  reference::RandomSource random(2);
  RunOptions options;
  options.gradients = true;
  const auto run = [&](Executor& on, int64_t batch, int64_t steps, const reference::Matrix& x) {
    Geometry geometry;
    geometry.assign(batch, steps, nullptr);
    const Rows rows(x);
    return vector_of(on.forward(geometry, floats(rows), options).floats);
  };
  const reference::Matrix large = random.matrix(24, 3), small = random.matrix(6, 3);
  const reference::Vector first = run(executor, 4, 6, large);
  const int64_t bytes = executor.workspace_bytes();
  Executor fresh(network);
  EXPECT_EQ(run(executor, 2, 3, small), run(fresh, 2, 3, small));
  EXPECT_EQ(run(executor, 4, 6, large), first);
  EXPECT_EQ(executor.workspace_bytes(), bytes);
}

}  // namespace
}  // namespace ostinato::test
