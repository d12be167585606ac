#include "core/weight_drop.h"

#include <gtest/gtest.h>

#include "test/training_problem.h"

namespace ostinato::test {
namespace {

class WeightDrops : public EveryIsa {};
OSTINATO_EVERY_ISA(WeightDrops);

std::shared_ptr<Network> dropping_model(const Kernels& kernels, double rate, double units = 9,
                                        const char* cell = "lstm") {
  return make_network(
      kernels, {1, true, true},
      {layer("embedding", {{"inputDim", static_cast<double>(kVocabulary)}, {"units", 6.0}}),
       layer(cell, {{"units", units},
                    {"layers", 2.0},
                    {"returnSequences", true},
                    {"recurrentInitializer", "torch"},
                    {"weightDrop", rate}}),
       layer("dense", {{"units", static_cast<double>(kVocabulary)}})},
      5);
}

std::vector<float> values_of(const Network& network) {
  return {network.params().values(), network.params().values() + network.params().size()};
}

// What a step does is what one does at the masked weights, but for the masks of the gradients, and
// that the update is of the weights themselves.
void expect_step_at_masked_weights(const Kernels& kernels, const char* cell) {
  const Dataset data = language_data(3, 6);
  const std::vector<int32_t> samples = all_samples(data);
  OptimizerConfig sgd;
  sgd.kind = OptimizerKind::kSgd;
  const auto dropping = dropping_model(kernels, 0.5, 9, cell);
  const auto plain = dropping_model(kernels, 0, 9, cell);
  const std::vector<float> before = values_of(*dropping);
  // The masks, from the weights of all ones that a scope makes of them.
  std::vector<float> factors(before.size(), 1.0f);
  {
    ParamTable& params = dropping->params();
    std::fill_n(params.values(), params.size(), 1.0f);
    WeightDrop drop(params);
    const WeightDrop::Scope scope(drop, params, kernels, dropping->seed(), 0, 1);
    factors.assign(params.values(), params.values() + params.size());
  }
  std::copy(before.begin(), before.end(), dropping->params().values());
  dropping->params().touch();
  for (const ParamEntry& entry : plain->params().entries()) {
    for (int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
      if (entry.role == ParamRole::kRecurrent) {
        EXPECT_TRUE(factors[i] == 0.0f || factors[i] == 2.0f);
      } else {
        EXPECT_EQ(factors[i], 1.0f) << entry.name;
      }
      plain->params().values()[i] = before[i] * factors[i];
    }
  }
  plain->params().touch();
  const std::vector<float> masked = values_of(*plain);
  Trainer trainer(dropping, language_loss(), sgd), reference(plain, language_loss(), sgd);
  const StepResult got = trainer.step(data, samples.data(), 3, 0.5, false, false, 1, nullptr);
  const StepResult wanted = reference.step(data, samples.data(), 3, 0.5, false, false, 1, nullptr);
  EXPECT_EQ(got.loss.sum, wanted.loss.sum);
  const std::vector<float> after = values_of(*dropping), there = values_of(*plain);
  for (const ParamEntry& entry : plain->params().entries()) {
    for (int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
      const float update = (there[i] - masked[i]) * factors[i];
      ASSERT_NEAR(after[i], before[i] + update, 2e-6) << entry.name;
      if (factors[i] == 0.0f) {
        ASSERT_EQ(after[i], before[i]) << "a dropped weight has no gradient";
      }
    }
  }
}

TEST_P(WeightDrops, AStepIsOneAtTheMaskedWeights) {
  expect_step_at_masked_weights(kernels(), "lstm");
}

// Recurrent weights that are vectors, alone and beside a matrix.
TEST_P(WeightDrops, VectorsAreDroppedTheSameWay) {
  for (const char* const cell : {"indrnn_tanh", "lstm_peephole"}) {
    SCOPED_TRACE(cell);
    expect_step_at_masked_weights(kernels(), cell);
  }
}

TEST_P(WeightDrops, MasksKeepTheirShareAndChangeFromStepToStep) {
  const auto network = dropping_model(kernels(), 0.25, 100);
  ParamTable& params = network->params();
  WeightDrop drop(params);
  std::vector<std::vector<uint32_t>> masks;
  const std::vector<uint32_t> before = parameter_bits(*network);
  for (const auto& [step, threads] : {std::pair{0, 1}, {0, 2}, {0, 7}, {1, 1}}) {
    const WeightDrop::Scope scope(drop, params, kernels(), 5, step, threads);
    masks.push_back(parameter_bits(*network));
  }
  EXPECT_EQ(masks[1], masks[0]);
  EXPECT_EQ(masks[2], masks[0]);
  EXPECT_NE(masks[3], masks[0]);
  EXPECT_EQ(parameter_bits(*network), before);
  const WeightDrop::Scope scope(drop, params, kernels(), 5, 0, 1);
  std::vector<std::vector<bool>> zeros;
  for (const ParamEntry& entry : params.entries()) {
    if (entry.role != ParamRole::kRecurrent) continue;
    const float* w = params.values() + entry.offset;
    zeros.emplace_back(entry.size);
    for (int64_t i = 0; i < entry.size; ++i) zeros.back()[i] = w[i] == 0.0f;
    const auto dropped = std::count(w, w + entry.size, 0.0f);
    EXPECT_NEAR(static_cast<double>(dropped) / static_cast<double>(entry.size), 0.25, 0.01);
  }
  ASSERT_EQ(zeros.size(), 2u);
  EXPECT_NE(zeros[0], zeros[1]) << "parameters have masks of their own";
}

TEST_P(WeightDrops, TrainingIsBitwiseTheSameOnAnyNumberOfThreads) {
  const Dataset data = language_data(12, 10);
  const std::vector<int32_t> samples = all_samples(data);
  std::vector<std::vector<uint32_t>> parameters;
  for (const int threads : {1, 2, 7}) {
    const auto network = dropping_model(kernels(), 0.5, 70);
    OptimizerConfig config;
    config.kind = OptimizerKind::kScheduleFreeAdam;
    Trainer trainer(network, language_loss(), config);
    for (int step = 0; step < 2; ++step) {
      trainer.step(data, samples.data(), 12, 0.01, true, false, threads, nullptr);
    }
    parameters.push_back(parameter_bits(*network));
  }
  EXPECT_EQ(parameters[1], parameters[0]);
  EXPECT_EQ(parameters[2], parameters[0]);
}

// A step that is cancelled or diverges leaves the weights as they were, not masked.
TEST_P(WeightDrops, NothingIsLeftMasked) {
  const Dataset data = language_data(2, 4);
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = dropping_model(kernels(), 0.5);
  Trainer trainer(network, language_loss(), {});
  const std::vector<uint32_t> before = parameter_bits(*network);
  const std::atomic<bool> cancel{true};
  EXPECT_THROW(trainer.step(data, samples.data(), 2, 0.1, false, false, 1, &cancel), Cancelled);
  EXPECT_EQ(parameter_bits(*network), before);
  const ParamEntry& bias = network->params().entries().back();
  network->params().values()[bias.offset] = NAN;
  network->params().touch();
  const std::vector<uint32_t> broken = parameter_bits(*network);
  EXPECT_TRUE(trainer.step(data, samples.data(), 2, 0.1, false, false, 1, nullptr).diverged);
  EXPECT_EQ(parameter_bits(*network), broken);
}

}  // namespace
}  // namespace ostinato::test
