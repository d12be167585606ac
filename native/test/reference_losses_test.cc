// The reference of every loss: gradients against finite differences, values against closed forms,
// and what masks and weights mean.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <tuple>

#include "gradient_check.h"
#include "reference/losses.h"

namespace ostinato::reference {
namespace {

constexpr double kTolerance = 1e-14;

struct NamedLoss {
  const char* name;
  LossKind kind;
  bool from_logits;
  double smoothing = 0.0;
  bool class_weights = false;
};

const NamedLoss kLosses[] = {
    {"sparse_from_logits", LossKind::kSparseCategoricalCrossentropy, true},
    {"sparse_from_probabilities", LossKind::kSparseCategoricalCrossentropy, false},
    {"categorical_from_logits", LossKind::kCategoricalCrossentropy, true},
    {"categorical_from_probabilities", LossKind::kCategoricalCrossentropy, false},
    {"binary_from_logits", LossKind::kBinaryCrossentropy, true},
    {"binary_from_probabilities", LossKind::kBinaryCrossentropy, false},
    {"mean_squared_error", LossKind::kMeanSquaredError, false},
    {"mean_absolute_error", LossKind::kMeanAbsoluteError, false},
    {"huber", LossKind::kHuber, false},
    {"sparse_smooth", LossKind::kSparseCategoricalCrossentropy, true, 0.2},
    {"sparse_smooth_by_class", LossKind::kSparseCategoricalCrossentropy, true, 0.2, true},
    {"sparse_smooth_by_class_from_probabilities", LossKind::kSparseCategoricalCrossentropy, false,
     0.2, true},
    {"categorical_smooth_by_class", LossKind::kCategoricalCrossentropy, true, 0.1, true},
    {"binary_smooth_by_class", LossKind::kBinaryCrossentropy, true, 0.1, true},
    {"binary_smooth_by_class_from_probabilities", LossKind::kBinaryCrossentropy, false, 0.1, true},
    {"sparse_focal", LossKind::kSparseCategoricalFocal, true, 0.0, true},
    {"categorical_focal", LossKind::kCategoricalFocal, true},
    {"binary_focal", LossKind::kBinaryFocal, true, 0.0, true},
    {"kl_from_logits", LossKind::kKlDivergence, true},
    {"kl_from_probabilities", LossKind::kKlDivergence, false},
    {"cosine", LossKind::kCosine, false},
    {"quantile", LossKind::kQuantile, false},
    {"gaussian", LossKind::kGaussian, false},
    {"student_t", LossKind::kStudentT, false},
    {"negative_binomial", LossKind::kNegativeBinomial, false},
};

void PrintTo(const NamedLoss& loss, std::ostream* out) { *out << loss.name; }

bool is_regression(LossKind kind) {
  return kind == LossKind::kMeanSquaredError || kind == LossKind::kMeanAbsoluteError ||
         kind == LossKind::kHuber;
}

bool takes_probabilities(const LossConfig& config) {
  return !config.from_logits &&
         (config.kind == LossKind::kSparseCategoricalCrossentropy ||
          config.kind == LossKind::kCategoricalCrossentropy ||
          config.kind == LossKind::kBinaryCrossentropy || config.kind == LossKind::kKlDivergence);
}

class LossTest : public testing::TestWithParam<std::tuple<NamedLoss, bool, bool>> {
 protected:
  static constexpr size_t kRows = 6, kCols = 6;

  void SetUp() override {
    const auto& [named, mask, weights] = GetParam();
    config = {named.kind, named.from_logits, 0.7, named.smoothing, 1.5};
    const bool binary =
        named.kind == LossKind::kBinaryCrossentropy || named.kind == LossKind::kBinaryFocal;
    if (named.class_weights) config.class_weights = random.vector(binary ? 2 : kCols, 0.5, 2.0);
    config.quantiles = {0.1, 0.5, 0.8};
    const size_t features = kCols / config.predictions_per_target();
    targets.labels = random.labels(kRows, kCols);
    targets.values = random.probabilities(kRows, features);
    if (features < kCols || named.kind == LossKind::kCosine) {
      targets.values = random.matrix(kRows, features, -2.0, 2.0);
    }
    if (named.kind == LossKind::kNegativeBinomial) {
      for (double& value : targets.values.values()) value = std::floor(std::abs(value) * 4.0);
    }
    if (mask) targets.mask = {1, 0, 1, 1, 0, 1};
    if (weights) targets.weights = random.vector(kRows, 0.5, 2.0);
    predictions = takes_probabilities(config) ? random.probabilities(kRows, kCols)
                                              : random.matrix(kRows, kCols, -3.0, 3.0);
    if (!is_regression(named.kind)) return;
    // Errors of 0.05 … 0.6 and 0.8 … 1.5: off the kink of MAE at 0 and on both sides of Huber's
    // delta, where its second derivative jumps.
    Matrix errors = random.matrix_off_zero(kRows, kCols, 0.05, 0.6);
    for (size_t i = 0; i < errors.values().size(); ++i) {
      double& error = errors.values()[i];
      if (i % 2 == 0) error += error > 0.0 ? 0.9 : -0.9;
      predictions.values()[i] = targets.values.values()[i] + error;
    }
  }

