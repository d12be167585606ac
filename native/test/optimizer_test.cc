#include "core/optimizer.h"

#include <gtest/gtest.h>

#include <limits>

#include "reference/optimizers.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

class Optimizers : public EveryIsa {};
OSTINATO_EVERY_ISA(Optimizers);

struct Case {
  const char* name;
  reference::OptimizerConfig config;
};

std::vector<Case> cases() {
  using reference::OptimizerKind;
  const reference::Schedule kRate{reference::ScheduleKind::kConstant, 0.05};
  std::vector<Case> all(9);
  all[0] = {"sgd", {.kind = OptimizerKind::kSgd, .schedule = kRate}};
  all[1] = {"sgd with momentum and decay",
            {.kind = OptimizerKind::kSgd, .schedule = kRate, .momentum = 0.9, .weight_decay = 0.1}};
  all[2] = {"nesterov",
            {.kind = OptimizerKind::kSgd, .schedule = kRate, .momentum = 0.8, .nesterov = true}};
  all[3] = {"rmsprop", {.kind = OptimizerKind::kRmsprop, .schedule = kRate, .rho = 0.95}};
  all[4] = {
      "rmsprop with momentum",
      {.kind = OptimizerKind::kRmsprop, .schedule = kRate, .momentum = 0.5, .weight_decay = 0.2}};
  all[5] = {"adam", {.kind = OptimizerKind::kAdam, .schedule = kRate}};
  all[6] = {"adamw",
            {.kind = OptimizerKind::kAdamw, .schedule = kRate, .beta2 = 0.99, .weight_decay = 0.3}};
  all[7] = {"clipped by norm", {.kind = OptimizerKind::kSgd, .schedule = kRate, .clip_norm = 0.5}};
  all[8] = {"clipped by value",
            {.kind = OptimizerKind::kAdam, .schedule = kRate, .clip_value = 0.1}};
  return all;
}

OptimizerConfig core_config(const reference::OptimizerConfig& config) {
  OptimizerConfig core;
  core.kind = config.kind == reference::OptimizerKind::kSgd       ? OptimizerKind::kSgd
              : config.kind == reference::OptimizerKind::kRmsprop ? OptimizerKind::kRmsprop
                                                                  : OptimizerKind::kAdam;
  core.momentum = config.momentum;
  core.nesterov = config.nesterov;
  core.rho = config.rho;
  core.beta1 = config.beta1;
  core.beta2 = config.beta2;
  core.epsilon = config.epsilon;
  core.weight_decay = config.weight_decay;
  core.clip_norm = config.clip_norm;
  core.clip_value = config.clip_value;
  return core;
}

// A table and the reference's parameters with the same random values.
struct Problem {
  explicit Problem(std::vector<int64_t> sizes = {37, 5, 100}) {
    const ParamRole roles[] = {ParamRole::kKernel, ParamRole::kBias, ParamRole::kEmbedding,
                               ParamRole::kNorm};
    for (size_t i = 0; i < sizes.size(); ++i) {
      table.add("p" + std::to_string(i), {sizes[i]}, roles[i % 4]);
    }
    table.realise();
    for (size_t i = 0; i < sizes.size(); ++i) {
      const reference::Vector values = random.vector(sizes[i]);
      std::copy(values.begin(), values.end(), table.value(static_cast<int>(i)));
      parameters.push_back({"p", values, {}, table.entries()[i].decays()});
    }
  }
  void draw_gradients() {
    for (size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].gradient = random.vector(parameters[i].value.size());
      std::copy(parameters[i].gradient.begin(), parameters[i].gradient.end(),
                table.gradient(static_cast<int>(i)));
    }
  }
  reference::RandomSource random{8};
  ParamTable table;
  std::vector<reference::Parameter> parameters;
};

TEST_P(Optimizers, FollowTheReference) {
  for (const Case& one : cases()) {
    Problem problem;
    Optimizer optimizer(core_config(one.config), kernels(), problem.table);
    reference::Optimizer reference(one.config);
    for (int step = 0; step < 6; ++step) {
      problem.draw_gradients();
      const uint64_t version = problem.table.version();
      const double norm = optimizer.update(problem.table, 0.05, 1);
      EXPECT_NEAR(norm, reference::global_norm(problem.parameters), 1e-5);
      EXPECT_NE(problem.table.version(), version);
      reference.step(problem.parameters);
    }
    EXPECT_EQ(optimizer.steps(), 6);
    for (size_t i = 0; i < problem.parameters.size(); ++i) {
      OSTINATO_EXPECT_CLOSE(
          vector_of(problem.table.value(static_cast<int>(i)), problem.table.entries()[i].size),
          problem.parameters[i].value, 2e-6)
          << one.name << ", parameter " << i;
    }
  }
}

