// The reference of optimisers, clipping and schedules against closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "reference/optimizers.h"

namespace ostinato::reference {
namespace {

constexpr double kTolerance = 1e-14;
constexpr double kRate = 0.1;
const Vector kGradients{0.5, -1.0, 0.25, 2.0};  // of four updates

OptimizerConfig config_of(OptimizerKind kind) {
  OptimizerConfig config;
  config.kind = kind;
  config.schedule.base = kRate;
  return config;
}

// p before and after each update of one number that starts at 1.
Vector trajectory(const OptimizerConfig& config, const Vector& gradients, bool decays = true) {
  Optimizer optimizer(config);
  std::vector<Parameter> parameters{{"p", {1.0}, {0.0}, decays}};
  Vector values{1.0};
  for (double g : gradients) {
    parameters[0].gradient = {g};
    optimizer.step(parameters);
    values.push_back(parameters[0].value[0]);
  }
  return values;
}

// sum over i <= t of decay^(t - i) f(g_i)
template <class Function>
double decayed_sum(double decay, size_t t, Function f) {
  double total = 0.0;
  for (size_t i = 0; i <= t; ++i) {
    total += std::pow(decay, static_cast<double>(t - i)) * f(kGradients[i]);
  }
  return total;
}

double identity(double g) { return g; }
double square(double g) { return g * g; }

TEST(SgdTest, WithoutMomentumStepsAgainstTheGradient) {
  const Vector p = trajectory(config_of(OptimizerKind::kSgd), kGradients);
  for (size_t t = 0; t < 4; ++t) EXPECT_NEAR(p[t + 1] - p[t], -kRate * kGradients[t], kTolerance);
}

TEST(SgdTest, MomentumIsADecayedSumOfGradients) {
  OptimizerConfig config = config_of(OptimizerKind::kSgd);
  config.momentum = 0.9;
  const Vector heavy = trajectory(config, kGradients);
  config.nesterov = true;
  const Vector nesterov = trajectory(config, kGradients);
  for (size_t t = 0; t < 4; ++t) {
    const double m = decayed_sum(0.9, t, identity);
    EXPECT_NEAR(heavy[t + 1] - heavy[t], -kRate * m, kTolerance);
    EXPECT_NEAR(nesterov[t + 1] - nesterov[t], -kRate * (kGradients[t] + 0.9 * m), kTolerance);
  }
}

TEST(SgdTest, WeightDecayIsAPullToZero) {
  OptimizerConfig config = config_of(OptimizerKind::kSgd);
  config.weight_decay = 0.5;
  EXPECT_NEAR(trajectory(config, {0.0, 0.0})[2], 0.95 * 0.95, kTolerance);
  EXPECT_EQ(trajectory(config, {0.0, 0.0}, false)[2], 1.0);
}

TEST(RmspropTest, DividesByTheRootOfADecayedMeanSquare) {
  OptimizerConfig config = config_of(OptimizerKind::kRmsprop);
  config.rho = 0.8;
  config.epsilon = 0.01;
  const Vector p = trajectory(config, kGradients);
  Vector updates;
  for (size_t t = 0; t < 4; ++t) {
    updates.push_back(kGradients[t] / (std::sqrt(0.2 * decayed_sum(0.8, t, square)) + 0.01));
    EXPECT_NEAR(p[t + 1] - p[t], -kRate * updates[t], kTolerance);
  }
  config.momentum = 0.5;
  const Vector heavy = trajectory(config, kGradients);
  EXPECT_NEAR(heavy[3] - heavy[2], -kRate * (updates[2] + 0.5 * updates[1] + 0.25 * updates[0]),
              kTolerance);
}

TEST(AdamTest, IsTheRatioOfUnbiasedMoments) {
  OptimizerConfig config = config_of(OptimizerKind::kAdam);
  config.beta1 = 0.8;
  config.beta2 = 0.95;
  config.epsilon = 0.01;
  const Vector p = trajectory(config, kGradients);
  for (size_t t = 0; t < 4; ++t) {
    const double updates = static_cast<double>(t + 1);
    const double m = 0.2 * decayed_sum(0.8, t, identity) / (1.0 - std::pow(0.8, updates));
    const double v = 0.05 * decayed_sum(0.95, t, square) / (1.0 - std::pow(0.95, updates));
    EXPECT_NEAR(p[t + 1] - p[t], -kRate * m / (std::sqrt(v) + 0.01), kTolerance);
  }
}

TEST(AdamTest, FirstUpdateIsTheRateWhateverTheGradient) {
  for (double g : {1e-3, 7.0, -300.0}) {
    const Vector p = trajectory(config_of(OptimizerKind::kAdam), {g});
    EXPECT_NEAR(p[1] - p[0], g > 0.0 ? -kRate : kRate, 1e-5);
  }
}

TEST(AdamwTest, DecaysTheValueAndNotTheGradient) {
  OptimizerConfig config = config_of(OptimizerKind::kAdamw);
  config.weight_decay = 0.5;
  const Vector idle = trajectory(config, {0.0, 0.0, 0.0});
  EXPECT_NEAR(idle[3], std::pow(1.0 - 0.5 * kRate, 3.0), kTolerance);

  const Vector decayed = trajectory(config, kGradients);
  const Vector plain = trajectory(config_of(OptimizerKind::kAdam), kGradients);
  for (size_t t = 0; t < 4; ++t) {
    EXPECT_NEAR(decayed[t + 1] - 0.95 * decayed[t], plain[t + 1] - plain[t], kTolerance);
  }
  EXPECT_EQ(trajectory(config, kGradients, false), plain);
}

TEST(AdamTest, HasNoWeightDecay) {
  OptimizerConfig config = config_of(OptimizerKind::kAdam);
  config.weight_decay = 0.5;
  EXPECT_EQ(trajectory(config, {0.0, 0.0})[2], 1.0);
}

TEST(AdagradTest, DividesByTheRootOfTheSumOfSquares) {
  OptimizerConfig config = config_of(OptimizerKind::kAdagrad);
  config.epsilon = 0.01;
  config.initial_accumulator = 0.3;
  const Vector p = trajectory(config, kGradients);
  for (size_t t = 0; t < 4; ++t) {
    const double v = 0.3 + decayed_sum(1.0, t, square);
    EXPECT_NEAR(p[t + 1] - p[t], -kRate * kGradients[t] / (std::sqrt(v) + 0.01), kTolerance);
  }
  config.weight_decay = 0.5;
  EXPECT_LT(trajectory(config, {0.0})[1], 1.0);
}

TEST(NadamTest, LooksAheadByTheMomentumOfTheNextUpdate) {
  OptimizerConfig config = config_of(OptimizerKind::kNadam);
  config.beta1 = 0.8;
  config.momentum_decay = 0.0;  // every momentum is 0.4, so that products are powers
  config.epsilon = 0.01;
  const Vector p = trajectory(config, kGradients);
  for (size_t t = 0; t < 4; ++t) {
    const double updates = static_cast<double>(t + 1);
    const double m = 0.2 * decayed_sum(0.8, t, identity);
    const double v = 1e-3 * decayed_sum(0.999, t, square) / (1.0 - std::pow(0.999, updates));
    const double step = 0.6 * kGradients[t] / (1.0 - std::pow(0.4, updates)) +
                        0.4 * m / (1.0 - std::pow(0.4, updates + 1.0));
    EXPECT_NEAR(p[t + 1] - p[t], -kRate * step / (std::sqrt(v) + 0.01), 1e-13);
  }
}

TEST(RadamTest, IsMomentumFirstAndAdamInTheEnd) {
  OptimizerConfig config = config_of(OptimizerKind::kRadam);
  const Vector p = trajectory(config, kGradients);  // four updates are too few for a variance
  for (size_t t = 0; t < 4; ++t) {
    const double m = 0.1 * decayed_sum(0.9, t, identity) / (1.0 - std::pow(0.9, t + 1.0));
    EXPECT_NEAR(p[t + 1] - p[t], -kRate * m, kTolerance);
  }
  // After many equal gradients the factor tends to 1, and with it to Adam.
  const Vector many(20000, 0.5);
  const Vector rectified = trajectory(config, many);
  const Vector adam = trajectory(config_of(OptimizerKind::kAdam), many);
  EXPECT_NEAR(rectified.back() - rectified[19999], adam.back() - adam[19999], 1e-6);
}

TEST(LionTest, StepsByTheSignOfTheMixedMomentum) {
  OptimizerConfig config = config_of(OptimizerKind::kLion);
  config.beta1 = 0.5;
  config.beta2 = 0.5;
  // m after each update: 0.25, -0.375, -0.0625; mixed: 0.25, -0.375, -0.0625, 0.96875.
  const Vector p = trajectory(config, kGradients);
  for (size_t t = 0; t < 4; ++t) {
    const double sign = t == 1 || t == 2 ? -1.0 : 1.0;
    EXPECT_NEAR(p[t + 1] - p[t], -kRate * sign, kTolerance);
  }
  EXPECT_EQ(trajectory(config, {0.0})[1], 1.0);
}

TEST(ScheduleFreeTest, IsTheMeanOfTheIterates) {
  OptimizerConfig config = config_of(OptimizerKind::kScheduleFreeAdamw);
  config.beta2 = 0.0;  // each gradient counts as its sign
  const Vector p = trajectory(config, kGradients);
  double z = 1.0, sum = 0.0;
  for (size_t t = 0; t < 4; ++t) {
    z -= kRate * (kGradients[t] > 0.0 ? 1.0 : -1.0);
    sum += z;
    EXPECT_NEAR(p[t + 1], sum / static_cast<double>(t + 1), 1e-7);
  }
  // Iterates count by the square of the rate.
  config.schedule = {ScheduleKind::kCosine, 0.2};
  config.schedule.warmup = 2;
  config.schedule.total = 1000;
  const Vector warm = trajectory(config, {1.0, 1.0});
  EXPECT_NEAR(warm[2], (0.1 * 0.1 * 0.9 + 0.2 * 0.2 * 0.7) / (0.1 * 0.1 + 0.2 * 0.2), 1e-7);
}

TEST(ClippingTest, NormIsTakenOverAllParametersTogether) {
  OptimizerConfig config = config_of(OptimizerKind::kSgd);
  config.clip_norm = 2.5;
  std::vector<Parameter> parameters{{"a", {0.0, 0.0}, {3.0, 0.0}}, {"b", {0.0}, {-4.0}}};
  EXPECT_DOUBLE_EQ(global_norm(parameters), 5.0);
  Optimizer(config).step(parameters);
  EXPECT_NEAR(parameters[0].value[0], -kRate * 1.5, 1e-7);
  EXPECT_NEAR(parameters[1].value[0], kRate * 2.0, 1e-7);
  EXPECT_EQ(clip_scale(2.0, 2.5), 1.0);
  EXPECT_EQ(clip_scale(1e9, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_scale(5.0, 2.5), 2.5 / 5.000001);
}

TEST(ClippingTest, ValuesAreClampedAfterTheNorm) {
  OptimizerConfig config = config_of(OptimizerKind::kSgd);
  config.clip_value = 1.0;
  config.clip_norm = 2.5;
  std::vector<Parameter> parameters{{"a", {0.0, 0.0}, {0.6, 3.0}}, {"b", {0.0}, {-4.0}}};
  const double scale = clip_scale(global_norm(parameters), 2.5);
  Optimizer(config).step(parameters);
  EXPECT_NEAR(parameters[0].value[0], -kRate * 0.6 * scale, kTolerance);
  EXPECT_NEAR(parameters[0].value[1], -kRate, kTolerance);
  EXPECT_NEAR(parameters[1].value[0], kRate, kTolerance);
}

TEST(OptimizerTest, FollowsTheSchedule) {
  OptimizerConfig config = config_of(OptimizerKind::kSgd);
  config.schedule = {ScheduleKind::kStep, 0.4, 0.5, 2};
  const Vector p = trajectory(config, {1.0, 1.0, 1.0});
  EXPECT_NEAR(p[3], 1.0 - 0.4 - 0.4 - 0.2, kTolerance);
}

TEST(OptimizerTest, RefusesOtherParametersThanBefore) {
  Optimizer optimizer(config_of(OptimizerKind::kAdam));
  std::vector<Parameter> one{{"a", {0.0}, {1.0}}};
  optimizer.step(one);
  std::vector<Parameter> two{{"a", {0.0}, {1.0}}, {"b", {0.0}, {1.0}}};
  EXPECT_THROW(optimizer.step(two), std::invalid_argument);
  std::vector<Parameter> mismatched{{"a", {0.0}, {1.0, 2.0}}};
  EXPECT_THROW(optimizer.step(mismatched), std::invalid_argument);
}

TEST(ScheduleTest, ConstantStepAndExponential) {
  EXPECT_EQ(learning_rate({ScheduleKind::kConstant, 0.3}, 1000), 0.3);
  const Schedule step{ScheduleKind::kStep, 0.8, 0.5, 10};
  EXPECT_EQ(learning_rate(step, 9), 0.8);
  EXPECT_EQ(learning_rate(step, 10), 0.4);
  EXPECT_EQ(learning_rate(step, 25), 0.2);
  const Schedule exponential{ScheduleKind::kExponential, 0.8, 0.25, 10};
  EXPECT_NEAR(learning_rate(exponential, 5), 0.4, kTolerance);
  EXPECT_NEAR(learning_rate(exponential, 20), 0.05, kTolerance);
}

TEST(ScheduleTest, CosineWithWarmup) {
  Schedule schedule{ScheduleKind::kCosine, 1.0};
  schedule.warmup = 4;
  schedule.total = 14;
  schedule.minimum = 0.2;
  EXPECT_EQ(learning_rate(schedule, 0), 0.25);
  EXPECT_EQ(learning_rate(schedule, 3), 1.0);
  EXPECT_EQ(learning_rate(schedule, 4), 1.0);
  EXPECT_NEAR(learning_rate(schedule, 9), 0.6, kTolerance);
  EXPECT_NEAR(learning_rate(schedule, 13), 0.2 + 0.4 * (1.0 + std::cos(0.9 * std::acos(-1.0))),
              kTolerance);
  EXPECT_EQ(learning_rate(schedule, 14), 0.2);
  EXPECT_EQ(learning_rate(schedule, 1000), 0.2);
  schedule.warmup = 0;
  EXPECT_EQ(learning_rate(schedule, 0), 1.0);
  schedule.warmup = schedule.total = 3;
  EXPECT_EQ(learning_rate(schedule, 2), 1.0);
  EXPECT_EQ(learning_rate(schedule, 3), 0.2);
}

}  // namespace
}  // namespace ostinato::reference
