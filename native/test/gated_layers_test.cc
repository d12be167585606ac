// The gated linear unit and the highway layer: the reference against finite differences, kernels
// and layers against it.
#include <gtest/gtest.h>

#include "core/executor.h"
#include "reference/gated.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr double kGatedLayersTolerance = 1e-5;

// The loss whose gradient with respect to y is dy.
double product(const reference::Matrix& dy, const reference::Matrix& y) {
  double total = 0;
  for (size_t i = 0; i < y.values().size(); ++i) total += dy.values()[i] * y.values()[i];
  return total;
}

TEST(GluReference, GradientsMatchDifferences) {
  reference::RandomSource random(1);
  reference::Matrix u = random.matrix(3, 8);
  const reference::Matrix dy = random.matrix(3, 4);
  reference::expect_gradient(
      "u", [&] { return product(dy, glu_forward(u)); }, u.values(), glu_backward(u, dy).values());
}

reference::HighwayParams highway_params(reference::RandomSource& random, size_t n) {
  return {{random.matrix(n, n), random.vector(n)}, {random.matrix(n, n), random.vector(n)}};
}

TEST(HighwayReference, GradientsMatchDifferences) {
  reference::RandomSource random(2);
  reference::HighwayParams params = highway_params(random, 4);
  reference::Matrix x = random.matrix(3, 4);
  const reference::Matrix dy = random.matrix(3, 4);
  constexpr auto kTanh = reference::Activation::kTanh;
  const auto f = [&] { return product(dy, highway_forward(params, kTanh, x)); };
  const auto d = highway_backward(params, kTanh, x, dy);
  reference::expect_gradient("x", f, x.values(), d.x.values());
  reference::expect_gradient("h.weight", f, params.h.weight.values(), d.h.weight.values());
  reference::expect_gradient("h.bias", f, params.h.bias, d.h.bias);
  reference::expect_gradient("t.weight", f, params.t.weight.values(), d.t.weight.values());
  reference::expect_gradient("t.bias", f, params.t.bias, d.t.bias);
}

TEST(HighwayReference, AClosedGatePassesTheInput) {
  const reference::HighwayParams params{{reference::Matrix(1, 1, {3}), {1}},
                                        {reference::Matrix(1, 1, {0}), {-1000}}};
  const reference::Matrix x(2, 1, {5, -7});
  EXPECT_EQ(highway_forward(params, reference::Activation::kRelu, x).values(), x.values());
}

class GatedLayers : public EveryIsa {};
OSTINATO_EVERY_ISA(GatedLayers);

