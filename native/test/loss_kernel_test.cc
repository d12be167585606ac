// The loss kernel against the reference, row by row, and where rows are extreme.
#include <gtest/gtest.h>

#include <limits>

#include "kernels/kernels.h"
#include "reference/losses.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kDelta = 0.75;

struct LossCase {
  LossKind kind;
  bool from_logits;
  float smoothing = 0.0f;
  bool weighted = false;
};
constexpr LossCase kCases[] = {
    {LossKind::kSparseCategoricalCrossentropy, true},
    {LossKind::kSparseCategoricalCrossentropy, false},
    {LossKind::kCategoricalCrossentropy, true},
    {LossKind::kCategoricalCrossentropy, false},
    {LossKind::kBinaryCrossentropy, true},
    {LossKind::kBinaryCrossentropy, false},
    {LossKind::kMeanSquaredError, false},
    {LossKind::kMeanAbsoluteError, false},
    {LossKind::kHuber, false},
    {LossKind::kSparseCategoricalCrossentropy, true, 0.0f, true},
    {LossKind::kSparseCategoricalCrossentropy, true, 0.2f},
    {LossKind::kSparseCategoricalCrossentropy, true, 0.2f, true},
    {LossKind::kSparseCategoricalCrossentropy, false, 0.2f, true},
    {LossKind::kCategoricalCrossentropy, true, 0.2f},
    {LossKind::kCategoricalCrossentropy, true, 0.2f, true},
    {LossKind::kCategoricalCrossentropy, false, 0.2f, true},
    {LossKind::kBinaryCrossentropy, true, 0.2f, true},
    {LossKind::kBinaryCrossentropy, true, 0.2f},
    {LossKind::kBinaryCrossentropy, false, 0.2f, true},
    {LossKind::kSparseCategoricalFocal, true},
    {LossKind::kSparseCategoricalFocal, true, 0.0f, true},
    {LossKind::kCategoricalFocal, true, 0.0f, true},
    {LossKind::kBinaryFocal, true},
    {LossKind::kBinaryFocal, true, 0.0f, true},
    {LossKind::kKlDivergence, true},
    {LossKind::kKlDivergence, false},
    {LossKind::kCosine, false},
    {LossKind::kQuantile, false},
    {LossKind::kGaussian, false},
    {LossKind::kStudentT, false},
    {LossKind::kNegativeBinomial, false},
};

bool is_sparse(const LossCase& which) {
  return which.kind == LossKind::kSparseCategoricalCrossentropy ||
         which.kind == LossKind::kSparseCategoricalFocal;
}
bool is_categorical(const LossCase& which) {
  return is_sparse(which) || which.kind == LossKind::kCategoricalCrossentropy ||
         which.kind == LossKind::kCategoricalFocal || which.kind == LossKind::kKlDivergence;
}
bool is_binary(const LossCase& which) {
  return which.kind == LossKind::kBinaryCrossentropy || which.kind == LossKind::kBinaryFocal;
}

reference::LossConfig reference_config(const LossCase& which) {
  return {static_cast<reference::LossKind>(static_cast<int>(which.kind)),
          which.from_logits,
          kDelta,
          which.smoothing,
          1.5,
          {},
          {0.1, 0.5, 0.8}};
}

// Predictions for each target.
size_t share_of(const LossCase& which) { return reference_config(which).predictions_per_target(); }

// Predictions, targets and results of one call.
struct LossProblem {
  LossProblem(const LossCase& which, size_t rows, size_t cols, uint64_t seed)
      : LossProblem(which, rows, cols, reference::RandomSource(seed)) {}

