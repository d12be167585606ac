// Causal convolutions: the reference against finite differences, kernels and layers against it.
#include "reference/conv1d.h"

#include <gtest/gtest.h>

#include "core/executor.h"
#include "core/session.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

using reference::ConvParams;
using reference::Vector;
using Steps = std::vector<Vector>;

constexpr double kConv1dTolerance = 1e-5;

ConvParams draw(reference::RandomSource& random, bool depthwise, size_t filters, size_t inputs,
                size_t taps, size_t dilation) {
  ConvParams params{depthwise ? inputs : filters, inputs, taps, dilation, depthwise, {}, {}};
  params.weight = random.vector(params.filters * (depthwise ? 1 : inputs) * taps);
  params.bias = random.vector(params.filters);
  return params;
}

Steps draw_steps(reference::RandomSource& random, size_t steps, size_t features) {
  Steps rows(steps);
  for (Vector& row : rows) row = random.vector(features);
  return rows;
}

double dot(const Steps& a, const Steps& b) {
  double total = 0;
  for (size_t t = 0; t < a.size(); ++t) total += reference::dot(a[t], b.at(t));
  return total;
}

TEST(ConvReference, GradientsMatchDifferences) {
  reference::RandomSource random(1);
  for (const bool depthwise : {false, true}) {
    ConvParams params = draw(random, depthwise, 2, 3, 3, 2);
    // More steps than the history, and fewer.
    for (const size_t steps : {6, 2}) {
      Steps before = draw_steps(random, params.history(), 3), x = draw_steps(random, steps, 3);
      const Steps dy = draw_steps(random, steps, params.filters);
      const Steps dlast = draw_steps(random, params.history(), 3);
      const auto f = [&] {
        return dot(dy, conv_forward(params, before, x)) + dot(dlast, conv_last(params, before, x));
      };
      const auto d = conv_backward(params, before, x, dy, dlast);
      reference::expect_gradient("weight", f, params.weight, d.weight);
      reference::expect_gradient("bias", f, params.bias, d.bias);
      for (size_t t = 0; t < steps; ++t) reference::expect_gradient("x", f, x[t], d.x[t]);
      for (size_t s = 0; s < before.size(); ++s) {
        reference::expect_gradient("before", f, before[s], d.before[s]);
      }
    }
  }
}

TEST(ConvReference, ReadsTheNewestInputByTheLastTap) {
  const ConvParams params{1, 1, 2, 3, false, {10, 1}, {0.5}};
  const Steps y = conv_forward(params, Steps(3, Vector{0}), {{1}, {2}, {3}, {4}, {5}});
  EXPECT_EQ(y, (Steps{{1.5}, {2.5}, {3.5}, {14.5}, {25.5}}));
}

class ConvTest : public EveryIsa {};
OSTINATO_EVERY_ISA(ConvTest);

TEST_P(ConvTest, KernelsTouchOnlyTheirRows) {
  reference::RandomSource random(2);
  for (const size_t cols : edge_counts()) {
    const reference::Matrix x = random.matrix(3, cols), y = random.matrix(3, cols);
    const Vector weight = random.vector(cols);
    const GuardedRows x_rows(x), weights(reference::Matrix(1, cols, weight));
    GuardedRows y_rows(y, 3);
    reference::Matrix want = y, sums(1, cols, Vector(cols, 2.0));
    for (size_t r = 0; r < 3; ++r) {
      for (size_t c = 0; c < cols; ++c) {
        sums(0, c) += x(r, c) * y(r, c);
        want(r, c) += x(r, c) * weight[c];
      }
    }
    const GuardedRows got_sums(reference::Matrix(1, cols, Vector(cols, 2.0)));
    ColumnProductsArgs products{};
    products.rows = 3;
    products.a = x_rows.data(), products.a_ld = x_rows.ld();
    products.b = y_rows.data(), products.b_ld = y_rows.ld();
    products.sums = got_sums.data();
    const auto n = static_cast<int64_t>(cols);
    for (products.begin = 0; products.begin < n; products.begin = products.end) {
      products.end = std::min(n, products.begin + kPad);
      kernels().add_column_products(products);
    }
    EXPECT_TRUE(close(got_sums, sums, kConv1dTolerance)) << cols;
    WeightedRowsArgs args{};
    args.rows = 3, args.cols = n;
    args.x = x_rows.data(), args.x_ld = x_rows.ld();
    args.weight = weights.data();
    args.y = y_rows.data(), args.y_ld = y_rows.ld();
    kernels().add_weighted(args);
    EXPECT_TRUE(close(y_rows, want, kConv1dTolerance)) << cols;
  }
}