TEST_P(GatedLayers, KernelsTouchOnlyTheirRowsAndWorkInPlace) {
  reference::RandomSource random(3);
  constexpr size_t kRows = 2;
  for (const size_t cols : edge_counts()) {
    const auto n = static_cast<int64_t>(cols);
    const reference::Matrix u = random.matrix(kRows, 2 * cols, -3, 3);
    const reference::Matrix dy = random.matrix(kRows, cols), x = random.matrix(kRows, cols);
    const GuardedRows u_rows(u), dy_rows(dy), x_rows(x, 1);
    GuardedRows y(kRows, cols, 7), dx(kRows, cols, 3);
    GluArgs glu{};
    glu.rows = kRows, glu.cols = n;
    glu.a = u_rows.data(), glu.b = u_rows.data() + n, glu.ld = u_rows.ld();
    glu.y = y.data(), glu.y_ld = y.ld();
    kernels().glu(glu);
    EXPECT_TRUE(close(y, glu_forward(u), kGatedLayersTolerance)) << cols;
    glu.dy = dy_rows.data(), glu.dy_ld = dy_rows.ld();
    glu.da = u_rows.data(), glu.db = u_rows.data() + n, glu.d_ld = u_rows.ld();
    kernels().glu_grad(glu);
    EXPECT_TRUE(close(u_rows, glu_backward(u, dy), kGatedLayersTolerance)) << cols;

    // h and t beside each other; the products of the highway layer are the layer's test.
    const GuardedRows h(random.matrix(kRows, cols)), t(random.matrix(kRows, cols, 0.0, 1.0));
    reference::Matrix want_y(kRows, cols), want_dh(kRows, cols), want_da(kRows, cols),
        want_dx(kRows, cols);
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < cols; ++c) {
        const double gate = t(r, c), passed = dy(r, c) * (1 - gate);
        want_y(r, c) = gate * h(r, c) + (1 - gate) * x(r, c);
        want_dh(r, c) = dy(r, c) * gate;
        want_da(r, c) = (h(r, c) - x(r, c)) * gate * passed;
        want_dx(r, c) = passed;
      }
    }
    HighwayArgs args{};
    args.rows = kRows, args.cols = n;
    args.x = x_rows.data(), args.x_ld = x_rows.ld();
    args.h = h.data(), args.t = t.data(), args.ld = h.ld();
    args.y = y.data(), args.y_ld = y.ld();
    kernels().highway(args);
    EXPECT_TRUE(close(y, want_y, kGatedLayersTolerance)) << cols;
    args.dy = dy_rows.data(), args.dy_ld = dy_rows.ld();
    args.dh = dy_rows.data(), args.da = t.data(), args.d_ld = dy_rows.ld();
    args.dx = dx.data(), args.dx_ld = dx.ld();
    kernels().highway_grad(args);
    EXPECT_TRUE(close(dy_rows, want_dh, kGatedLayersTolerance)) << cols;
    EXPECT_TRUE(close(t, want_da, kGatedLayersTolerance)) << cols;
    EXPECT_TRUE(close(dx, want_dx, kGatedLayersTolerance)) << cols;
  }
}

struct Outcome {
  reference::Vector y, dx;
};

Outcome run(const std::shared_ptr<Network>& network, const reference::Matrix& x,
            const reference::Matrix& dy, int threads = 1) {
  Executor executor(network);
  Geometry geometry;
  geometry.assign(static_cast<int64_t>(x.rows()), 1, nullptr);
  RunOptions options;
  options.threads = threads;
  options.gradients = options.input_gradient = true;
  const Rows x_rows(x);  // the backward pass reads it again
  Outcome result;
  result.y = vector_of(executor.forward(geometry, floats(x_rows), options).floats);
  result.dx = vector_of(executor.backward(Rows(dy).view));
  return result;
}

TEST_P(GatedLayers, GluFollowsTheReference) {
  reference::RandomSource random(4);
  for (const size_t units : {size_t{1}, size_t{17}, size_t{40}}) {
    const size_t inputs = 1 + random.index(30), rows = 1 + random.index(20);
    const bool bias = units != 17;
    const reference::DenseParams params{random.matrix(2 * units, inputs),
                                        bias ? random.vector(2 * units) : reference::Vector{}};
    const reference::Matrix x = random.matrix(rows, inputs), dy = random.matrix(rows, units);
    const auto network = make_network(
        kernels(), {static_cast<int64_t>(inputs), false, false},
        {layer("glu", {{"units", static_cast<double>(units)}, {"useBias", bias}}, "g")});
    set_param(*network, "g.weight", params.weight.values());
    if (bias) set_param(*network, "g.bias", params.bias);
    const Outcome got = run(network, x, dy);
    const reference::Matrix u = dense_preactivation(params, x);
    const auto want =
        dense_backward(params, reference::Activation::kLinear, x, glu_backward(u, dy));
    OSTINATO_EXPECT_CLOSE(got.y, glu_forward(u).values(), kGatedLayersTolerance);
    OSTINATO_EXPECT_CLOSE(got.dx, want.x.values(), kGatedLayersTolerance);
    OSTINATO_EXPECT_CLOSE(gradient_of(*network, "g.weight"), want.weight.values(),
                          kGatedLayersTolerance);
    if (bias) {
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "g.bias"), want.bias, kGatedLayersTolerance);
    }

    const reference::Matrix halves = random.matrix(rows, 2 * units);
    const Outcome plain =
        run(make_network(kernels(), {static_cast<int64_t>(2 * units), false, false},
                         {layer("glu", {})}),
            halves, dy);
    OSTINATO_EXPECT_CLOSE(plain.y, glu_forward(halves).values(), kGatedLayersTolerance);
    OSTINATO_EXPECT_CLOSE(plain.dx, glu_backward(halves, dy).values(), kGatedLayersTolerance);
  }
  EXPECT_NE(message_of("ERR_SHAPE_MISMATCH",
                       [&] {
                         make_network(kernels(), {3, false, false}, {layer("glu", {})});
                       })
                .find("an even number of features"),
            std::string::npos);
}

