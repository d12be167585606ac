// The kernels of layer normalisation against the reference.
#include <gtest/gtest.h>

#include "kernels/kernels.h"
#include "reference/layer_norm.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

// One problem: the forward pass is run, the backward pass is set up.
struct LayerNormProblem {
  LayerNormProblem(size_t rows, size_t cols, bool shifted, uint64_t seed, double offset = 0.0)
      : LayerNormProblem(reference::RandomSource(seed), rows, cols, shifted, offset) {}

  LayerNormArgs forward_args() const {
    LayerNormArgs args{};
    args.rows = static_cast<int64_t>(x.rows());
    args.cols = static_cast<int64_t>(x.cols());
    args.epsilon = static_cast<float>(params.epsilon);
    args.x = x.data(), args.x_ld = x.ld();
    args.gamma = gamma.data();
    args.beta = params.beta.empty() ? nullptr : beta.data();
    args.y = y.data(), args.y_ld = y.ld();
    args.mean = mean.data(), args.rstd = rstd.data();
    return args;
  }
  LayerNormGradArgs grad_args() const {
    LayerNormGradArgs args{};
    args.rows = static_cast<int64_t>(x.rows());
    args.cols = static_cast<int64_t>(x.cols());
    args.x = x.data(), args.x_ld = x.ld();
    args.gamma = gamma.data();
    args.mean = mean.data(), args.rstd = rstd.data();
    args.dy = dy.data(), args.dy_ld = dy.ld();
    args.dx = dx.data(), args.dx_ld = dx.ld();
    return args;
  }
  LayerNormParamGradArgs param_grad_args(const GuardedRows& dgamma,
                                         const GuardedRows& dbeta) const {
    LayerNormParamGradArgs args{};
    args.rows = static_cast<int64_t>(x.rows());
    args.end = static_cast<int64_t>(x.cols());
    args.x = x.data(), args.x_ld = x.ld();
    args.mean = mean.data(), args.rstd = rstd.data();
    args.dy = dy.data(), args.dy_ld = dy.ld();
    args.dgamma = dgamma.data(), args.dbeta = dbeta.data();
    return args;
  }
  double largest_rstd() const {
    double largest = 0;
    for (size_t r = 0; r < x.rows(); ++r) largest = std::max<double>(largest, rstd(0, r));
    return largest;
  }

  reference::LayerNormParams params;
  reference::Matrix x_values, dy_values;
  GuardedRows x, dy, gamma, beta, y, dx, mean, rstd;

 private:
  LayerNormProblem(reference::RandomSource random, size_t rows, size_t cols, bool shifted,
                   double offset)
      : params{random.vector(cols, 0.5, 1.5), shifted ? random.vector(cols) : reference::Vector(),
               1e-3},
        x_values(random.matrix(rows, cols, offset - 2, offset + 2)),
        dy_values(random.matrix(rows, cols)),
        x(x_values),
        dy(dy_values, 3),
        gamma(reference::Matrix(1, cols, params.gamma)),
        beta(shifted ? reference::Matrix(1, cols, params.beta) : reference::Matrix(1, cols)),
        y(rows, cols, 7),
        dx(rows, cols, 2),
        mean(1, rows),
        rstd(1, rows) {}
};

class LayerNormKernel : public EveryIsa {};
OSTINATO_EVERY_ISA(LayerNormKernel);

TEST_P(LayerNormKernel, FollowsTheReference) {
  for (const size_t cols : edge_counts()) {
    for (const size_t rows : {1, 7}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << cols);
      const LayerNormProblem problem(rows, cols, cols % 3 != 0, cols);
      kernels().layer_norm(problem.forward_args());
      EXPECT_TRUE(
          close(problem.y, reference::layer_norm_forward(problem.params, problem.x_values), 1e-5));

      const reference::LayerNormGradients want =
          reference::layer_norm_backward(problem.params, problem.x_values, problem.dy_values);
      kernels().layer_norm_grad(problem.grad_args());
      // Nearly all of d cancels where a row has few columns; what is left carries d's rounding.
      EXPECT_TRUE(close(problem.dx, want.x, 1e-6 * std::max(4.0, problem.largest_rstd())));

      // The gradients of parameters add to what is there.
      GuardedRows dgamma(1, cols), dbeta(1, cols);
      std::fill_n(dgamma.row(0), cols, 2.0f);
      std::fill_n(dbeta.row(0), cols, -3.0f);
      kernels().layer_norm_param_grad(problem.param_grad_args(dgamma, dbeta));
      reference::Matrix want_gamma(1, cols, want.gamma), want_beta(1, cols, want.beta);
      for (size_t c = 0; c < cols; ++c) {
        want_gamma(0, c) += 2.0;
        want_beta(0, c) -= 3.0;
      }
      EXPECT_TRUE(close(dgamma, want_gamma, 1e-5));
      EXPECT_TRUE(close(dbeta, want_beta, 1e-5));
    }
  }
}

