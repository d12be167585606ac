#include "core/loss.h"

#include <gtest/gtest.h>

#include "reference/losses.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

class Losses : public EveryIsa {};
OSTINATO_EVERY_ISA(Losses);

struct Problem {
  reference::LossConfig config;
  reference::Matrix x;
  reference::LossTargets targets;
};

Problem make_problem(reference::LossKind kind, bool from_logits, size_t rows, size_t cols,
                     bool masked, bool weighted, uint64_t seed) {
  reference::RandomSource random(seed);
  Problem problem{{kind, from_logits, 0.7}, random.matrix(rows, cols, -3, 3), {}};
  problem.config.quantiles = {0.25, 0.9};
  if (kind == reference::LossKind::kSparseCategoricalFocal) {
    problem.config.class_weights = random.vector(cols, 0.5, 2.0);
  }
  if (!from_logits) problem.x = random.matrix(rows, cols, 0.05, 0.95);
  problem.targets.labels = random.labels(rows, cols);
  problem.targets.values =
      kind == reference::LossKind::kCategoricalCrossentropy
          ? random.probabilities(rows, cols)
          : random.matrix(rows, cols / problem.config.predictions_per_target(), 0.0, 1.0);
  if (masked) problem.targets.mask = random.mask(rows);
  if (weighted) problem.targets.weights = random.vector(rows, 0.0, 2.0);
  return problem;
}

// The same targets as the core takes them.
struct CoreTargets {
  explicit CoreTargets(const Problem& problem)
      : dense(problem.targets.values),
        weights(problem.targets.weights.begin(), problem.targets.weights.end()),
        mask(problem.targets.mask.begin(), problem.targets.mask.end()) {
    const bool sparse = problem.config.is_sparse();
    if (sparse) view.labels = problem.targets.labels.data();
    if (!sparse) view.dense = dense.view;
    if (!weights.empty()) view.weights = weights.data();
    if (!mask.empty()) view.mask = mask.data();
  }
  Rows dense;
  std::vector<float> weights, mask;
  Targets view;
};

LossConfig core_config(const reference::LossConfig& config) {
  return {static_cast<LossKind>(static_cast<int>(config.kind)),
          config.from_logits,
          config.delta,
          config.smoothing,
          config.gamma,
          {config.class_weights.begin(), config.class_weights.end()},
          {config.quantiles.begin(), config.quantiles.end()},
          0};
}

TEST_P(Losses, FollowTheReference) {
  uint64_t seed = 0;
  for (const auto kind :
       {reference::LossKind::kSparseCategoricalCrossentropy,
        reference::LossKind::kCategoricalCrossentropy, reference::LossKind::kBinaryCrossentropy,
        reference::LossKind::kMeanSquaredError, reference::LossKind::kMeanAbsoluteError,
        reference::LossKind::kHuber}) {
    for (const bool from_logits : {true, false}) {
      for (const auto& [rows, cols] : {std::pair<size_t, size_t>{1, 1}, {5, 7}, {33, 65}}) {
        for (const int extras : {0, 1, 2, 3}) {
          const Problem problem =
              make_problem(kind, from_logits, rows, cols, extras & 1, extras & 2, ++seed);
          const reference::LossResult want =
              reference::loss(problem.config, problem.x, problem.targets);
          Loss loss(core_config(problem.config), kernels());
          Rows x(problem.x), dx(static_cast<int64_t>(rows), static_cast<int64_t>(cols));
          const CoreTargets targets(problem);
          const LossValue value = loss.evaluate(x.view, targets.view, dx.view, 1);
          EXPECT_NEAR(value.mean(), want.loss, 1e-5 * std::max(1.0, std::abs(want.loss)));
          // A row of one class has no gradient but rounding.
          const bool one_class = cols == 1 && static_cast<int>(kind) < 2 && from_logits;
          if (!one_class) {
            OSTINATO_EXPECT_CLOSE(vector_of(dx.view), want.gradient.values(), 1e-5)
                << static_cast<int>(kind) << from_logits << rows;
          }
          // Without a gradient, and over itself.
          EXPECT_EQ(loss.evaluate(x.view, targets.view, {}, 1).sum, value.sum);
          EXPECT_EQ(loss.evaluate(x.view, targets.view, x.view, 1).sum, value.sum);
          EXPECT_EQ(vector_of(x.view), vector_of(dx.view));
        }
      }
    }
  }
}

