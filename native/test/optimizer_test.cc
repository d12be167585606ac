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
  std::vector<Case> all(18);
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
  all[9] = {"adagrad",
            {.kind = OptimizerKind::kAdagrad,
             .schedule = kRate,
             .weight_decay = 0.1,
             .initial_accumulator = 0.5}};
  all[10] = {"nadam", {.kind = OptimizerKind::kNadam, .schedule = kRate, .weight_decay = 0.1}};
  all[11] = {"nadam with a fast momentum",
             {.kind = OptimizerKind::kNadam, .schedule = kRate, .momentum_decay = 2.0}};
  all[12] = {"radam", {.kind = OptimizerKind::kRadam, .schedule = kRate, .weight_decay = 0.2}};
  // From the second update on the variance is trusted.
  all[13] = {"radam with few gradients to remember",
             {.kind = OptimizerKind::kRadam, .schedule = kRate, .beta2 = 0.9}};
  all[14] = {"lion",
             {.kind = OptimizerKind::kLion, .schedule = kRate, .beta2 = 0.99, .weight_decay = 0.1}};
  all[15] = {"schedule-free",
             {.kind = OptimizerKind::kScheduleFreeAdamw, .schedule = kRate, .weight_decay = 0.2}};
  all[16] = {"schedule-free, clipped",
             {.kind = OptimizerKind::kScheduleFreeAdamw, .schedule = kRate, .clip_norm = 0.5}};
  all[17] = {"adagrad, clipped",
             {.kind = OptimizerKind::kAdagrad, .schedule = kRate, .clip_value = 0.2}};
  return all;
}

OptimizerKind core_kind(reference::OptimizerKind kind) {
  switch (kind) {
    case reference::OptimizerKind::kSgd:
      return OptimizerKind::kSgd;
    case reference::OptimizerKind::kRmsprop:
      return OptimizerKind::kRmsprop;
    case reference::OptimizerKind::kAdam:
    case reference::OptimizerKind::kAdamw:
      return OptimizerKind::kAdam;
    case reference::OptimizerKind::kAdagrad:
      return OptimizerKind::kAdagrad;
    case reference::OptimizerKind::kNadam:
      return OptimizerKind::kNadam;
    case reference::OptimizerKind::kRadam:
      return OptimizerKind::kRadam;
    case reference::OptimizerKind::kLion:
      return OptimizerKind::kLion;
    case reference::OptimizerKind::kScheduleFreeAdamw:
      return OptimizerKind::kScheduleFreeAdam;
  }
  return OptimizerKind::kSgd;
}