TEST_P(LayerNormKernel, RangesAndPlacesGiveTheSameBits) {
  constexpr size_t kRows = 5, kCols = 77;
  const LayerNormProblem problem(kRows, kCols, true, 1);
  kernels().layer_norm(problem.forward_args());
  kernels().layer_norm_grad(problem.grad_args());
  const auto y = problem.y.bits(), dx = problem.dx.bits(), rstd = problem.rstd.bits();

  const GuardedRows dgamma(reference::Matrix(1, kCols)), dbeta(reference::Matrix(1, kCols));
  kernels().layer_norm_param_grad(problem.param_grad_args(dgamma, dbeta));
  const GuardedRows part_gamma(reference::Matrix(1, kCols)), part_beta(reference::Matrix(1, kCols));
  LayerNormParamGradArgs part = problem.param_grad_args(part_gamma, part_beta);
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{48, 77}, {0, 16}, {16, 48}}) {
    part.begin = begin, part.end = end;
    kernels().layer_norm_param_grad(part);
  }
  EXPECT_EQ(part_gamma.bits(), dgamma.bits());
  EXPECT_EQ(part_beta.bits(), dbeta.bits());
  part = problem.param_grad_args(part_gamma, part_beta);
  part.dbeta = nullptr;
  kernels().layer_norm_param_grad(part);
  EXPECT_EQ(part_beta.bits(), dbeta.bits());

  LayerNormGradArgs none = problem.grad_args();
  none.dx = nullptr;
  kernels().layer_norm_grad(none);
  EXPECT_EQ(problem.dx.bits(), dx);
  LayerNormGradArgs in_place = problem.grad_args();
  in_place.dx = problem.dy.data(), in_place.dx_ld = problem.dy.ld();
  kernels().layer_norm_grad(in_place);
  EXPECT_EQ(problem.dy.bits(), dx);

  for (size_t r = 0; r < kRows; ++r) {
    LayerNormArgs row = problem.forward_args();
    row.rows = 1;
    row.x = row.y = problem.x.row(r);  // in place, row by row
    row.mean += r, row.rstd += r;
    kernels().layer_norm(row);
  }
  EXPECT_EQ(problem.x.bits(), y);
  EXPECT_EQ(problem.rstd.bits(), rstd);
}

TEST_P(LayerNormKernel, SurvivesALargeMean) {
  const LayerNormProblem problem(4, 200, true, 2, 1000.0);
  kernels().layer_norm(problem.forward_args());
  // The mean is a float, and off by up to 3e-5 for that.
  EXPECT_TRUE(
      close(problem.y, reference::layer_norm_forward(problem.params, problem.x_values), 1e-4));
}

TEST_P(LayerNormKernel, ConstantRowsGiveTheShift) {
  const LayerNormProblem problem(2, 19, true, 3);
  for (size_t r = 0; r < 2; ++r) std::fill_n(problem.x.row(r), 19, 0.1f + 1e4f * r);
  kernels().layer_norm(problem.forward_args());
  for (size_t r = 0; r < 2; ++r) {
    EXPECT_NEAR(problem.rstd(0, r), 1.0 / std::sqrt(1e-3), 1e-4);
    for (size_t c = 0; c < 19; ++c) EXPECT_NEAR(problem.y(r, c), problem.beta(0, c), 1e-6);
  }
}

TEST_P(LayerNormKernel, NanSpoilsItsRowAlone) {
  for (size_t place = 0; place < 21; ++place) {
    const LayerNormProblem problem(2, 21, true, 4);
    problem.x(0, place) = std::nanf("");
    kernels().layer_norm(problem.forward_args());
    kernels().layer_norm_grad(problem.grad_args());
    for (size_t c = 0; c < 21; ++c) {
      EXPECT_TRUE(std::isnan(problem.y(0, c)) && std::isnan(problem.dx(0, c)));
      EXPECT_FALSE(std::isnan(problem.y(1, c)) || std::isnan(problem.dx(1, c)));
    }
  }
}

}  // namespace
}  // namespace ostinato::test
