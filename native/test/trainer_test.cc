#include "core/trainer.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/predictor.h"
#include "test/training_problem.h"

namespace ostinato::test {
namespace {

class Training : public EveryIsa {};
OSTINATO_EVERY_ISA(Training);

TEST_P(Training, LearnsARepeatingText) {
  const Dataset data = language_data(8, 20);
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = language_model(kernels());
  Trainer trainer(network, language_loss(), {});
  double first = 0, last = 0;
  for (int step = 0; step < 150; ++step) {
    const StepResult result = trainer.step(data, samples.data(), 8, 0.01, false, false, 1, nullptr);
    EXPECT_FALSE(result.diverged);
    EXPECT_GT(result.gradient_norm, 0);
    EXPECT_EQ(result.loss.count, 160);
    if (step == 0) first = result.loss.mean();
    last = result.loss.mean();
  }
  EXPECT_GT(first, 2.0);
  EXPECT_LT(last, 0.2 * first);
  EXPECT_EQ(trainer.steps(), 150);
  Predictor predictor(network);
  Losses loss({language_loss()}, *network);
  const LossValue value = predictor.evaluate(data, samples.data(), 8, loss, false, 1, nullptr);
  EXPECT_NEAR(value.mean(), last, 0.1);
  EXPECT_GT(value.correct, 140);
}

// Large enough for every kernel to be split; lengths differ, dropout is on, states are carried.
TEST_P(Training, IsBitwiseTheSameOnAnyNumberOfThreads) {
  Dataset data = language_data(40, 30);
  reference::RandomSource random(4);
  for (int32_t& length : data.length) length = static_cast<int32_t>(random.index(31));
  const std::vector<int32_t> samples = all_samples(data);
  std::vector<std::vector<uint32_t>> parameters;
  std::vector<double> losses;
  for (const int threads : {1, 2, 7}) {
    const auto network = language_model(kernels(), 90, 0.3);
    OptimizerConfig optimizer;
    optimizer.clip_norm = 1;
    optimizer.weight_decay = 0.01;
    Trainer trainer(network, language_loss(), optimizer);
    StepResult result;
    for (int step = 0; step < 3; ++step) {
      result = trainer.step(data, samples.data(), 40, 0.01, true, false, threads, nullptr);
    }
    parameters.push_back(parameter_bits(*network));
    losses.push_back(result.loss.sum);
  }
  for (const size_t i : {1, 2}) {
    EXPECT_TRUE(parameters[i] == parameters[0]);
    EXPECT_EQ(losses[i], losses[0]);
  }
}

TEST_P(Training, TheSeedDecidesEverything) {
  const Dataset data = language_data(4, 10);
  const std::vector<int32_t> samples = all_samples(data);
  const auto train = [&](uint64_t seed) {
    const auto network = language_model(kernels(), 8, 0.5, seed);
    Trainer trainer(network, language_loss(), {});
    for (int step = 0; step < 3; ++step) {
      trainer.step(data, samples.data(), 4, 0.01, false, false, 1, nullptr);
    }
    return parameter_bits(*network);
  };
  EXPECT_EQ(train(1), train(1));
  EXPECT_NE(train(1), train(2));
}

TEST_P(Training, CarriedStatesGoOnWhereTheStepBeforeEnded) {
  const Dataset halves = language_data(2, 5), whole = language_data(1, 10);
  const auto network = language_model(kernels());
  Predictor by_halves(network), at_once(network);
  Losses loss({language_loss()}, *network);
  const int32_t first = 0, second = 1;
  const double sum = by_halves.evaluate(halves, &first, 1, loss, true, 1, nullptr).sum +
                     by_halves.evaluate(halves, &second, 1, loss, true, 1, nullptr).sum;
  EXPECT_NEAR(sum, at_once.evaluate(whole, &first, 1, loss, false, 1, nullptr).sum, 1e-4);
  const double alone = by_halves.evaluate(halves, &second, 1, loss, false, 1, nullptr).sum;
  by_halves.reset_carried();
  EXPECT_EQ(by_halves.evaluate(halves, &second, 1, loss, true, 1, nullptr).sum, alone);

  Trainer trainer(network, language_loss(), {});
  EXPECT_TRUE(trainer.carried().empty());
  trainer.step(halves, &first, 1, 0.0, true, false, 1, nullptr);
  ASSERT_EQ(trainer.carried().size(), 2u);
  const StepResult carried = trainer.step(halves, &second, 1, 0.0, true, false, 1, nullptr);
  EXPECT_NEAR(carried.loss.sum,
              sum - by_halves.evaluate(halves, &first, 1, loss, false, 1, nullptr).sum, 1e-4);
  const int32_t both[] = {0, 1};
  const std::string message = message_of(
      "ERR_SHAPE_MISMATCH", [&] { trainer.step(halves, both, 2, 0.0, true, false, 1, nullptr); });
  EXPECT_NE(message.find("state \"h\""), std::string::npos) << message;
  // The refused states are not used later.
  EXPECT_NO_THROW(trainer.step(halves, both, 2, 0.0, false, false, 1, nullptr));
}

TEST_P(Training, CancellingLeavesTheParametersOfTheLastWholeStep) {
  const Dataset data = language_data(4, 10);
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = language_model(kernels());
  Trainer trainer(network, language_loss(), {});
  std::atomic<bool> cancel{false};
  trainer.step(data, samples.data(), 4, 0.01, false, false, 1, &cancel);
  const auto before = parameter_bits(*network);
  cancel = true;
  EXPECT_THROW(trainer.step(data, samples.data(), 4, 0.01, false, false, 1, &cancel), Cancelled);
  EXPECT_EQ(parameter_bits(*network), before);
  EXPECT_EQ(trainer.steps(), 1);
  cancel = false;
  trainer.step(data, samples.data(), 4, 0.01, false, false, 1, &cancel);
  EXPECT_NE(parameter_bits(*network), before);
}

TEST_P(Training, AStepThatDivergesChangesNothingUnlessAsked) {
  const Dataset data = language_data(4, 10);
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = language_model(kernels());
  network->params().value(param_index(*network, "dense.bias"))[0] =
      std::numeric_limits<float>::quiet_NaN();
  network->params().touch();
  Trainer trainer(network, language_loss(), {});
  const auto before = parameter_bits(*network);
  const StepResult result = trainer.step(data, samples.data(), 4, 0.01, true, false, 1, nullptr);
  EXPECT_TRUE(result.diverged);
  EXPECT_EQ(parameter_bits(*network), before);
  EXPECT_EQ(trainer.steps(), 0);
  EXPECT_TRUE(trainer.carried().empty());
  EXPECT_TRUE(trainer.step(data, samples.data(), 4, 0.01, false, true, 1, nullptr).diverged);
  EXPECT_NE(parameter_bits(*network), before);
}

}  // namespace
}  // namespace ostinato::test