OptimizerConfig core_config(const reference::OptimizerConfig& config) {
  OptimizerConfig core;
  core.kind = core_kind(config.kind);
  core.momentum = config.momentum;
  core.nesterov = config.nesterov;
  core.rho = config.rho;
  core.beta1 = config.beta1;
  core.beta2 = config.beta2;
  core.epsilon = config.epsilon;
  core.weight_decay = config.weight_decay;
  core.clip_norm = config.clip_norm;
  core.clip_value = config.clip_value;
  core.momentum_decay = config.momentum_decay;
  core.initial_accumulator = config.initial_accumulator;
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
      optimizer.begin(problem.table, 1);
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

TEST_P(Optimizers, FollowTheReferenceWithAMomentumForEachUpdate) {
  for (const Case& one : cases()) {
    using Kind = reference::OptimizerKind;
    const Kind kind = one.config.kind;
    const bool momentum = kind == Kind::kSgd || kind == Kind::kRmsprop;
    const bool beta1 =
        kind == Kind::kAdam || kind == Kind::kAdamw || kind == Kind::kRadam || kind == Kind::kLion;
    if (!beta1 && !(momentum && one.config.momentum > 0)) continue;
    Problem problem, own;
    Optimizer optimizer(core_config(one.config), kernels(), problem.table);
    Optimizer unmoved(core_config(one.config), kernels(), own.table);
    reference::Optimizer reference(one.config);
    for (int step = 0; step < 6; ++step) {
      problem.draw_gradients();
      own.draw_gradients();
      const double given = 0.95 - 0.05 * step;
      optimizer.update(problem.table, 0.05, 1, false, 1, given);
      unmoved.update(own.table, 0.05, 1);
      reference.step(problem.parameters, given);
    }
    bool moved = false;
    for (size_t i = 0; i < problem.parameters.size(); ++i) {
      const int64_t size = problem.table.entries()[i].size;
      const float* values = problem.table.value(static_cast<int>(i));
      OSTINATO_EXPECT_CLOSE(vector_of(values, size), problem.parameters[i].value, 2e-6)
          << one.name << ", parameter " << i;
      moved |= !std::equal(values, values + size, own.table.value(static_cast<int>(i)));
    }
    EXPECT_TRUE(moved) << one.name;
  }
}

void copy_state(const Optimizer& from, Optimizer& to, int64_t size) {
  ASSERT_EQ(to.slots().size(), from.slots().size());
  for (size_t i = 0; i < from.slots().size(); ++i) {
    EXPECT_STREQ(to.slots()[i].name, from.slots()[i].name);
    std::copy_n(from.slots()[i].values, size, to.slots()[i].values);
  }
  to.restore(from.steps(), from.counters());
}

TEST_P(Optimizers, ResumeFromTheirState) {
  for (const Case& one : cases()) {
    Problem whole, parts;
    OptimizerConfig config = core_config(one.config);
    config.averaging = Averaging::kEqual;
    Optimizer first(config, kernels(), whole.table);
    Optimizer second(config, kernels(), parts.table);
    const auto run = [](Problem& problem, Optimizer& optimizer, int steps) {
      for (int i = 0; i < steps; ++i) {
        problem.draw_gradients();
        optimizer.begin(problem.table, 1);
        // A warm-up, so that a resumed run must know the rates before.
        optimizer.update(problem.table, 0.05 + 0.01 * static_cast<double>(optimizer.steps()), 1);
      }
    };
    run(whole, first, 4);
    run(parts, second, 2);
    Optimizer resumed(config, kernels(), parts.table);
    copy_state(second, resumed, parts.table.size());
    run(parts, resumed, 2);
    EXPECT_EQ(bits_of(whole.table.values(), whole.table.size()),
              bits_of(parts.table.values(), parts.table.size()))
        << one.name;
    EXPECT_EQ(bits_of(first.slots().back().values, whole.table.size()),
              bits_of(resumed.slots().back().values, whole.table.size()))
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
    for (const Optimizer::Slot& slot : optimizer.slots()) result.emplace_back(slot.name);
    return result;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(OptimizerKind::kSgd, 0), Names{});
  EXPECT_EQ(names(OptimizerKind::kSgd, 0.9), Names{"momentum"});
  EXPECT_EQ(names(OptimizerKind::kRmsprop, 0), Names{"velocity"});
  EXPECT_EQ(names(OptimizerKind::kRmsprop, 0.9), (Names{"velocity", "momentum"}));
  EXPECT_EQ(names(OptimizerKind::kAdam, 0), (Names{"m", "v"}));
  EXPECT_EQ(names(OptimizerKind::kAdagrad, 0), Names{"accumulator"});
  EXPECT_EQ(names(OptimizerKind::kLion, 0), Names{"m"});
  EXPECT_EQ(names(OptimizerKind::kScheduleFreeAdam, 0), (Names{"z", "v"}));
  OptimizerConfig config;
  config.averaging = Averaging::kExponential;
  config.accumulate = 2;
  const Optimizer more(config, kernels(), table);
  EXPECT_STREQ(more.slots()[2].name, "average");
  EXPECT_STREQ(more.slots()[3].name, "accumulated");
}

TEST_P(Optimizers, AccumulateTheMeanOverAllRows) {
  Problem problem, whole;
  OptimizerConfig config;
  config.clip_norm = 0.3;
  Optimizer one(config, kernels(), whole.table);
  config.accumulate = 3;
  Optimizer many(config, kernels(), problem.table);
  const int64_t rows[] = {4, 1, 7};
  for (int update = 0; update < 2; ++update) {
    std::vector<reference::Vector> sums;
    for (const auto& parameter : problem.parameters) sums.emplace_back(parameter.value.size(), 0.0);
    const auto before = bits_of(problem.table.values(), problem.table.size());
    double norm = 0;
    for (const int64_t count : rows) {
      EXPECT_EQ(bits_of(problem.table.values(), problem.table.size()), before);
      problem.draw_gradients();
      for (size_t i = 0; i < sums.size(); ++i) {
        for (size_t j = 0; j < sums[i].size(); ++j) {
          sums[i][j] += static_cast<double>(count) / 12.0 * problem.parameters[i].gradient[j];
        }
      }
      norm = many.update(problem.table, 0.05, 1, true, count);
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      std::copy(sums[i].begin(), sums[i].end(), whole.table.gradient(static_cast<int>(i)));
    }
    EXPECT_NEAR(norm, one.update(whole.table, 0.05, 1), 1e-6);
    EXPECT_EQ(many.steps(), update + 1);
    EXPECT_EQ(many.batches(), 3 * (update + 1));
    OSTINATO_EXPECT_CLOSE(vector_of(problem.table.values(), problem.table.size()),
                          vector_of(whole.table.values(), whole.table.size()), 2e-6);
  }
}

TEST_P(Optimizers, AccumulationLeavesOutWhatIsNotFinite) {
  Problem problem;
  OptimizerConfig config;
  config.accumulate = 2;
  Optimizer optimizer(config, kernels(), problem.table);
  problem.draw_gradients();
  optimizer.update(problem.table, 0.1, 1, true);
  problem.table.gradient(0)[3] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(optimizer.update(problem.table, 0.1, 1, true)));
  EXPECT_EQ(optimizer.batches(), 1);
  problem.draw_gradients();
  EXPECT_TRUE(std::isfinite(optimizer.update(problem.table, 0.1, 1, true)));
  EXPECT_EQ(optimizer.steps(), 1);
}