  LossArgs args() {
    LossArgs args{};
    args.kind = which.kind;
    args.from_logits = which.from_logits;
    args.delta = static_cast<float>(kDelta);
    args.smoothing = which.smoothing;
    args.gamma = 1.5f;
    args.class_weights = class_weights.empty() ? nullptr : class_weights.data();
    args.quantiles = kQuantiles;
    args.quantile_count = 3;
    args.rows = static_cast<int64_t>(x.rows());
    args.cols = static_cast<int64_t>(x.cols());
    args.x = x.data(), args.x_ld = x.ld();
    if (is_sparse(which)) {
      args.labels = labels.data();
    } else {
      args.targets = t.data(), args.targets_ld = t.ld();
    }
    args.scale = scale.data();
    args.loss = loss.data();
    args.correct = is_categorical(which) ? correct.data() : nullptr;
    args.dx = dx.data(), args.dx_ld = dx.ld();
    return args;
  }
  reference::RowLoss reference_row(size_t r) const {
    reference::LossConfig config = reference_config(which);
    config.class_weights.assign(class_weights.begin(), class_weights.end());
    return reference::row_loss(config, reference::Vector(x.row(r), x.row(r) + x.cols()),
                               targets_of(r));
  }
  // The targets of row r as the kernel sees them.
  reference::Vector targets_of(size_t r) const {
    if (is_sparse(which)) return reference::one_hot(labels[r], x.cols());
    return reference::Vector(t.row(r), t.row(r) + t.cols());
  }

  LossCase which;
  GuardedRows x, t, dx, loss, scale;
  std::vector<int32_t> labels, correct;
  std::vector<float> class_weights;

 private:
  static constexpr float kQuantiles[] = {0.1f, 0.5f, 0.8f};
  LossProblem(const LossCase& chosen, size_t rows, size_t cols, reference::RandomSource random)
      : which(chosen),
        x(chosen.from_logits || !(is_categorical(chosen) || is_binary(chosen))
              ? random.matrix(rows, cols, -4, 4)
              : random.matrix(rows, cols, 0.02, 0.98)),
        t(make_targets(chosen, rows, cols / share_of(chosen), random), 3),
        dx(rows, cols, 8),
        loss(1, rows),
        scale(random.matrix(1, rows, 0.1, 2)),
        labels(random.labels(rows, cols)),
        correct(rows, -1) {
    if (!chosen.weighted) return;
    const reference::Vector drawn = random.vector(is_binary(chosen) ? 2 : cols, 0.5, 2.0);
    class_weights.assign(drawn.begin(), drawn.end());
  }

  static reference::Matrix make_targets(const LossCase& which, size_t rows, size_t cols,
                                        reference::RandomSource& random) {
    if (is_categorical(which)) return random.probabilities(rows, cols);
    reference::Matrix values = random.matrix(rows, cols, 0, 1);
    if (which.kind == LossKind::kNegativeBinomial) {
      for (double& value : values.values()) value = std::floor(value * 20);
    }
    return values;
  }
};

class LossKernel : public EveryIsa {};
OSTINATO_EVERY_ISA(LossKernel);

TEST_P(LossKernel, FollowsTheReference) {
  for (const LossCase& which : kCases) {
    for (const size_t count : edge_counts()) {
      const size_t cols = count * share_of(which);
      for (const size_t rows : {1, 4}) {
        SCOPED_TRACE(testing::Message()
                     << static_cast<int>(which.kind)
                     << (which.from_logits ? " from logits, " : ", ") << rows << " x " << cols);
        LossProblem problem(which, rows, cols, cols);
        kernels().loss(problem.args());
        reference::Matrix want_dx(rows, cols), want_loss(1, rows);
        for (size_t r = 0; r < rows; ++r) {
          const reference::Vector x(problem.x.row(r), problem.x.row(r) + cols);
          const reference::Vector t = problem.targets_of(r);
          const reference::RowLoss want = problem.reference_row(r);
          want_loss(0, r) = want.loss;
          for (size_t c = 0; c < cols; ++c) {
            want_dx(r, c) = want.gradient[c] * static_cast<double>(problem.scale(0, r));
          }
          if (!is_categorical(which)) continue;
          const bool right = std::max_element(x.begin(), x.end()) - x.begin() ==
                             std::max_element(t.begin(), t.end()) - t.begin();
          EXPECT_EQ(problem.correct[r], right ? 1 : 0);
        }
        EXPECT_TRUE(close(problem.loss, want_loss, 2e-6));
        EXPECT_TRUE(close(problem.dx, want_dx, 2e-6));
      }
    }
  }
}

