// Connectionist temporal classification: its reference against differences and closed forms, and
// the core against the reference.
#include "reference/ctc.h"

#include <gtest/gtest.h>

#include "core/loss.h"
#include "gradient_check.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

using Labels = std::vector<int32_t>;

TEST(CtcReference, GradientMatchesDifferences) {
  reference::RandomSource random(3);
  reference::Matrix logits = random.matrix(4, 3, -2, 2);
  for (const Labels& labels : {Labels{1, 2}, Labels{1, 1}, Labels{}, Labels{2, 1, 2}}) {
    const auto f = [&] { return reference::ctc(logits, labels, 0).loss; };
    reference::expect_gradient("logits", f, logits.values(),
                               reference::ctc(logits, labels, 0).gradient);
  }
}

TEST(CtcReference, CountsPaths) {
  const reference::Matrix even(3, 4);  // every class has 1/4
  // a, aa, aaa, and with blanks before and after: 6 of 64 paths.
  EXPECT_NEAR(reference::ctc(even, {2}, 0).loss, -std::log(6.0 / 64.0), 1e-14);
  EXPECT_NEAR(reference::ctc(even, {2, 2}, 0).loss, -std::log(1.0 / 64.0), 1e-14);
  EXPECT_NEAR(reference::ctc(even, {}, 0).loss, -std::log(1.0 / 64.0), 1e-14);
  EXPECT_EQ(reference::ctc(even, {2, 2, 1}, 0).loss, std::numeric_limits<double>::infinity());
}

class CtcLoss : public EveryIsa {};
OSTINATO_EVERY_ISA(CtcLoss);

// Sequences of several lengths with their labels, packed as the core takes them.
struct CtcProblem {
  CtcProblem(std::vector<Labels> all, std::vector<int32_t> lengths, size_t classes,
             int32_t blank_id, uint64_t seed)
      : labels(std::move(all)), blank(blank_id) {
    geometry.assign(static_cast<int64_t>(lengths.size()), 0, lengths.data());
    reference::RandomSource random(seed);
    logits = random.matrix(static_cast<size_t>(geometry.rows()), classes, -3, 3);
    rows = std::make_unique<Rows>(logits);
    packed.assign(static_cast<size_t>(geometry.rows()), blank);
    for (int64_t b = 0; b < geometry.batch(); ++b) {
      const Labels& own = labels[static_cast<size_t>(geometry.batch_row(b))];
      for (size_t i = 0; i < own.size(); ++i) {
        packed[static_cast<size_t>(geometry.row(b, static_cast<int64_t>(i)))] = own[i];
      }
    }
    targets.labels = packed.data();
    targets.geometry = &geometry;
    config.kind = LossKind::kCtc;
    config.blank = blank;
  }
  reference::RowLoss want(int64_t b) const {
    reference::Matrix own(static_cast<size_t>(geometry.length(b)), logits.cols());
    for (size_t t = 0; t < own.rows(); ++t) {
      own.set_row(t, logits.row(static_cast<size_t>(geometry.row(b, static_cast<int64_t>(t)))));
    }
    return reference::ctc(own, labels[static_cast<size_t>(geometry.batch_row(b))], blank);
  }
  std::vector<Labels> labels;
  int32_t blank;
  Geometry geometry;
  reference::Matrix logits;
  std::unique_ptr<Rows> rows;
  Labels packed;
  Targets targets;
  LossConfig config;
};