std::shared_ptr<Network> conv_network(const Kernels& kernels, const ConvParams& params) {
  Options options{{"kernelSize", static_cast<double>(params.taps)},
                  {"dilation", static_cast<double>(params.dilation)}};
  if (!params.depthwise) options["filters"] = static_cast<double>(params.filters);
  auto network =
      make_network(kernels, {static_cast<int64_t>(params.inputs), true, false},
                   {layer(params.depthwise ? "depthwiseConv1d" : "conv1d", options, "c")});
  set_param(*network, "c.weight", params.weight);
  set_param(*network, "c.bias", params.bias);
  return network;
}

// Packed rows of ragged ones, in batch order.
reference::Matrix pack(const Geometry& geometry, const std::vector<Steps>& rows, size_t features) {
  reference::Matrix packed(static_cast<size_t>(geometry.rows()), features);
  for (int64_t r = 0; r < geometry.batch(); ++r) {
    for (int64_t t = 0; t < geometry.length(r); ++t) {
      packed.set_row(static_cast<size_t>(geometry.row(r, t)), rows[geometry.batch_row(r)][t]);
    }
  }
  return packed;
}

// [slots, B, features] of [B][slots].
std::vector<float> state(const std::vector<Steps>& rows) {
  std::vector<float> values;
  for (size_t slot = 0; slot < rows[0].size(); ++slot) {
    for (const Steps& row : rows) values.insert(values.end(), row[slot].begin(), row[slot].end());
  }
  return values;
}

Vector widened(const std::vector<float>& values) { return Vector(values.begin(), values.end()); }

TEST_P(ConvTest, FollowsTheReferenceOnRaggedRowsThatGoOn) {
  reference::RandomSource random(3);
  const std::vector<int32_t> lengths{3, 0, 9, 1, 9};
  Geometry geometry;
  geometry.assign(5, 0, lengths.data());
  for (const auto& [depthwise, filters, inputs, taps, dilation] :
       {std::tuple<bool, size_t, size_t, size_t, size_t>{false, 5, 3, 3, 2},
        {false, 17, 20, 2, 1},
        {true, 0, 19, 4, 2},
        {true, 0, 1, 2, 3}}) {
    const ConvParams params = draw(random, depthwise, filters, inputs, taps, dilation);
    std::vector<Steps> x, before, dy, dlast, y, last, dx, dbefore;
    Vector dweight(params.weight.size(), 0.0), dbias(params.filters, 0.0);
    for (const int32_t length : lengths) {
      x.push_back(draw_steps(random, length, inputs));
      before.push_back(draw_steps(random, params.history(), inputs));
      dy.push_back(draw_steps(random, length, params.filters));
      dlast.push_back(draw_steps(random, params.history(), inputs));
      y.push_back(conv_forward(params, before.back(), x.back()));
      last.push_back(conv_last(params, before.back(), x.back()));
      const auto d = conv_backward(params, before.back(), x.back(), dy.back(), dlast.back());
      dx.push_back(d.x);
      dbefore.push_back(d.before);
      reference::add(dweight, d.weight);
      reference::add(dbias, d.bias);
    }
    const auto network = conv_network(kernels(), params);
    const StateValues initial{state(before)}, final_gradient{state(dlast)};
    const Rows x_rows(pack(geometry, x, inputs));
    std::vector<Vector> all;
    for (const int threads : {1, 2, 7}) {
      Executor executor(network);
      RunOptions options;
      options.threads = threads;
      options.gradients = options.input_gradient = true;
      executor.set_initial_states(initial, 5);
      const Vector got = vector_of(executor.forward(geometry, floats(x_rows), options).floats);
      StateValues got_last;
      executor.get_final_states(got_last);
      executor.set_final_state_gradients(final_gradient, 5);
      const Rows dy_rows(pack(geometry, dy, params.filters));
      const Vector got_dx = vector_of(executor.backward(dy_rows.view));
      std::vector<float> got_dbefore(initial[0].size());
      executor.get_initial_state_gradient(0, got_dbefore.data());
      OSTINATO_EXPECT_CLOSE(got, pack(geometry, y, params.filters).values(), kConv1dTolerance);
      OSTINATO_EXPECT_CLOSE(got_dx, pack(geometry, dx, inputs).values(), kConv1dTolerance);
      OSTINATO_EXPECT_CLOSE(widened(got_last[0]), widened(state(last)), 0);
      OSTINATO_EXPECT_CLOSE(widened(got_dbefore), widened(state(dbefore)), kConv1dTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "c.weight"), dweight, kConv1dTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "c.bias"), dbias, kConv1dTolerance);
      all.push_back(got);
      for (const Vector& more : {got_dx, gradient_of(*network, "c.weight")}) {
        all.back().insert(all.back().end(), more.begin(), more.end());
      }
    }
    EXPECT_EQ(all[1], all[0]);
    EXPECT_EQ(all[2], all[0]);
  }
}