TEST_P(LossKernel, InPlaceWithoutGradientAndByRowsGivesTheSameBits) {
  for (const LossCase& which : kCases) {
    SCOPED_TRACE(testing::Message() << static_cast<int>(which.kind) << which.from_logits);
    const size_t cols = 45 * share_of(which);
    LossProblem problem(which, 5, cols, 7), by_rows(which, 5, cols, 7);
    kernels().loss(problem.args());
    for (size_t r = 0; r < 5; ++r) {
      LossArgs args = by_rows.args();
      args.rows = 1;
      args.x = by_rows.x.row(r), args.dx = by_rows.dx.row(r);
      if (args.labels != nullptr) args.labels += r;
      if (args.targets != nullptr) args.targets = by_rows.t.row(r);
      if (args.correct != nullptr) args.correct += r;
      args.scale += r, args.loss += r;
      kernels().loss(args);
    }
    EXPECT_EQ(by_rows.dx.bits(), problem.dx.bits());
    EXPECT_EQ(by_rows.loss.bits(), problem.loss.bits());
    EXPECT_EQ(by_rows.correct, problem.correct);

    const auto loss = problem.loss.bits();
    const auto correct = problem.correct;
    LossArgs args = problem.args();
    args.dx = nullptr, args.scale = nullptr;
    std::fill_n(problem.loss.row(0), 5, -1.0f);
    kernels().loss(args);
    EXPECT_EQ(problem.loss.bits(), loss);
    args = problem.args();
    args.dx = problem.x.data(), args.dx_ld = problem.x.ld();
    kernels().loss(args);
    EXPECT_EQ(problem.x.bits(), problem.dx.bits());
    EXPECT_EQ(problem.loss.bits(), loss);
    EXPECT_EQ(problem.correct, correct);
  }
}

TEST_P(LossKernel, NanIsNotLost) {
  for (const LossCase& which : kCases) {
    for (const size_t count : {1, 3, 5, 9, 17, 40}) {
      const size_t cols = count * share_of(which);
      for (size_t place = 0; place < cols; ++place) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(which.kind) << which.from_logits << ", "
                                        << place << " of " << cols);
        LossProblem problem(which, 2, cols, 3);
        problem.x(0, place) = kNan;
        kernels().loss(problem.args());
        // From probabilities the label's own is all that the sparse loss reads.
        const bool read = which.from_logits || which.smoothing > 0 || !is_sparse(which) ||
                          problem.labels[0] == static_cast<int32_t>(place);
        EXPECT_EQ(std::isnan(problem.loss(0, 0)), read);
        EXPECT_EQ(std::isnan(problem.dx(0, place)), read);
        EXPECT_FALSE(std::isnan(problem.loss(0, 1)));
        if (is_categorical(which)) {
          EXPECT_EQ(problem.correct[0], 0);
        }
        if (is_categorical(which) && which.from_logits) {
          for (size_t c = 0; c < cols; ++c) EXPECT_TRUE(std::isnan(problem.dx(0, c)));
        }
      }
    }
  }
}

TEST_P(LossKernel, RowsThatDoNotCountHaveNoGradient) {
  for (const LossCase& which : kCases) {
    const size_t cols = 21 * share_of(which);
    LossProblem problem(which, 2, cols, 5);
    problem.scale(0, 0) = 0.0f;
    problem.x(0, 13) = kNan;
    problem.t(0, 20) = kNan;
    kernels().loss(problem.args());
    for (size_t c = 0; c < cols; ++c) {
      EXPECT_EQ(problem.dx(0, c), 0.0f);
      EXPECT_FALSE(std::isnan(problem.dx(1, c)));
    }
  }
}

TEST_P(LossKernel, FirstMaximumWins) {
  for (const bool from_logits : {true, false}) {
    const LossCase sparse{LossKind::kSparseCategoricalCrossentropy, from_logits};
    const LossCase dense{LossKind::kCategoricalCrossentropy, from_logits};
    for (const size_t cols : {2, 5, 16, 40}) {
      LossProblem a(sparse, cols, cols, 1), b(dense, cols, cols, 1);
      const size_t first = cols / 3;
      for (size_t r = 0; r < cols; ++r) {
        std::fill_n(a.x.row(r), cols, 0.25f);
        for (size_t c = first; c < cols; ++c) a.x(r, c) = 0.5f;
        std::copy_n(a.x.row(r), cols, b.x.row(r));
        std::fill_n(b.t.row(r), cols, 0.0f);
        b.t(r, r) = 1.0f;
        a.labels[r] = static_cast<int32_t>(r);
      }
      kernels().loss(a.args());
      kernels().loss(b.args());
      for (size_t r = 0; r < cols; ++r) {
        EXPECT_EQ(a.correct[r], r == first) << r << " of " << cols;
        EXPECT_EQ(b.correct[r], r == first) << r << " of " << cols;
      }
    }
  }
}