TEST_P(GatedLayers, HighwayFollowsTheReference) {
  reference::RandomSource random(5);
  const std::pair<const char*, reference::Activation> activations[] = {
      {"tanh", reference::Activation::kTanh}, {"silu", reference::Activation::kSilu}};
  for (const auto& [name, activation] : activations) {
    for (const size_t n : {size_t{1}, size_t{16}, size_t{35}}) {
      const size_t rows = 1 + random.index(20);
      const reference::HighwayParams params = highway_params(random, n);
      const reference::Matrix x = random.matrix(rows, n), dy = random.matrix(rows, n);
      const auto network = make_network(kernels(), {static_cast<int64_t>(n), false, false},
                                        {layer("highway", {{"activation", name}}, "w")});
      set_param(*network, "w.h.weight", params.h.weight.values());
      set_param(*network, "w.h.bias", params.h.bias);
      set_param(*network, "w.t.weight", params.t.weight.values());
      set_param(*network, "w.t.bias", params.t.bias);
      const Outcome got = run(network, x, dy);
      const auto want = highway_backward(params, activation, x, dy);
      OSTINATO_EXPECT_CLOSE(got.y, highway_forward(params, activation, x).values(),
                            kGatedLayersTolerance);
      OSTINATO_EXPECT_CLOSE(got.dx, want.x.values(), kGatedLayersTolerance) << name << n;
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "w.h.weight"), want.h.weight.values(),
                            kGatedLayersTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "w.h.bias"), want.h.bias, kGatedLayersTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "w.t.weight"), want.t.weight.values(),
                            kGatedLayersTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "w.t.bias"), want.t.bias, kGatedLayersTolerance);
    }
  }
}

TEST_P(GatedLayers, GiveTheSameBitsOnAnyNumberOfThreads) {
  reference::RandomSource random(6);
  constexpr size_t kRows = 300, kCols = 64;
  const reference::Matrix x = random.matrix(kRows, kCols), dy = random.matrix(kRows, kCols);
  const auto network =
      make_network(kernels(), {kCols, false, false},
                   {layer("highway", {{"activation", "relu"}, {"transformBias", -2.0}}, "w"),
                    layer("glu", {{"units", static_cast<double>(kCols)}}, "g")});
  const int bias = param_index(*network, "w.t.bias");
  EXPECT_EQ(vector_of(network->params().value(bias), kCols), reference::Vector(kCols, -2.0));
  std::vector<reference::Vector> all;
  for (const int threads : {1, 2, 7}) {
    const Outcome got = run(network, x, dy, threads);
    all.push_back(got.y);
    all.back().insert(all.back().end(), got.dx.begin(), got.dx.end());
    for (const ParamEntry& entry : network->params().entries()) {
      const reference::Vector gradient = gradient_of(*network, entry.name);
      all.back().insert(all.back().end(), gradient.begin(), gradient.end());
    }
  }
  EXPECT_EQ(all[1], all[0]);
  EXPECT_EQ(all[2], all[0]);
}

}  // namespace
}  // namespace ostinato::test