TEST_P(CtcLoss, FollowsTheReference) {
  for (const int32_t blank : {0, 3}) {
    const int32_t a = blank == 0 ? 3 : 0;
    CtcProblem problem({{1, 2}, {a, a}, {}, {1, 2, 1}, {2}, {1, 1, 2}}, {5, 3, 4, 3, 1, 6}, 4,
                       blank, 11);
    const std::vector<float> weights(static_cast<size_t>(problem.geometry.rows()), 0.5f);
    for (const bool weighted : {false, true}) {
      problem.targets.weights = weighted ? weights.data() : nullptr;
      const double factor = weighted ? 0.5 : 1.0;
      Loss loss(problem.config, kernels());
      Rows dx(problem.geometry.rows(), 4);
      const LossValue value = loss.evaluate(problem.rows->view, problem.targets, dx.view, 1);
      EXPECT_EQ(value.count, 6);
      double sum = 0;
      for (int64_t b = 0; b < 6; ++b) {
        const reference::RowLoss want = problem.want(b);
        sum += factor * want.loss;
        for (int64_t t = 0; t < problem.geometry.length(b); ++t) {
          for (int64_t k = 0; k < 4; ++k) {
            EXPECT_NEAR(dx.view.row(problem.geometry.row(b, t))[k],
                        factor * want.gradient[static_cast<size_t>(t * 4 + k)] / 6.0, 1e-6);
          }
        }
      }
      EXPECT_NEAR(value.sum, sum, 1e-5);
      EXPECT_EQ(loss.evaluate(problem.rows->view, problem.targets, {}, 1).sum, value.sum);
    }
  }
}

TEST_P(CtcLoss, LongSequencesDoNotUnderflow) {
  Labels labels;
  for (int32_t i = 0; i < 300; ++i) labels.push_back(1 + i % 30);
  CtcProblem problem({labels}, {1000}, 31, 0, 5);
  Loss loss(problem.config, kernels());
  Rows dx(1000, 31);
  const LossValue value = loss.evaluate(problem.rows->view, problem.targets, dx.view, 1);
  EXPECT_TRUE(std::isfinite(value.sum));
  EXPECT_GT(value.sum, 1000.0);
  // The gradient of every step sums up to nothing: both parts are distributions.
  for (int64_t t = 0; t < 1000; ++t) {
    double sum = 0;
    for (int64_t k = 0; k < 31; ++k) sum += dx.view.row(t)[k];
    EXPECT_NEAR(sum, 0.0, 1e-5);
  }
}

TEST_P(CtcLoss, WhatCannotBeEmittedIsInfinite) {
  CtcProblem problem({{1, 1}, {2}}, {2, 2}, 3, 0, 5);
  Loss loss(problem.config, kernels());
  Rows dx(4, 3);
  EXPECT_TRUE(std::isinf(loss.evaluate(problem.rows->view, problem.targets, dx.view, 1).sum));
  for (int64_t t = 0; t < 2; ++t) {
    for (int64_t k = 0; k < 3; ++k) EXPECT_EQ(dx.view.row(2 * t)[k], 0.0f);
  }
}

TEST_P(CtcLoss, IsTheSameOnAnyNumberOfThreads) {
  std::vector<Labels> labels;
  std::vector<int32_t> lengths;
  for (int32_t b = 0; b < 40; ++b) {
    lengths.push_back(20 + b);
    labels.emplace_back(static_cast<size_t>(b % 10), 1 + b % 20);
  }
  CtcProblem problem(labels, lengths, 33, 0, 7);
  std::vector<double> sums;
  std::vector<reference::Vector> gradients;
  for (const int threads : {1, 2, 7}) {
    Loss loss(problem.config, kernels());
    Rows dx(problem.geometry.rows(), 33);
    sums.push_back(loss.evaluate(problem.rows->view, problem.targets, dx.view, threads).sum);
    gradients.push_back(vector_of(dx.view));
  }
  for (const size_t i : {1, 2}) {
    EXPECT_EQ(sums[i], sums[0]);
    EXPECT_EQ(gradients[i], gradients[0]);
  }
}

TEST_P(CtcLoss, NeedsSequencesAndABlank) {
  CtcProblem problem({{1}}, {2}, 3, 0, 5);
  problem.targets.geometry = nullptr;
  Loss loss(problem.config, kernels());
  message_of("ERR_SHAPE_MISMATCH",
             [&] { loss.evaluate(problem.rows->view, problem.targets, {}, 1); });
  problem.targets.geometry = &problem.geometry;
  problem.config.blank = 3;
  Loss beyond(problem.config, kernels());
  message_of("ERR_SHAPE_MISMATCH",
             [&] { beyond.evaluate(problem.rows->view, problem.targets, {}, 1); });
}

}  // namespace
}  // namespace ostinato::test
