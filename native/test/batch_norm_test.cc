// Batch normalisation: the reference against finite differences, kernels and layer against it, and
// what becomes of the running statistics.
#include "reference/batch_norm.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/trainer.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

using reference::BatchNormParams;
using reference::Statistics;
using reference::Vector;

constexpr double kBatchNormTolerance = 1e-5;

TEST(BatchNormReference, GradientsMatchDifferences) {
  reference::RandomSource random(1);
  for (const bool of_batch : {false, true}) {
    BatchNormParams params{random.vector(3), random.vector(3), 1e-3};
    const Statistics running{random.vector(3), random.vector(3, 0.5, 2.0)};
    reference::Matrix x = random.matrix(5, 3);
    const reference::Matrix dy = random.matrix(5, 3);
    const auto statistics = [&] { return of_batch ? statistics_of(x) : running; };
    const auto f = [&] {
      const Vector y = batch_norm_forward(params, statistics(), x).values();
      double total = 0;
      for (size_t i = 0; i < y.size(); ++i) total += y[i] * dy.values()[i];
      return total;
    };
    const auto d = batch_norm_backward(params, statistics(), of_batch, x, dy);
    reference::expect_gradient("x", f, x.values(), d.x.values());
    reference::expect_gradient("gamma", f, params.gamma, d.gamma);
    reference::expect_gradient("beta", f, params.beta, d.beta);
  }
}

class BatchNormTest : public EveryIsa {};
OSTINATO_EVERY_ISA(BatchNormTest);

TEST_P(BatchNormTest, KernelsFollowTheReferenceAndTouchOnlyTheirRows) {
  reference::RandomSource random(2);
  for (const size_t cols : edge_counts()) {
    const size_t rows = cols == 17 ? 300 : 5;  // more than a block of rows
    const auto n = static_cast<int64_t>(cols);
    const BatchNormParams params{random.vector(cols, 0.5, 1.5), random.vector(cols), 1e-3};
    const reference::Matrix x = random.matrix(rows, cols, 1.0, 4.0), dy = random.matrix(rows, cols);
    const GuardedRows x_rows(x), dy_rows(dy, 3), beta(reference::Matrix(1, cols, params.beta));
    GuardedRows mean(1, cols), variance(1, cols), scale(1, cols), slope(1, cols), mean_dy(1, cols),
        sum_dy(1, cols), products(1, cols), y(rows, cols, 2);
    ColumnMomentsArgs moments{};
    moments.rows = static_cast<int64_t>(rows);
    moments.x = x_rows.data(), moments.x_ld = x_rows.ld();
    moments.mean = mean.data(), moments.variance = variance.data();
    BatchNormArgs args{};
    args.rows = moments.rows, args.cols = n;
    args.x = x_rows.data(), args.x_ld = x_rows.ld();
    args.mean = mean.data(), args.scale = scale.data(), args.shift = beta.data();
    args.y = y.data(), args.y_ld = y.ld();
    args.dy = dy_rows.data(), args.dy_ld = dy_rows.ld();
    args.sum_dy = sum_dy.data(), args.sum_products = products.data();
    args.mean_dy = mean_dy.data(), args.slope = slope.data();
    args.dx = dy_rows.data(), args.dx_ld = dy_rows.ld();
    for (args.begin = 0; args.begin < n; args.begin = args.end) {
      args.end = std::min(n, args.begin + kPad);
      moments.begin = args.begin, moments.end = args.end;
      kernels().column_moments(moments);
      kernels().batch_norm_sums(args);
    }
    const Statistics want = statistics_of(x);
    EXPECT_TRUE(close(mean, reference::Matrix(1, cols, want.mean), 1e-6)) << cols;
    EXPECT_TRUE(close(variance, reference::Matrix(1, cols, want.variance), 1e-6)) << cols;
    const auto d = batch_norm_backward(params, want, true, x, dy);
    EXPECT_TRUE(close(sum_dy, reference::Matrix(1, cols, d.beta), kBatchNormTolerance)) << cols;
    for (size_t c = 0; c < cols; ++c) {
      const double rstd = 1 / std::sqrt(want.variance[c] + params.epsilon);
      EXPECT_NEAR(products(0, c) * rstd, d.gamma[c], 1e-5 * std::max(1.0, std::abs(d.gamma[c])));
      scale(0, c) = static_cast<float>(params.gamma[c] * rstd);
      mean_dy(0, c) = sum_dy(0, c) / static_cast<float>(rows);
      slope(0, c) = static_cast<float>(products(0, c) * rstd * rstd / static_cast<double>(rows));
    }
    kernels().batch_norm(args);
    EXPECT_TRUE(close(y, batch_norm_forward(params, want, x), 1e-5)) << cols;
    kernels().batch_norm_grad(args);
    EXPECT_TRUE(close(dy_rows, d.x, 1e-5)) << cols;
  }
}

