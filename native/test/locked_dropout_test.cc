// Variational dropout: one mask for all steps of a sequence.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/executor.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

class LockedDropout : public EveryIsa {};
OSTINATO_EVERY_ISA(LockedDropout);

constexpr int64_t kFeatures = 21;

RunOptions in_training(int threads = 1, uint64_t step = 3) {
  RunOptions options;
  options.gradients = true;
  options.input_gradient = true;
  options.training = true;
  options.threads = threads;
  options.step = step;
  return options;
}

// Of each batch row, what its steps' ones became; they must all be the same.
std::map<int64_t, reference::Vector> masks(const Kernels& kernels,
                                           const std::vector<int32_t>& lengths,
                                           const RunOptions& options) {
  const auto network = make_network(kernels, {kFeatures, true, false},
                                    {layer("spatialDropout1d", {{"rate", 0.25}})}, 9);
  Executor executor(network);
  Geometry geometry;
  geometry.assign(static_cast<int64_t>(lengths.size()), 0, lengths.data());
  const Rows x(reference::Matrix(geometry.rows(), kFeatures,
                                 reference::Vector(geometry.rows() * kFeatures, 3.0)));
  const reference::Vector y = vector_of(executor.forward(geometry, floats(x), options).floats);
  EXPECT_EQ(vector_of(executor.backward(x.view)), y) << "the backward pass draws the same mask";
  std::map<int64_t, reference::Vector> result;
  for (int64_t b = 0; b < geometry.batch(); ++b) {
    for (int64_t t = 0; t < geometry.length(b); ++t) {
      const auto row = y.begin() + geometry.row(b, t) * kFeatures;
      const reference::Vector mask(row, row + kFeatures);
      const auto at = result.emplace(geometry.batch_row(b), mask).first;
      EXPECT_EQ(at->second, mask) << "row " << geometry.batch_row(b) << ", step " << t;
    }
  }
  return result;
}

TEST_P(LockedDropout, MasksAreOfRowsAloneAndKeepTheirShare) {
  const auto dense = masks(kernels(), std::vector<int32_t>(200, 3), in_training());
  std::set<reference::Vector> different;
  int64_t dropped = 0;
  for (const auto& [row, mask] : dense) {
    different.insert(mask);
    for (const double value : mask) {
      EXPECT_TRUE(value == 0.0 || value == 4.0);
      dropped += value == 0.0 ? 1 : 0;
    }
  }
  EXPECT_EQ(different.size(), 200u);
  EXPECT_NEAR(static_cast<double>(dropped) / (200.0 * kFeatures), 0.25, 0.03);
  std::vector<int32_t> lengths(200);
  for (size_t b = 0; b < lengths.size(); ++b) lengths[b] = static_cast<int32_t>(b % 5);
  for (const auto& [row, mask] : masks(kernels(), lengths, in_training(7))) {
    EXPECT_EQ(mask, dense.at(row));
  }
  EXPECT_NE(masks(kernels(), {1, 1}, in_training(1, 4)).at(0), dense.at(0));
}

// Between the layers of a stack it is what the layer does that stands between two layers.
TEST_P(LockedDropout, OfAStackIsThatOfALayerBetween) {
  Geometry geometry;
  const std::vector<int32_t> lengths{2, 4, 0, 4};
  geometry.assign(4, 0, lengths.data());
  reference::RandomSource random(3);
  const Rows x(random.matrix(geometry.rows(), 5));
  const reference::Matrix upstream = random.matrix(geometry.rows(), 5);
  const Rows dy(upstream), again(upstream);
  const Options one = {{"units", 5.0}, {"returnSequences", true}};
  Options two = one;
  two["layers"] = 2.0;
  two["dropout"] = 0.5;
  two["variationalDropout"] = true;
  // Layers' places count for their masks: a layer that does nothing comes first.
  const auto stack =
      make_network(kernels(), {5, true, false}, {layer("activation", {}), layer("lstm", two)});
  const auto apart =
      make_network(kernels(), {5, true, false},
                   {layer("lstm", one, "first"), layer("spatialDropout1d", {{"rate", 0.5}}),
                    layer("lstm", one, "second")});
  ASSERT_EQ(stack->params().size(), apart->params().size());
  std::memcpy(apart->params().values(), stack->params().values(),
              stack->params().size() * sizeof(float));
  apart->params().touch();
  Executor of_stack(stack), of_apart(apart);
  EXPECT_EQ(vector_of(of_stack.forward(geometry, floats(x), in_training(2)).floats),
            vector_of(of_apart.forward(geometry, floats(x), in_training(2)).floats));

  of_stack.backward(dy.view);
  of_apart.backward(again.view);
  EXPECT_EQ(vector_of(stack->params().gradients(), stack->params().size()),
            vector_of(apart->params().gradients(), apart->params().size()));
}

}  // namespace
}  // namespace ostinato::test