TEST_P(LossKernel, ExtremeLogitsStayFinite) {
  LossProblem sparse({LossKind::kSparseCategoricalCrossentropy, true}, 2, 5, 1);
  LossProblem dense({LossKind::kCategoricalCrossentropy, true}, 2, 5, 1);
  const float logits[2][5] = {{1e4f, -1e4f, 0, 3e4f, -kInf}, {-2e4f, -2e4f, -kInf, -kInf, -kInf}};
  const double want[2] = {4e4, std::log(2.0)};
  for (size_t r = 0; r < 2; ++r) {
    std::copy_n(logits[r], 5, sparse.x.row(r));
    std::copy_n(logits[r], 5, dense.x.row(r));
    std::fill_n(dense.t.row(r), 5, 0.0f);
    dense.t(r, 1) = 1.0f;
    sparse.labels[r] = 1;
  }
  kernels().loss(sparse.args());
  kernels().loss(dense.args());
  for (size_t r = 0; r < 2; ++r) {
    EXPECT_FLOAT_EQ(sparse.loss(0, r), static_cast<float>(want[r]));
    EXPECT_FLOAT_EQ(dense.loss(0, r), static_cast<float>(want[r]));
    for (size_t c = 0; c < 5; ++c) {
      const float p = r == 0 ? c == 3 : c < 2 ? 0.5f : 0.0f;
      EXPECT_FLOAT_EQ(sparse.dx(r, c), sparse.scale(0, r) * (p - (c == 1)));
      EXPECT_FLOAT_EQ(dense.dx(r, c), dense.scale(0, r) * (p - (c == 1)));
    }
  }
  // A label that the model has ruled out.
  sparse.labels[1] = 4;
  kernels().loss(sparse.args());
  EXPECT_EQ(sparse.loss(0, 1), kInf);
}

TEST_P(LossKernel, BinaryLossKeepsTheDigitsOfSurePredictions) {
  LossProblem problem({LossKind::kBinaryCrossentropy, true}, 4, 1, 1);
  const float x[] = {20.0f, -30.0f, 200.0f, -1e4f};
  const float t[] = {1.0f, 0.0f, 0.0f, 1.0f};
  for (size_t r = 0; r < 4; ++r) problem.x(r, 0) = x[r], problem.t(r, 0) = t[r];
  kernels().loss(problem.args());
  EXPECT_FLOAT_EQ(problem.loss(0, 0), static_cast<float>(std::log1p(std::exp(-20.0))));
  EXPECT_FLOAT_EQ(problem.loss(0, 1), static_cast<float>(std::log1p(std::exp(-30.0))));
  EXPECT_FLOAT_EQ(problem.loss(0, 2), 200.0f);
  EXPECT_FLOAT_EQ(problem.loss(0, 3), 1e4f);
}

TEST_P(LossKernel, ProbabilitiesAreClampedInsideLogarithms) {
  const double worst = -std::log(1e-7);
  for (const LossCase& which : kCases) {
    if (which.from_logits || which.smoothing > 0 || which.kind == LossKind::kKlDivergence ||
        !(is_categorical(which) || which.kind == LossKind::kBinaryCrossentropy)) {
      continue;
    }
    LossProblem problem(which, 2, 2, 1);
    for (size_t r = 0; r < 2; ++r) {  // certain and wrong, then certain and right
      problem.x(r, 0) = r == 0 ? 0.0f : 1.0f;
      problem.x(r, 1) = r == 0 ? 1.0f : 0.0f;
      problem.t(r, 0) = 1.0f;
      problem.t(r, 1) = 0.0f;
      problem.labels[r] = 0;
    }
    kernels().loss(problem.args());
    EXPECT_NEAR(problem.loss(0, 0), worst, 1e-5);
    EXPECT_NEAR(problem.loss(0, 1), 0.0, 2e-7);
    for (size_t c = 0; c < 2; ++c) {
      EXPECT_EQ(problem.dx(0, c), 0.0f);
      EXPECT_EQ(problem.dx(1, c), 0.0f);
    }
  }
}