TEST_P(Losses, WithSeveralPredictionsForATargetFollowTheReference) {
  uint64_t seed = 100;
  for (const auto kind : {reference::LossKind::kSparseCategoricalFocal,
                          reference::LossKind::kQuantile, reference::LossKind::kGaussian,
                          reference::LossKind::kStudentT, reference::LossKind::kNegativeBinomial}) {
    const Problem problem = make_problem(kind, true, 33, 6, true, true, ++seed);
    const reference::LossResult want = reference::loss(problem.config, problem.x, problem.targets);
    Loss loss(core_config(problem.config), kernels());
    Rows x(problem.x), dx(33, 6);
    const CoreTargets targets(problem);
    EXPECT_NEAR(loss.evaluate(x.view, targets.view, dx.view, 1).mean(), want.loss, 1e-5);
    OSTINATO_EXPECT_CLOSE(vector_of(dx.view), want.gradient.values(), 1e-5)
        << static_cast<int>(kind);
    // On a number of predictions that cannot be.
    const Rows seven(reference::Matrix(33, 7));
    message_of("ERR_SHAPE_MISMATCH", [&] { loss.evaluate(seven.view, targets.view, {}, 1); });
  }
}

TEST_P(Losses, CountRowsAndRightAnswers) {
  const Rows x(reference::Matrix(4, 3, {1, 2, 3, 3, 2, 1, 0, 5, 0, 9, 0, 0}));
  const std::vector<int32_t> labels{2, 0, 0, 0};
  const std::vector<float> mask{1, 1, 1, 0};
  Targets targets;
  targets.labels = labels.data();
  targets.mask = mask.data();
  Loss loss({LossKind::kSparseCategoricalCrossentropy}, kernels());
  const LossValue value = loss.evaluate(x.view, targets, {}, 1);
  EXPECT_EQ(value.count, 3);
  EXPECT_EQ(value.correct, 2);
}

TEST_P(Losses, NoCountedRowsGiveZeroAndNoGradient) {
  const Rows x(reference::Matrix(2, 3, {1, 2, 3, 4, 5, 6}));
  const std::vector<int32_t> labels{0, 0};
  const std::vector<float> mask{0, 0};
  Targets targets;
  targets.labels = labels.data();
  targets.mask = mask.data();
  Loss loss({LossKind::kSparseCategoricalCrossentropy}, kernels());
  Rows dx(2, 3);
  const LossValue value = loss.evaluate(x.view, targets, dx.view, 1);
  EXPECT_EQ(value.mean(), 0.0);
  EXPECT_EQ(vector_of(dx.view), reference::Vector(6, 0.0));
  const Rows none(0, 3);
  EXPECT_EQ(loss.evaluate(none.view, targets, {}, 1).count, 0);
}

TEST_P(Losses, AreTheSameOnAnyNumberOfThreads) {
  const Problem problem = make_problem(reference::LossKind::kSparseCategoricalCrossentropy, true,
                                       2000, 100, true, true, 77);
  const CoreTargets targets(problem);
  const Rows x(problem.x);
  std::vector<double> sums;
  std::vector<reference::Vector> gradients;
  for (const int threads : {1, 2, 7}) {
    Loss loss(core_config(problem.config), kernels());
    Rows dx(2000, 100);
    sums.push_back(loss.evaluate(x.view, targets.view, dx.view, threads).sum);
    gradients.push_back(vector_of(dx.view));
  }
  for (const size_t i : {1, 2}) {
    EXPECT_EQ(sums[i], sums[0]);
    EXPECT_EQ(gradients[i], gradients[0]);
  }
}

TEST_P(Losses, RefuseTargetsOfAnotherKind) {
  const Rows x(reference::Matrix(1, 3, {1, 2, 3})), two(reference::Matrix(1, 2, {1, 2}));
  const int32_t label = 0;
  Targets labels, dense;
  labels.labels = &label;
  dense.dense = two.view;
  Loss sparse({LossKind::kSparseCategoricalCrossentropy}, kernels()), mse({}, kernels());
  message_of("ERR_SHAPE_MISMATCH", [&] { sparse.evaluate(x.view, dense, {}, 1); });
  message_of("ERR_SHAPE_MISMATCH", [&] { mse.evaluate(x.view, labels, {}, 1); });
  message_of("ERR_SHAPE_MISMATCH", [&] { mse.evaluate(x.view, dense, {}, 1); });
}

}  // namespace
}  // namespace ostinato::test
