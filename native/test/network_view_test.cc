// Networks over the layers of another one.
#include <gtest/gtest.h>

#include "core/executor.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

using reference::Vector;

NetworkConfig base_config() {
  NetworkConfig config;
  config.inputs = {{3, true, false}};
  config.layers = {layer("gru", {{"units", 4.0}, {"returnSequences", true}}),
                   layer("dense", {{"units", 2.0}})};
  return config;
}

// The second layer of the base alone, with a softmax behind it.
NetworkConfig view_config() {
  NetworkConfig config;
  config.inputs = {{4, true, false}};
  config.layers = {layer("dense", {}),
                   layer("activation", {{"activation", std::string("softmax")}})};
  config.nodes = {{0, {0}}, {1, {1}}};
  config.outputs = {2};
  return config;
}

Vector run(Executor& executor, const Rows& x, int64_t rows) {
  Geometry geometry;
  geometry.assign(rows, 1, nullptr);
  return vector_of(executor.forward(geometry, floats(x), {}).floats);
}

class NetworkViews : public EveryIsa {};
OSTINATO_EVERY_ISA(NetworkViews);

TEST_P(NetworkViews, ComputeWithTheWeightsOfAnother) {
  const auto base = std::make_shared<Network>(base_config(), kernels());
  const auto view = std::make_shared<Network>(view_config(), base);
  EXPECT_TRUE(view->is_view());
  EXPECT_FALSE(base->is_view());
  EXPECT_EQ(&view->params(), &base->params());
  const auto alone = make_network(kernels(), {4, true, false},
                                  {layer("dense", {{"units", 2.0}}), view_config().layers[1]});
  const Rows x(reference::RandomSource(1).matrix(5, 4));
  Executor of_view(view), of_alone(alone);
  for (const uint64_t seed : {2, 3}) {  // the view sees later weights, too
    reference::RandomSource random(seed);
    const Vector weight = random.vector(8), bias = random.vector(2);
    for (Network* network : {base.get(), alone.get()}) {
      set_param(*network, "dense.weight", weight);
      set_param(*network, "dense.bias", bias);
    }
    EXPECT_EQ(run(of_view, x, 5), run(of_alone, x, 5));
  }
}

TEST(NetworkView, KeepsTheOtherNetworkAlive) {
  auto base = std::make_shared<Network>(base_config(), *available_kernels().front());
  const auto view = std::make_shared<Network>(view_config(), base);
  base.reset();
  Executor executor(view);
  const Rows x(reference::RandomSource(1).matrix(1, 4));
  EXPECT_EQ(run(executor, x, 1).size(), 2u);
}

TEST(NetworkView, RefusesWhatTheOtherNetworkDoesNotHave) {
  const auto base = std::make_shared<Network>(base_config(), *available_kernels().front());
  const auto refused = [&](const std::string& code, const auto& change) {
    NetworkConfig config = view_config();
    change(config);
    return message_of(code, [&] { Network network(config, base); });
  };
  const std::string invalid = "ERR_INVALID_ARGUMENT";
  refused(invalid, [](NetworkConfig& c) { c.layers[1] = layer("dense", {{"units", 2.0}}, "new"); });
  refused(invalid, [](NetworkConfig& c) { c.layers[0] = layer("highway", {}, "dense"); });
  refused("ERR_SHAPE_MISMATCH", [](NetworkConfig& c) { c.inputs[0].features = 5; });
  const auto view = std::make_shared<Network>(view_config(), base);
  message_of(invalid, [&] { Network network(view_config(), view); });
}

}  // namespace
}  // namespace ostinato::test