TEST_P(ConvTest, ManyRowsAreSharedOutWithTheSameBits) {
  reference::RandomSource random(4);
  std::vector<int32_t> lengths(30);
  for (int32_t& length : lengths) length = static_cast<int32_t>(random.index(50));
  Geometry geometry;
  geometry.assign(30, 0, lengths.data());
  for (const bool depthwise : {false, true}) {
    const ConvParams params = draw(random, depthwise, 40, 300, 8, 3);
    const auto network = conv_network(kernels(), params);
    const auto rows = static_cast<size_t>(geometry.rows());
    const reference::Matrix x = random.matrix(rows, 300), dy = random.matrix(rows, params.filters);
    const Rows x_rows(x);
    std::vector<Vector> all;
    for (const int threads : {1, 2, 7}) {
      Executor executor(network);
      RunOptions options;
      options.threads = threads;
      options.gradients = options.input_gradient = true;
      all.push_back(vector_of(executor.forward(geometry, floats(x_rows), options).floats));
      for (const Vector& more :
           {vector_of(executor.backward(Rows(dy).view)), gradient_of(*network, "c.weight"),
            gradient_of(*network, "c.bias")}) {
        all.back().insert(all.back().end(), more.begin(), more.end());
      }
    }
    EXPECT_EQ(all[1], all[0]) << depthwise;
    EXPECT_EQ(all[2], all[0]) << depthwise;
  }
}

TEST_P(ConvTest, StepsOfASessionHaveTheBitsOfTheWholeSequence) {
  reference::RandomSource random(5);
  Geometry geometry;
  geometry.assign(1, 12, nullptr);
  for (const bool depthwise : {false, true}) {
    const auto network = conv_network(kernels(), draw(random, depthwise, 7, 18, 3, 4));
    const reference::Matrix x = random.matrix(12, 18);
    const Rows rows(x);
    Executor executor(network);
    const Matrix y = executor.forward(geometry, floats(rows), RunOptions{}).floats;
    Session session(network, 1);
    std::vector<float> step(y.cols);
    for (int64_t t = 0; t < 12; ++t) {
      session.step(nullptr, rows.view.row(t), step.data(), 1);
      EXPECT_EQ(bits_of(step.data(), y.cols), bits_of(y.row(t), y.cols)) << t;
    }
  }
}

TEST(Conv1d, RefusesKernelsThatReachTooFar) {
  const auto refused = [](Options options) {
    return message_of("ERR_INVALID_ARGUMENT", [&] {
      make_network(*available_kernels().front(), {3, true, false},
                   {layer("depthwiseConv1d", std::move(options), "c")});
    });
  };
  EXPECT_NE(refused({{"kernelSize", 3.0}, {"dilation", 0.0}}).find("\"c\""), std::string::npos);
  EXPECT_NE(refused({{"kernelSize", 1e9}, {"dilation", 1e9}}).find("\"c\""), std::string::npos);
  EXPECT_NE(refused({}).find("\"kernelSize\""), std::string::npos);
}

}  // namespace
}  // namespace ostinato::test