TEST_P(LossKernel, FocalLossesOfExtremeLogitsStayFinite) {
  for (const float gamma : {0.0f, 0.5f, 2.0f}) {
    LossProblem sparse({LossKind::kSparseCategoricalFocal, true}, 2, 3, 1);
    LossProblem binary({LossKind::kBinaryFocal, true}, 2, 2, 1);
    for (size_t r = 0; r < 2; ++r) {  // certain and wrong, then certain and right
      sparse.labels[r] = static_cast<int32_t>(r);
      const float logits[] = {-3e3f, 3e3f, -kInf};
      std::copy_n(logits, 3, sparse.x.row(r));
      std::copy_n(logits, 2, binary.x.row(r));
      binary.t(r, 0) = r == 0 ? 1.0f : 0.0f;
      binary.t(r, 1) = r == 0 ? 0.0f : 1.0f;
    }
    for (LossProblem* problem : {&sparse, &binary}) {
      LossArgs args = problem->args();
      args.gamma = gamma;
      kernels().loss(args);
      EXPECT_FLOAT_EQ(problem->loss(0, 0), problem == &sparse ? 6e3f : 3e3f);
      EXPECT_NEAR(problem->loss(0, 1), 0.0f, 1e-6f);
      for (size_t c = 0; c < 2; ++c) {
        const float sign = c == 0 ? -1.0f : 1.0f;
        const float share = problem == &sparse ? 1.0f : 0.5f;
        EXPECT_NEAR(problem->dx(0, c), sign * share * problem->scale(0, 0), 1e-6f) << gamma;
        EXPECT_NEAR(problem->dx(1, c), 0.0f, 1e-6f) << gamma;
      }
    }
  }
}

TEST_P(LossKernel, LikelihoodsOfExtremeParametersStayFinite) {
  const LossKind kinds[] = {LossKind::kGaussian, LossKind::kStudentT, LossKind::kNegativeBinomial};
  for (const LossKind kind : kinds) {
    const LossCase which{kind, false};
    for (const float t : {0.0f, 1.0f, 1e5f}) {
      for (const float a : {-1e3f, -20.0f, 0.0f, 1e3f}) {
        for (const float b : {-1e3f, -20.0f, 0.0f, 1e3f}) {
          LossProblem problem(which, 1, share_of(which), 1);
          const float x[] = {a, b, a};
          std::copy_n(x, share_of(which), problem.x.row(0));
          problem.t(0, 0) = t;
          kernels().loss(problem.args());
          const reference::RowLoss want = problem.reference_row(0);
          EXPECT_TRUE(std::isfinite(problem.loss(0, 0)));
          EXPECT_NEAR(problem.loss(0, 0), want.loss, 1e-5 * std::max(1.0, std::abs(want.loss)))
              << static_cast<int>(kind) << " at " << t << " with " << a << ", " << b;
          for (size_t c = 0; c < share_of(which); ++c) {
            EXPECT_TRUE(std::isfinite(problem.dx(0, c)));
          }
        }
      }
    }
  }
}

TEST_P(LossKernel, NegativeCountsHaveNoLikelihood) {
  LossProblem problem({LossKind::kNegativeBinomial, false}, 1, 2, 1);
  problem.t(0, 0) = -1.0f;
  kernels().loss(problem.args());
  EXPECT_TRUE(std::isnan(problem.loss(0, 0)));
  EXPECT_TRUE(std::isnan(problem.dx(0, 0)));
}

TEST_P(LossKernel, WideRowsKeepTheirAccuracy) {
  constexpr size_t kCols = 50257;
  LossProblem problem({LossKind::kSparseCategoricalCrossentropy, true}, 1, kCols, 9);
  kernels().loss(problem.args());
  const double want = problem.reference_row(0).loss;
  EXPECT_NEAR(problem.loss(0, 0), want, 1e-6 * want);
}

}  // namespace
}  // namespace ostinato::test
