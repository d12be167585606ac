#include "core/weight_rules.h"

#include <gtest/gtest.h>

#include "core/optimizer.h"
#include "reference/finite_differences.h"
#include "reference/weight_rules.h"
#include "test/training_problem.h"

namespace ostinato::test {
namespace {

class Rules : public EveryIsa {};
OSTINATO_EVERY_ISA(Rules);

// An LSTM with these options beside its units; all of its parameters are random, some are 0.
std::shared_ptr<Network> recurrent_model(const Kernels& kernels, Options options,
                                         double units = 5) {
  options["units"] = units;
  const auto network = make_network(kernels, {3, true, false}, {layer("lstm", options)});
  reference::RandomSource random(8);
  ParamTable& params = network->params();
  for (const ParamEntry& entry : params.entries()) {
    float* w = params.values() + entry.offset;
    for (int64_t i = 0; i < entry.size; ++i) {
      w[i] = i % 7 == 3 ? 0.0f : static_cast<float>(random.uniform(-2, 2));
    }
  }
  params.touch();
  return network;
}

reference::Matrix matrix_of(const ParamEntry& entry, const float* values) {
  const size_t rows = entry.shape.size() > 1 ? entry.shape[0] : 1;
  const size_t cols = entry.size / rows;
  reference::Matrix w(rows, cols);
  for (size_t i = 0; i < rows * cols; ++i) w(i / cols, i % cols) = values[i];
  return w;
}

TEST(ReferenceWeightRules, GradientsAreThoseOfThePenalty) {
  reference::RandomSource random(1);
  reference::Matrix w = random.matrix(3, 4);
  for (size_t i = 0; i < 12; ++i) {
    double& x = w(i / 4, i % 4);
    const auto penalty = [&] { return reference::weight_penalty(w, 0.3, 0.7); };
    const double wanted = reference::central_difference(penalty, x);
    EXPECT_NEAR(reference::weight_penalty_gradient(x, 0.3, 0.7), wanted, 1e-9);
  }
}

TEST_P(Rules, PenaltiesAndTheirGradients) {
  const auto network = recurrent_model(kernels(), {{"kernelRegularizer.l1", 0.25},
                                                   {"recurrentRegularizer.l2", 0.5},
                                                   {"biasRegularizer.l1", 0.125},
                                                   {"biasRegularizer.l2", 2.0}});
  const ParamTable& params = network->params();
  double wanted = 0;
  for (const ParamEntry& entry : params.entries()) {
    const double l1 = entry.role == ParamRole::kKernel ? 0.25
                      : entry.role == ParamRole::kBias ? 0.125
                                                       : 0.0;
    const double l2 = entry.role == ParamRole::kRecurrent ? 0.5
                      : entry.role == ParamRole::kBias    ? 2.0
                                                          : 0.0;
    const float* w = params.values() + entry.offset;
    float* g = params.gradients() + entry.offset;
    wanted += reference::weight_penalty(matrix_of(entry, w), l1, l2);
    std::fill_n(g, entry.size, 3.0f);
    add_penalty_gradients(params, kernels(), 2);
    for (int64_t i = 0; i < entry.size; ++i) {
      ASSERT_NEAR(g[i], 3.0 + reference::weight_penalty_gradient(w[i], l1, l2), 1e-6) << entry.name;
    }
  }
  EXPECT_NEAR(weight_penalty(params, kernels(), 1), wanted, 1e-9 * wanted);
  EXPECT_EQ(weight_penalty(recurrent_model(kernels(), {})->params(), kernels(), 1), 0.0);
}

TEST_P(Rules, ConstraintsAreThoseOfTheReference) {
  for (const char* name : {"maxAbs", "maxNorm", "unitNorm", "nonNeg"}) {
    const auto network = recurrent_model(kernels(), {{"recurrentConstraint", std::string(name)},
                                                     {"recurrentConstraint.max", 1.5},
                                                     {"biasConstraint", std::string(name)},
                                                     {"biasConstraint.max", 0.75}});
    ParamTable& params = network->params();
    const std::vector<float> before(params.values(), params.values() + params.size());
    constrain(params, kernels(), params.values(), 2);
    for (const ParamEntry& entry : params.entries()) {
      reference::Matrix wanted = matrix_of(entry, before.data() + entry.offset);
      const double max = entry.role == ParamRole::kBias ? 0.75 : 1.5;
      const std::string kind = name;
      if (entry.role == ParamRole::kKernel) {
        // has none
      } else if (kind == "maxAbs") {
        reference::limit_values(wanted, -max, max);
      } else if (kind == "nonNeg") {
        reference::limit_values(wanted, 0, INFINITY);
      } else {
        reference::limit_norms(wanted, max, kind == "unitNorm");
      }
      const reference::Matrix got = matrix_of(entry, params.values() + entry.offset);
      for (size_t r = 0; r < got.rows(); ++r) {
        for (size_t c = 0; c < got.cols(); ++c) {
          ASSERT_NEAR(got(r, c), wanted(r, c), 1e-6) << name << " " << entry.name;
        }
      }
    }
  }
}

TEST_P(Rules, AreBitwiseTheSameOnAnyNumberOfThreads) {
  std::vector<std::vector<uint32_t>> values;
  std::vector<double> penalties;
  for (const int threads : {1, 2, 7}) {
    const auto network = recurrent_model(kernels(),
                                         {{"recurrentRegularizer.l1", 0.1},
                                          {"recurrentRegularizer.l2", 0.1},
                                          {"recurrentConstraint", "maxNorm"},
                                          {"recurrentConstraint.max", 3.0}},
                                         530);
    ParamTable& params = network->params();
    penalties.push_back(weight_penalty(params, kernels(), threads));
    add_penalty_gradients(params, kernels(), threads);
    constrain(params, kernels(), params.values(), threads);
    constrain(params, kernels(), params.gradients(), threads);
    values.push_back(parameter_bits(*network));
    const std::vector<uint32_t> gradients = bits_of(params.gradients(), params.size());
    values.back().insert(values.back().end(), gradients.begin(), gradients.end());
  }
  EXPECT_EQ(values[0], values[1]);
  EXPECT_EQ(values[0], values[2]);
  EXPECT_EQ(penalties[0], penalties[1]);
  EXPECT_EQ(penalties[0], penalties[2]);
}

std::shared_ptr<Network> regularized_model(const Kernels& kernels, bool with) {
  const double on = with ? 1.0 : 0.0;
  return make_network(
      kernels, {1, true, true},
      {layer("embedding", {{"inputDim", static_cast<double>(kVocabulary)},
                           {"units", 6.0},
                           {"embeddingsRegularizer.l2", 0.02 * on}}),
       layer("lstm",
             {{"units", 7.0}, {"returnSequences", true}, {"recurrentRegularizer.l2", 0.03 * on}}),
       layer("dense",
             {{"units", static_cast<double>(kVocabulary)}, {"kernelRegularizer.l1", 0.01 * on}})},
      5);
}

// One step of SGD shows the gradient; two show that an embedding's penalty does not pile up in rows
// that the batch does not touch.
TEST_P(Rules, TrainingAddsPenaltiesToTheGradient) {
  const Dataset data = language_data(2, 5);
  const std::vector<int32_t> samples = all_samples(data);
  OptimizerConfig sgd;
  sgd.kind = OptimizerKind::kSgd;
  const auto plain = regularized_model(kernels(), false);
  const auto with = regularized_model(kernels(), true);
  Trainer plain_trainer(plain, language_loss(), sgd), trainer(with, language_loss(), sgd);
  for (int step = 0; step < 2; ++step) {
    std::memcpy(plain->params().values(), with->params().values(),
                with->params().size() * sizeof(float));
    plain->params().touch();
    const std::vector<float> before(with->params().values(),
                                    with->params().values() + with->params().size());
    const StepResult bare =
        plain_trainer.step(data, samples.data(), 2, 0.5, false, false, 1, nullptr);
    const StepResult result = trainer.step(data, samples.data(), 2, 0.5, false, false, 1, nullptr);
    EXPECT_EQ(result.loss.sum, bare.loss.sum);
    double penalty = 0, square = 0;
    for (const ParamEntry& entry : with->params().entries()) {
      const double l1 = entry.name == "dense.weight" ? 0.01 : 0.0;
      const double l2 = entry.role == ParamRole::kEmbedding   ? 0.02
                        : entry.role == ParamRole::kRecurrent ? 0.03
                                                              : 0.0;
      for (int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
        const double gradient = (before[i] - plain->params().values()[i]) / 0.5 +
                                reference::weight_penalty_gradient(before[i], l1, l2);
        penalty += l1 * std::abs(before[i]) + l2 * before[i] * before[i];
        square += gradient * gradient;
        ASSERT_NEAR(with->params().values()[i], before[i] - 0.5 * gradient, 2e-6) << entry.name;
      }
    }
    EXPECT_NEAR(result.penalty, penalty, 1e-6 * penalty);
    EXPECT_NEAR(result.gradient_norm, std::sqrt(square), 1e-4 * result.gradient_norm);
  }
}

TEST_P(Rules, ConstraintsHoldAfterEveryUpdate) {
  const Dataset data = language_data(2, 5);
  const std::vector<int32_t> samples = all_samples(data);
  for (const OptimizerKind kind : {OptimizerKind::kAdam, OptimizerKind::kScheduleFreeAdam}) {
    const auto network =
        make_network(kernels(), {1, true, true},
                     {layer("embedding", {{"inputDim", static_cast<double>(kVocabulary)},
                                          {"units", 6.0},
                                          {"embeddingsConstraint", "unitNorm"}}),
                      layer("lstm", {{"units", 7.0},
                                     {"returnSequences", true},
                                     {"recurrentConstraint", "maxAbs"},
                                     {"recurrentConstraint.max", 0.125}}),
                      layer("dense", {{"units", static_cast<double>(kVocabulary)}})});
    OptimizerConfig config;
    config.kind = kind;
    config.averaging = Averaging::kEqual;
    Trainer trainer(network, language_loss(), config);
    for (int step = 0; step < 3; ++step) {
      trainer.step(data, samples.data(), 2, 0.1, false, false, 2, nullptr);
      for (const ParamEntry& entry : network->params().entries()) {
        const float* w = network->params().values() + entry.offset;
        if (entry.role == ParamRole::kRecurrent) {
          for (int64_t i = 0; i < entry.size; ++i) ASSERT_LE(std::abs(w[i]), 0.125f);
        } else if (entry.role == ParamRole::kEmbedding) {
          for (int64_t row = 0; row < entry.shape[0]; ++row) {
            EXPECT_NEAR(kernels().sum_squares(w + row * 6, 6), 1.0, 1e-6);
          }
        }
      }
    }
    // The mean of weights within bounds is within them, too.
    for (const Optimizer::Slot& slot : trainer.optimizer().slots()) {
      if (std::string(slot.name) != "average") continue;
      const ParamEntry& entry = network->params().entries()[2];
      ASSERT_EQ(entry.role, ParamRole::kRecurrent);
      for (int64_t i = 0; i < entry.size; ++i) {
        EXPECT_LE(std::abs(slot.values[entry.offset + i]), 0.125f);
      }
    }
  }
}

TEST(WeightRules, RefuseWhatTheyDoNotKnow) {
  const auto rules = [](Options options) {
    return weight_rules(layer("dense", std::move(options)), ParamRole::kKernel);
  };
  EXPECT_THROW(rules({{"kernelConstraint", "minNorm"}}), Error);
  EXPECT_THROW(rules({{"kernelRegularizer.l2", -1.0}}), Error);
  EXPECT_EQ(rules({{"kernelConstraint", "maxNorm"}, {"kernelConstraint.max", 2.0}}).max, 2.0);
  EXPECT_FALSE(rules({{"biasRegularizer.l2", 1.0}}).regularizes());
}

}  // namespace
}  // namespace ostinato::test