  RandomSource random{5};
  LossConfig config;
  LossTargets targets;
  Matrix predictions;
};

TEST_P(LossTest, GradientMatchesDifferences) {
  const auto f = [&] { return loss(config, predictions, targets).loss; };
  const LossResult result = loss(config, predictions, targets);
  expect_gradient("predictions", f, predictions.values(), result.gradient.values());
}

TEST_P(LossTest, IsTheWeightedSumOfUnmaskedRowsOverTheirNumber) {
  const LossResult result = loss(config, predictions, targets);
  double total = 0.0, count = 0.0;
  for (size_t r = 0; r < kRows; ++r) {
    LossTargets alone;
    alone.labels = {targets.labels[r]};
    alone.values = Matrix(1, targets.values.cols(), targets.values.row(r));
    const double row_loss = loss(config, Matrix(1, kCols, predictions.row(r)), alone).loss;
    const bool counts = targets.mask.empty() || targets.mask[r] == 1.0;
    EXPECT_NEAR(result.rows[r], counts ? row_loss : 0.0, kTolerance);
    if (!counts) continue;
    total += (targets.weights.empty() ? 1.0 : targets.weights[r]) * row_loss;
    count += 1.0;
  }
  EXPECT_NEAR(result.loss, total / count, kTolerance);
}

TEST_P(LossTest, MaskedRowsAreNotRead) {
  targets.mask = {1, 0, 1, 1, 0, 1};
  const LossResult expected = loss(config, predictions, targets);
  for (size_t r : {1, 4}) {
    targets.labels[r] = -1;
    predictions.set_row(r, Vector(kCols, std::numeric_limits<double>::quiet_NaN()));
  }
  const LossResult result = loss(config, predictions, targets);
  EXPECT_EQ(result.loss, expected.loss);
  EXPECT_EQ(result.gradient.values(), expected.gradient.values());
  EXPECT_EQ(result.gradient.row(1), Vector(kCols, 0.0));
  targets.mask.assign(kRows, 0.0);
  EXPECT_EQ(loss(config, predictions, targets).loss, 0.0);
}

INSTANTIATE_TEST_SUITE_P(, LossTest,
                         testing::Combine(testing::ValuesIn(kLosses), testing::Bool(),
                                          testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) +
                                  (std::get<1>(info.param) ? "_masked" : "") +
                                  (std::get<2>(info.param) ? "_weighted" : "");
                         });

LossTargets values(const Vector& row) {
  LossTargets targets;
  targets.values = Matrix(1, row.size(), row);
  return targets;
}

LossTargets label(int32_t index) {
  LossTargets targets;
  targets.labels = {index};
  return targets;
}

TEST(LossValueTest, CategoricalCrossentropy) {
  const LossConfig sparse{LossKind::kSparseCategoricalCrossentropy, true};
  const Matrix logits(1, 3, {std::log(1.0), std::log(2.0), std::log(5.0)});
  EXPECT_NEAR(loss(sparse, logits, label(1)).loss, std::log(4.0), kTolerance);
  EXPECT_NEAR(loss({sparse.kind, false}, Matrix(1, 3, {0.125, 0.25, 0.625}), label(1)).loss,
              std::log(4.0), kTolerance);
  EXPECT_NEAR(loss({LossKind::kCategoricalCrossentropy, true}, logits, values({0.5, 0.5, 0})).loss,
              0.5 * std::log(8.0) + 0.5 * std::log(4.0), kTolerance);
  EXPECT_NEAR(loss(sparse, Matrix(1, 2, {1000.0, -1000.0}), label(1)).loss, 2000.0, 1e-9);
  EXPECT_THROW(loss(sparse, logits, label(3)), std::out_of_range);
}

TEST(LossValueTest, FusedSoftmaxEqualsSoftmaxThenProbabilities) {
  RandomSource random(6);
  const Matrix logits = random.matrix(5, 4, -2.0, 2.0);
  Matrix probabilities = logits;
  for (size_t r = 0; r < 5; ++r) probabilities.set_row(r, softmax(logits.row(r)));
  LossTargets targets;
  targets.labels = random.labels(5, 4);
  const LossKind kind = LossKind::kSparseCategoricalCrossentropy;
  const LossResult fused = loss({kind, true}, logits, targets);
  const LossResult apart = loss({kind, false}, probabilities, targets);
  EXPECT_NEAR(fused.loss, apart.loss, kTolerance);
  for (size_t r = 0; r < 5; ++r) {
    const Vector d = activate_backward(Activation::kSoftmax, logits.row(r), apart.gradient.row(r));
    for (size_t c = 0; c < 4; ++c) EXPECT_NEAR(fused.gradient(r, c), d[c], kTolerance);
  }
}

TEST(LossValueTest, BinaryCrossentropy) {
  const LossConfig config{LossKind::kBinaryCrossentropy, true};
  const Matrix logits(1, 2, {std::log(3.0), -std::log(3.0)});  // sigmoid: 3/4, 1/4
  const double expected = -0.5 * (std::log(0.75) + std::log(0.25));
  EXPECT_NEAR(loss(config, logits, values({1, 1})).loss, expected, kTolerance);
  EXPECT_NEAR(loss({config.kind, false}, Matrix(1, 2, {0.75, 0.25}), values({1, 1})).loss, expected,
              kTolerance);
  EXPECT_EQ(loss(config, Matrix(1, 1, {-1000.0}), values({1})).loss, 1000.0);
  EXPECT_EQ(loss(config, Matrix(1, 1, {1000.0}), values({1})).loss, 0.0);
}

TEST(LossValueTest, ProbabilitiesAreClampedInsideLogarithms) {
  const LossConfig config{LossKind::kSparseCategoricalCrossentropy, false};
  const LossResult none = loss(config, Matrix(1, 2, {0.0, 1.0}), label(0));
  EXPECT_NEAR(none.loss, -std::log(1e-7), kTolerance);
  EXPECT_EQ(none.gradient.values(), (Vector{0.0, 0.0}));
  EXPECT_NEAR(loss(config, Matrix(1, 2, {1.0, 0.0}), label(0)).loss, 1e-7, 1e-13);
}

TEST(LossValueTest, SmoothingAndClassWeights) {
  LossConfig config{LossKind::kSparseCategoricalCrossentropy, true};
  config.smoothing = 0.3;
  const Matrix logits(1, 3, {std::log(1.0), std::log(2.0), std::log(5.0)});
  const double uniform = (std::log(8.0) + std::log(4.0) + std::log(1.6)) / 3.0;
  EXPECT_NEAR(loss(config, logits, label(1)).loss, 0.7 * std::log(4.0) + 0.3 * uniform, kTolerance);
  config.smoothing = 0.0;
  config.class_weights = {1.0, 3.0, 1.0};
  EXPECT_NEAR(loss(config, logits, label(1)).loss, 3.0 * std::log(4.0), kTolerance);
  LossConfig binary{LossKind::kBinaryCrossentropy, true};
  binary.class_weights = {1.0, 5.0};
  EXPECT_NEAR(loss(binary, Matrix(1, 1, {std::log(3.0)}), values({1})).loss, -5 * std::log(0.75),
              kTolerance);
}

TEST(LossValueTest, FocalLossesFavourWhatIsHard) {
  LossConfig config{LossKind::kBinaryFocal, true};
  const Matrix sure(1, 1, {std::log(3.0)});  // 3/4
  EXPECT_NEAR(loss(config, sure, values({1})).loss, -std::log(0.75) / 16.0, kTolerance);
  EXPECT_NEAR(loss(config, sure, values({0})).loss, -std::log(0.25) * 9.0 / 16.0, kTolerance);
  config.gamma = 0.0;
  EXPECT_NEAR(loss(config, sure, values({1})).loss, -std::log(0.75), kTolerance);
  const LossConfig sparse{LossKind::kSparseCategoricalFocal, true};
  const Matrix logits(1, 3, {std::log(1.0), std::log(2.0), std::log(5.0)});
  EXPECT_NEAR(loss(sparse, logits, label(1)).loss, std::log(4.0) * 9.0 / 16.0, kTolerance);
}

TEST(LossValueTest, DivergenceAndCosine) {
  const LossConfig kl{LossKind::kKlDivergence, false};
  const Matrix p(1, 2, {0.25, 0.75});
  EXPECT_NEAR(loss(kl, p, values({0.25, 0.75})).loss, 0.0, kTolerance);
  EXPECT_NEAR(loss(kl, p, values({1.0, 0.0})).loss, std::log(4.0), kTolerance);
  const LossConfig cosine{LossKind::kCosine};
  EXPECT_NEAR(loss(cosine, Matrix(1, 2, {3, 4}), values({6, 8})).loss, 0.0, kTolerance);
  EXPECT_NEAR(loss(cosine, Matrix(1, 2, {3, 4}), values({-4, 3})).loss, 1.0, kTolerance);
  EXPECT_EQ(loss(cosine, Matrix(1, 2, {0, 0}), values({1, 0})).loss, 1.0);
}

// What softplus(x) + 1e-6 takes to a number above that.
double inverse(double value) { return std::log(std::expm1(value - 1e-6)); }

TEST(LossValueTest, LikelihoodsAreThoseOfTheirDistributions) {
  const double pi = std::acos(-1.0);
  EXPECT_NEAR(loss({LossKind::kGaussian}, Matrix(1, 2, {1.0, inverse(2.0)}), values({2.0})).loss,
              0.5 * std::log(2 * pi) + std::log(2.0) + 0.125, 1e-13);
  // Three degrees of freedom: density 2 / (pi sqrt(3) (1 + z^2 / 3)^2) / s.
  const Matrix student(1, 3, {1.0, inverse(2.0), std::log(std::expm1(1.0))});
  EXPECT_NEAR(loss({LossKind::kStudentT}, student, values({4.0})).loss,
              -std::log(2.0 / (pi * std::sqrt(3.0) * 1.75 * 1.75) / 2.0), 1e-13);
  // Dispersion 1: geometric with mean 3.
  const Matrix geometric(1, 2, {inverse(3.0), inverse(1.0)});
  EXPECT_NEAR(loss({LossKind::kNegativeBinomial}, geometric, values({2.0})).loss,
              -std::log(0.25 * 0.75 * 0.75), 1e-13);
}

TEST(LossValueTest, PredictionsAreInBlocks) {
  LossConfig config{LossKind::kQuantile};
  config.quantiles = {0.9, 0.5};
  // Errors of the 0.9 quantiles 1 and -2, of the medians 4 and -1.
  const Matrix x(1, 4, {9, 22, 6, 21});
  EXPECT_NEAR(loss(config, x, values({10, 20})).loss, (0.9 + 0.2 + 2.0 + 0.5) / 4.0, kTolerance);
}

TEST(LossValueTest, Regression) {
  const Matrix x(1, 4, {1.5, -3.0, 2.0, 1.0});  // errors 1.5, -3, 2, 0
  const LossTargets zeros = values({0, 0, 0, 1});
  EXPECT_NEAR(loss({LossKind::kMeanSquaredError}, x, zeros).loss, 15.25 / 4, kTolerance);
  EXPECT_NEAR(loss({LossKind::kMeanAbsoluteError}, x, zeros).loss, 6.5 / 4, kTolerance);
  const LossResult huber = loss({LossKind::kHuber, false, 2.0}, x, zeros);
  EXPECT_NEAR(huber.loss, (1.125 + 2.0 * (3.0 - 1.0) + 2.0) / 4, kTolerance);
  EXPECT_EQ(huber.gradient.values(), (Vector{0.375, -0.5, 0.5, 0.0}));
  EXPECT_NEAR(loss({LossKind::kHuber, false, 0.5}, Matrix(1, 1, {0.75}), values({0})).loss, 0.25,
              kTolerance);
  EXPECT_EQ(loss({LossKind::kMeanAbsoluteError}, x, zeros).gradient.values(),
            (Vector{0.25, -0.25, 0.25, 0.0}));
}

}  // namespace
}  // namespace ostinato::reference
