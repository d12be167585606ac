// RMS normalisation: the reference against finite differences, kernels and layer against it.
#include "reference/rms_norm.h"

#include <gtest/gtest.h>

#include "core/executor.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

TEST(RmsNormReference, GradientsMatchDifferences) {
  reference::RandomSource random(5);
  reference::Vector gamma = random.vector(5);
  reference::Matrix x = random.matrix(4, 5);
  const reference::Matrix dy = random.matrix(4, 5);
  const auto f = [&] {
    const reference::Vector y = rms_norm_forward(gamma, 1e-3, x).values();
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy.values()[i];
    return total;
  };
  const auto gradients = rms_norm_backward(gamma, 1e-3, x, dy);
  reference::expect_gradient("x", f, x.values(), gradients.x.values());
  reference::expect_gradient("gamma", f, gamma, gradients.gamma);
}

TEST(RmsNormReference, DividesByTheRootMeanSquare) {
  // Mean square (9 + 16 + 0 + 0) / 4 = 6.25.
  EXPECT_EQ(
      reference::rms_norm_forward({1, 2, 1, 1}, 0, reference::Matrix(1, 4, {3, 4, 0, 0})).values(),
      (reference::Vector{1.2, 3.2, 0, 0}));
}

class RmsNormTest : public EveryIsa {};
OSTINATO_EVERY_ISA(RmsNormTest);

TEST_P(RmsNormTest, KernelsFollowTheReferenceAndTouchOnlyTheirRows) {
  reference::RandomSource random(6);
  for (const size_t cols : edge_counts()) {
    constexpr size_t kRows = 3;
    const reference::Vector gamma = random.vector(cols, 0.5, 1.5);
    const reference::Matrix x = random.matrix(kRows, cols), dy = random.matrix(kRows, cols);
    const GuardedRows x_rows(x), dy_rows(dy, 3), gamma_row(reference::Matrix(1, cols, gamma));
    GuardedRows y(kRows, cols, 7), dx(kRows, cols, 2), rstd(1, kRows);
    RmsNormArgs args{};
    args.rows = kRows, args.cols = static_cast<int64_t>(cols);
    args.epsilon = 1e-3f;
    args.x = x_rows.data(), args.x_ld = x_rows.ld();
    args.gamma = gamma_row.data();
    args.y = y.data(), args.y_ld = y.ld();
    args.rstd = rstd.data();
    kernels().rms_norm(args);
    EXPECT_TRUE(close(y, rms_norm_forward(gamma, 1e-3, x), 1e-5)) << cols;

    const auto want = rms_norm_backward(gamma, 1e-3, x, dy);
    RmsNormGradArgs grad{};
    grad.rows = kRows, grad.cols = args.cols;
    grad.x = x_rows.data(), grad.x_ld = x_rows.ld();
    grad.gamma = gamma_row.data(), grad.rstd = rstd.data();
    grad.dy = dy_rows.data(), grad.dy_ld = dy_rows.ld();
    grad.dx = dx.data(), grad.dx_ld = dx.ld();
    kernels().rms_norm_grad(grad);
    // A row of one column has a gradient near zero, of which rounding is left.
    EXPECT_TRUE(close(dx, want.x, cols == 1 ? 1e-4 : 1e-5)) << cols;

    // Adds to what is there, in parts as in one.
    const GuardedRows dgamma(reference::Matrix(1, cols, reference::Vector(cols, 2.0)));
    RmsNormParamGradArgs param{};
    param.rows = kRows;
    param.x = x_rows.data(), param.x_ld = x_rows.ld();
    param.rstd = rstd.data();
    param.dy = dy_rows.data(), param.dy_ld = dy_rows.ld();
    param.dgamma = dgamma.data();
    for (param.begin = 0; param.begin < args.cols; param.begin = param.end) {
      param.end = std::min<int64_t>(args.cols, param.begin + kPad);
      kernels().rms_norm_param_grad(param);
    }
    reference::Matrix sums(1, cols, want.gamma);
    for (double& value : sums.values()) value += 2.0;
    EXPECT_TRUE(close(dgamma, sums, 1e-5)) << cols;
  }
}

TEST_P(RmsNormTest, LayerFollowsTheReferenceOnAnyNumberOfThreads) {
  reference::RandomSource random(7);
  // Large enough for threads to share it.
  constexpr size_t kRows = 500, kCols = 200;
  const reference::Vector gamma = random.vector(kCols, 0.5, 1.5);
  const reference::Matrix x = random.matrix(kRows, kCols), dy = random.matrix(kRows, kCols);
  const auto network =
      make_network(kernels(), {kCols, false, false}, {layer("rmsNorm", {{"epsilon", 1e-4}}, "n")});
  set_param(*network, "n.weight", gamma);
  Geometry geometry;
  geometry.assign(kRows, 1, nullptr);
  const Rows x_rows(x);
  std::vector<reference::Vector> all;
  for (const int threads : {1, 2, 7}) {
    Executor executor(network);
    RunOptions options;
    options.threads = threads;
    options.gradients = options.input_gradient = true;
    reference::Vector values =
        vector_of(executor.forward(geometry, floats(x_rows), options).floats);
    const reference::Vector dx = vector_of(executor.backward(Rows(dy).view));
    const reference::Vector dgamma = gradient_of(*network, "n.weight");
    if (threads == 1) {
      const auto want = rms_norm_backward(gamma, 1e-4, x, dy);
      OSTINATO_EXPECT_CLOSE(values, rms_norm_forward(gamma, 1e-4, x).values(), 1e-5);
      OSTINATO_EXPECT_CLOSE(dx, want.x.values(), 1e-5);
      OSTINATO_EXPECT_CLOSE(dgamma, want.gamma, 1e-5);
    }
    values.insert(values.end(), dx.begin(), dx.end());
    values.insert(values.end(), dgamma.begin(), dgamma.end());
    all.push_back(values);
  }
  EXPECT_EQ(all[1], all[0]);
  EXPECT_EQ(all[2], all[0]);
}

}  // namespace
}  // namespace ostinato::test