TEST_P(Optimizers, ResumeFromSlotsAndSteps) {
  for (const Case& one : cases()) {
    Problem whole, parts;
    Optimizer first(core_config(one.config), kernels(), whole.table);
    Optimizer second(core_config(one.config), kernels(), parts.table);
    const auto run = [](Problem& problem, Optimizer& optimizer, int steps) {
      for (int i = 0; i < steps; ++i) {
        problem.draw_gradients();
        optimizer.update(problem.table, 0.05, 1);
      }
    };
    run(whole, first, 4);
    run(parts, second, 2);
    Optimizer resumed(core_config(one.config), kernels(), parts.table);
    ASSERT_EQ(resumed.slot_count(), second.slot_count());
    for (int slot = 0; slot < second.slot_count(); ++slot) {
      EXPECT_STRNE(second.slot_name(slot), "");
      std::copy_n(second.slot(slot), parts.table.size(), resumed.slot(slot));
    }
    resumed.set_steps(second.steps());
    run(parts, resumed, 2);
    EXPECT_EQ(bits_of(whole.table.values(), whole.table.size()),
              bits_of(parts.table.values(), parts.table.size()))
        << one.name;
  }
}

TEST_P(Optimizers, NameTheSlotsThatTheyUse) {
  const ParamTable& table = Problem().table;
  const auto names = [&](OptimizerKind kind, double momentum) {
    OptimizerConfig config;
    config.kind = kind;
    config.momentum = momentum;
    const Optimizer optimizer(config, kernels(), table);
    std::vector<std::string> result;
    for (int i = 0; i < optimizer.slot_count(); ++i) result.emplace_back(optimizer.slot_name(i));
    return result;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(OptimizerKind::kSgd, 0), Names{});
  EXPECT_EQ(names(OptimizerKind::kSgd, 0.9), Names{"momentum"});
  EXPECT_EQ(names(OptimizerKind::kRmsprop, 0), Names{"velocity"});
  EXPECT_EQ(names(OptimizerKind::kRmsprop, 0.9), (Names{"velocity", "momentum"}));
  EXPECT_EQ(names(OptimizerKind::kAdam, 0), (Names{"m", "v"}));
}

TEST_P(Optimizers, LeaveEverythingAloneWhenTheNormIsNotFinite) {
  Problem problem;
  Optimizer optimizer({}, kernels(), problem.table);
  problem.draw_gradients();
  problem.table.gradient(2)[50] = std::numeric_limits<float>::quiet_NaN();
  const auto before = bits_of(problem.table.values(), problem.table.size());
  EXPECT_TRUE(std::isnan(optimizer.update(problem.table, 0.1, 1, true)));
  EXPECT_EQ(optimizer.steps(), 0);
  EXPECT_EQ(bits_of(problem.table.values(), problem.table.size()), before);
  problem.table.gradient(2)[50] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(optimizer.update(problem.table, 0.1, 1, true)));
  EXPECT_EQ(bits_of(problem.table.values(), problem.table.size()), before);
}

TEST_P(Optimizers, AreTheSameOnAnyNumberOfThreads) {
  std::vector<std::vector<uint32_t>> values;
  std::vector<double> norms;
  for (const int threads : {1, 2, 7}) {
    Problem problem({300'001, 17, 900'000, 3, 200'000});
    OptimizerConfig config;
    config.weight_decay = 0.1;
    config.clip_norm = 1;
    Optimizer optimizer(config, kernels(), problem.table);
    for (int step = 0; step < 2; ++step) {
      problem.draw_gradients();
      norms.push_back(optimizer.update(problem.table, 0.01, threads));
    }
    values.push_back(bits_of(problem.table.values(), problem.table.size()));
  }
  for (const size_t i : {1, 2}) {
    EXPECT_TRUE(values[i] == values[0]);
    EXPECT_EQ(norms[2 * i], norms[0]);
    EXPECT_EQ(norms[2 * i + 1], norms[1]);
  }
}

}  // namespace
}  // namespace ostinato::test