TEST_P(BatchNormTest, MomentsSurviveALargeMeanAndConstantColumns) {
  reference::RandomSource random(3);
  reference::Matrix x = random.matrix(1000, 20, 999.0, 1001.0);
  for (size_t r = 0; r < 1000; ++r) x(r, 7) = 0.1f;
  const GuardedRows rows(x);
  GuardedRows mean(1, 20), variance(1, 20);
  ColumnMomentsArgs args{};
  args.rows = 1000, args.end = 20;
  args.x = rows.data(), args.x_ld = rows.ld();
  args.mean = mean.data(), args.variance = variance.data();
  kernels().column_moments(args);
  const Statistics want = statistics_of(x);
  EXPECT_TRUE(close(variance, reference::Matrix(1, 20, want.variance), 1e-5));
  EXPECT_TRUE(close(mean, reference::Matrix(1, 20, want.mean), 1e-6));
  EXPECT_GE(variance(0, 7), 0.0f);
}

std::shared_ptr<Network> norm_network(const Kernels& kernels, int64_t features, bool timed) {
  return make_network(kernels, {features, timed, false},
                      {layer("batchNorm", {{"epsilon", 1e-3}, {"momentum", 0.9}}, "n")});
}

TEST_P(BatchNormTest, LayerFollowsTheReferenceInBothModesOnAnyNumberOfThreads) {
  reference::RandomSource random(4);
  // Ragged: the rows of a batch are the steps that there are.
  const std::vector<int32_t> lengths{40, 0, 90, 35, 90, 1};
  Geometry geometry;
  geometry.assign(6, 0, lengths.data());
  const auto rows = static_cast<size_t>(geometry.rows());
  constexpr size_t kCols = 400;
  const BatchNormParams params{random.vector(kCols, 0.5, 1.5), random.vector(kCols), 1e-3};
  const Statistics running{random.vector(kCols), random.vector(kCols, 0.5, 2.0)};
  const reference::Matrix x = random.matrix(rows, kCols), dy = random.matrix(rows, kCols);
  const Rows x_rows(x);
  for (const bool training : {false, true}) {
    const Statistics used = training ? statistics_of(x) : running;
    std::vector<Vector> all;
    for (const int threads : {1, 2, 7}) {
      const auto network = norm_network(kernels(), kCols, true);
      set_param(*network, "n.weight", params.gamma);
      set_param(*network, "n.bias", params.beta);
      set_param(*network, "n.running_mean", running.mean);
      set_param(*network, "n.running_var", running.variance);
      Executor executor(network);
      RunOptions options;
      options.threads = threads;
      options.training = training;
      options.gradients = options.input_gradient = true;
      const Vector y = vector_of(executor.forward(geometry, floats(x_rows), options).floats);
      const Vector dx = vector_of(executor.backward(Rows(dy).view));
      const Vector dgamma = gradient_of(*network, "n.weight");
      const auto want = batch_norm_backward(params, used, training, x, dy);
      OSTINATO_EXPECT_CLOSE(y, batch_norm_forward(params, used, x).values(), kBatchNormTolerance);
      OSTINATO_EXPECT_CLOSE(dx, want.x.values(), kBatchNormTolerance);
      OSTINATO_EXPECT_CLOSE(dgamma, want.gamma, kBatchNormTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "n.bias"), want.beta, kBatchNormTolerance);
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "n.running_mean"), Vector(kCols, 0.0), 0);
      const auto running_mean = [&] {
        return vector_of(network->params().value(param_index(*network, "n.running_mean")), kCols);
      };
      EXPECT_EQ(running_mean(), running.mean) << "nothing moves before the step counts";
      executor.commit();
      Vector moved = running.mean, variance = running.variance;
      for (size_t c = 0; training && c < kCols; ++c) {
        const double n = static_cast<double>(rows);
        moved[c] = 0.9 * moved[c] + 0.1 * used.mean[c];
        variance[c] = 0.9 * variance[c] + 0.1 * used.variance[c] * n / (n - 1);
      }
      OSTINATO_EXPECT_CLOSE(running_mean(), moved, 1e-6);
      OSTINATO_EXPECT_CLOSE(
          vector_of(network->params().value(param_index(*network, "n.running_var")), kCols),
          variance, 1e-6);
      all.push_back(y);
      for (const Vector& more : {dx, dgamma, running_mean()}) {
        all.back().insert(all.back().end(), more.begin(), more.end());
      }
    }
    EXPECT_EQ(all[1], all[0]);
    EXPECT_EQ(all[2], all[0]);
  }
}