TEST_P(Optimizers, AverageTheParameters) {
  for (const Averaging kind : {Averaging::kExponential, Averaging::kEqual}) {
    Problem problem;
    OptimizerConfig config;
    config.averaging = kind;
    config.average_decay = 0.8;
    config.average_start = 1;
    config.average_every = 2;
    Optimizer optimizer(config, kernels(), problem.table);
    reference::Vector mean;
    double count = 0;
    for (int update = 1; update <= 8; ++update) {
      problem.draw_gradients();
      optimizer.update(problem.table, 0.3, 1);
      if (update % 2 == 0) continue;  // it averages after updates 3, 5 and 7
      const reference::Vector now = vector_of(problem.table.values(), problem.table.size());
      if (update == 1) continue;
      count += 1;
      if (count == 1) mean = now;
      const double share = kind == Averaging::kEqual ? 1.0 / count : 0.2;
      for (size_t i = 0; i < now.size(); ++i) mean[i] += share * (now[i] - mean[i]);
    }
    EXPECT_EQ(optimizer.averaged(), 3);
    OSTINATO_EXPECT_CLOSE(vector_of(optimizer.slots().back().values, problem.table.size()), mean,
                          1e-6);
  }
}

TEST_P(Optimizers, GroupsHaveRatesAndDecaysOfTheirOwn) {
  Problem problem;
  OptimizerConfig config;
  config.weight_decay = 0.1;
  config.rate_factors = {1, 0, 0.5};
  config.weight_decays = {-1, 0.4, 0.3};
  Optimizer optimizer(config, kernels(), problem.table);
  const float frozen = problem.table.value(1)[2];
  std::vector<reference::Optimizer> references;
  for (const double decay : {0.1, 0.3}) {
    references.emplace_back(reference::OptimizerConfig{.kind = reference::OptimizerKind::kAdamw,
                                                       .schedule = {.base = 0.05},
                                                       .weight_decay = decay});
  }
  problem.parameters[2].rate_factor = 0.5;
  for (int step = 0; step < 3; ++step) {
    problem.draw_gradients();
    optimizer.update(problem.table, 0.05, 1);
    for (const size_t i : {0, 1}) {
      std::vector<reference::Parameter> one{problem.parameters[2 * i]};
      references[i].step(one);
      problem.parameters[2 * i] = one[0];
    }
  }
  EXPECT_EQ(problem.table.value(1)[2], frozen);
  for (const int i : {0, 2}) {
    OSTINATO_EXPECT_CLOSE(vector_of(problem.table.value(i), problem.table.entries()[i].size),
                          problem.parameters[i].value, 2e-6);
  }
}

TEST_P(Optimizers, ScheduleFreeParametersComeBackWithoutAnUpdate) {
  Problem problem;
  OptimizerConfig config;
  config.kind = OptimizerKind::kScheduleFreeAdam;
  Optimizer optimizer(config, kernels(), problem.table);
  for (int step = 0; step < 2; ++step) {
    problem.draw_gradients();
    optimizer.begin(problem.table, 1);
    optimizer.update(problem.table, 0.5, 1);
  }
  const auto before = bits_of(problem.table.values(), problem.table.size());
  optimizer.begin(problem.table, 2);
  EXPECT_NE(bits_of(problem.table.values(), problem.table.size()), before);
  optimizer.abandon(problem.table, 2);
  EXPECT_EQ(bits_of(problem.table.values(), problem.table.size()), before);
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
    config.kind = OptimizerKind::kScheduleFreeAdam;
    config.accumulate = 2;
    config.averaging = Averaging::kExponential;
    Optimizer optimizer(config, kernels(), problem.table);
    for (int step = 0; step < 2; ++step) {
      problem.draw_gradients();
      optimizer.begin(problem.table, threads);
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