TEST_P(BatchNormTest, ABatchOfOneRowOrNoneIsNoTrouble) {
  for (const int64_t batch : {0, 1}) {
    const auto network = norm_network(kernels(), 2, false);
    Executor executor(network);
    Geometry geometry;
    geometry.assign(batch, 1, nullptr);
    RunOptions options;
    options.training = options.gradients = options.input_gradient = true;
    const Rows x(reference::Matrix(batch, 2, Vector(2 * batch, 5.0)));
    const Value y = executor.forward(geometry, floats(x), options);
    EXPECT_EQ(vector_of(y.floats), Vector(2 * batch, 0.0));  // one row is its own mean
    executor.backward(Rows(reference::Matrix(batch, 2, Vector(2 * batch, 1.0))).view);
    executor.commit();
    const float* mean = network->params().value(param_index(*network, "n.running_mean"));
    EXPECT_NEAR(mean[0], batch == 0 ? 0.0 : 0.5, 1e-6);
    const float* variance = network->params().value(param_index(*network, "n.running_var"));
    EXPECT_NEAR(variance[0], batch == 0 ? 1.0 : 0.9, 1e-6);
  }
}

// Regression of a row on itself, with samples of one row.
Dataset row_data(const reference::Matrix& x, const reference::Matrix& y) {
  Dataset data;
  data.features = static_cast<int64_t>(x.cols());
  data.target_kind = Dataset::TargetKind::kDense;
  data.target_features = static_cast<int64_t>(y.cols());
  for (size_t r = 0; r < x.rows(); ++r) {
    data.input_offset.push_back(static_cast<int64_t>(r));
    data.target_offset.push_back(static_cast<int64_t>(r));
    data.length.push_back(1);
  }
  for (const double value : x.values()) data.input_floats.push_back(static_cast<float>(value));
  for (const double value : y.values()) data.target_floats.push_back(static_cast<float>(value));
  return data;
}

TEST(BatchNorm, NoOptimiserTouchesStatisticsAndNoFailedStepMovesThem) {
  reference::RandomSource random(5);
  const Kernels& kernels = *available_kernels().back();
  const reference::Matrix x = random.matrix(6, 3, 1.0, 2.0), y = random.matrix(6, 3);
  reference::Matrix bad = y;
  bad(2, 1) = std::numeric_limits<double>::infinity();
  const Dataset data = row_data(x, y), bad_data = row_data(x, bad);
  const std::vector<int32_t> samples{0, 1, 2, 3, 4, 5};
  for (const OptimizerKind kind :
       {OptimizerKind::kSgd, OptimizerKind::kLion, OptimizerKind::kScheduleFreeAdam}) {
    OptimizerConfig optimizer;
    optimizer.kind = kind;
    optimizer.weight_decay = 0.5;
    optimizer.decay_all = true;
    optimizer.averaging = Averaging::kExponential;
    const auto network = norm_network(kernels, 3, false);
    Trainer trainer(network, {LossKind::kMeanSquaredError}, optimizer);
    const int mean = param_index(*network, "n.running_mean");
    const auto step = [&](const Dataset& on) {
      return trainer.step(on, samples.data(), 6, 0.1, false, false, 1, nullptr);
    };
    Vector want(3, 0.0);
    for (int i = 0; i < 4; ++i) {
      EXPECT_FALSE(step(data).diverged);
      for (size_t c = 0; c < 3; ++c) want[c] = 0.9 * want[c] + 0.1 * statistics_of(x).mean[c];
      OSTINATO_EXPECT_CLOSE(vector_of(network->params().value(mean), 3), want, 1e-6);
      EXPECT_TRUE(step(bad_data).diverged);
      OSTINATO_EXPECT_CLOSE(vector_of(network->params().value(mean), 3), want, 1e-6);
    }
    for (const Optimizer::Slot& slot : trainer.optimizer().slots()) {
      if (std::string(slot.name) != "average") continue;
      EXPECT_EQ(vector_of(slot.values + network->params().entries()[mean].offset, 3),
                vector_of(network->params().value(mean), 3));
    }
  }
}

}  // namespace
}  // namespace ostinato::test
