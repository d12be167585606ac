// The optimiser kernel: memory, ranges and extremes; the equations over many steps are tested with
// the core's Optimizer as well.
#include <gtest/gtest.h>

#include <limits>

#include "kernels/kernels.h"
#include "reference/optimizers.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<reference::OptimizerConfig> configs() {
  using reference::OptimizerKind;
  std::vector<reference::OptimizerConfig> all(12);
  all[0].kind = OptimizerKind::kSgd;
  all[1].kind = OptimizerKind::kSgd, all[1].momentum = 0.9, all[1].weight_decay = 0.1;
  all[2] = all[1], all[2].nesterov = true;
  all[3].kind = OptimizerKind::kRmsprop, all[3].weight_decay = 0.1;
  all[4] = all[3], all[4].momentum = 0.5, all[4].clip_value = 0.25;
  all[5].kind = OptimizerKind::kAdam, all[5].clip_norm = 0.5;
  all[6].kind = OptimizerKind::kAdamw, all[6].weight_decay = 0.2;
  all[7].kind = OptimizerKind::kAdagrad, all[7].weight_decay = 0.1;
  all[7].initial_accumulator = 0.1;
  all[8].kind = OptimizerKind::kNadam, all[8].weight_decay = 0.1;
  all[9].kind = OptimizerKind::kRadam, all[9].beta2 = 0.9, all[9].clip_value = 0.25;
  all[10].kind = OptimizerKind::kLion, all[10].weight_decay = 0.1, all[10].beta2 = 0.9;
  all[11].kind = OptimizerKind::kScheduleFreeAdamw, all[11].weight_decay = 0.2;
  for (reference::OptimizerConfig& config : all) config.schedule.base = 0.05;
  return all;
}

// Adam and its kin, by their two slots.
bool is_adam(const reference::OptimizerConfig& config) {
  using reference::OptimizerKind;
  return config.kind == OptimizerKind::kAdam || config.kind == OptimizerKind::kAdamw ||
         config.kind == OptimizerKind::kNadam || config.kind == OptimizerKind::kRadam ||
         config.kind == OptimizerKind::kScheduleFreeAdamw;
}

ostinato::OptimizerKind kind_of(reference::OptimizerKind kind) {
  using reference::OptimizerKind;
  switch (kind) {
    case OptimizerKind::kSgd:
      return ostinato::OptimizerKind::kSgd;
    case OptimizerKind::kRmsprop:
      return ostinato::OptimizerKind::kRmsprop;
    case OptimizerKind::kAdagrad:
      return ostinato::OptimizerKind::kAdagrad;
    case OptimizerKind::kNadam:
      return ostinato::OptimizerKind::kNadam;
    case OptimizerKind::kRadam:
      return ostinato::OptimizerKind::kRadam;
    case OptimizerKind::kLion:
      return ostinato::OptimizerKind::kLion;
    case OptimizerKind::kScheduleFreeAdamw:
      return ostinato::OptimizerKind::kScheduleFreeAdam;
    default:
      return ostinato::OptimizerKind::kAdam;
  }
}

// Parameters, gradients and slots as the kernel takes them.
struct State {
  State(const reference::Vector& values, const reference::OptimizerConfig& config)
      : p(reference::Matrix(1, values.size(), values)),
        g(reference::Matrix(1, values.size())),
        m(reference::Matrix(1, values.size())),
        v(reference::Matrix(1, values.size(),
                            reference::Vector(values.size(), config.initial_accumulator))),
        x(reference::Matrix(1, values.size(), values)) {
    if (config.kind == reference::OptimizerKind::kScheduleFreeAdamw) {
      std::copy(values.begin(), values.end(), m.row(0));
    }
  }
  GuardedRows p, g, m, v, x;
};

OptimizerArgs args_of(const reference::OptimizerConfig& config, const State& state, int step,
                      double gradient_scale) {
  using reference::OptimizerKind;
  OptimizerArgs args{};
  args.kind = kind_of(config.kind);
  args.n = static_cast<int64_t>(state.p.cols());
  args.p = state.p.data(), args.g = state.g.data();
  const bool has_m = is_adam(config) || config.kind == OptimizerKind::kLion;
  args.m = has_m || config.momentum != 0 ? state.m.data() : nullptr;
  args.v = config.kind != OptimizerKind::kSgd ? state.v.data() : nullptr;
  args.x = state.x.data();
  args.learning_rate = static_cast<float>(config.schedule.base);
  args.weight_decay = static_cast<float>(config.weight_decay);
  args.gradient_scale = static_cast<float>(gradient_scale);
  args.clip_value = static_cast<float>(config.clip_value);
  args.momentum = static_cast<float>(config.momentum);
  args.nesterov = config.nesterov;
  args.rho = static_cast<float>(config.rho);
  args.beta1 = static_cast<float>(config.beta1);
  args.beta2 = static_cast<float>(config.beta2);
  args.bias1 = static_cast<float>(1.0 - std::pow(config.beta1, step));
  args.bias2 = static_cast<float>(1.0 - std::pow(config.beta2, step));
  args.epsilon = static_cast<float>(config.epsilon);
  // What the core computes of the step's number, for NAdam, RAdam and the schedule-free method.
  double product = 1.0;
  const auto momentum = [&](int t) {
    return config.beta1 * (1.0 - 0.5 * std::pow(0.96, t * config.momentum_decay));
  };
  for (int t = 1; t <= step; ++t) product *= momentum(t);
  const double next = momentum(step + 1);
  args.gradient_part = static_cast<float>((1.0 - momentum(step)) / (1.0 - product));
  args.momentum_part = static_cast<float>(next / (1.0 - product * next));
  const double most = 2.0 / (1.0 - config.beta2) - 1.0, power = std::pow(config.beta2, step);
  const double rho = most - 2.0 * step * power / (1.0 - power);
  if (rho > 5.0) {
    args.rectification = static_cast<float>(
        std::sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho) * (1.0 - power)));
  }
  args.mixing = 1.0f / static_cast<float>(step);
  return args;
}

// The schedule-free method takes its gradients between x, which p holds, and z.
void move_to_gradient_point(const reference::OptimizerConfig& config, const State& state) {
  if (config.kind != reference::OptimizerKind::kScheduleFreeAdamw) return;
  std::copy_n(state.p.row(0), state.p.cols(), state.x.row(0));
  for (size_t i = 0; i < state.p.cols(); ++i) {
    const double z = state.m(0, i), x = state.x(0, i);
    state.p(0, i) = static_cast<float>((1.0 - config.beta1) * z + config.beta1 * x);
  }
}

class OptimizerKernel : public EveryIsa {};
OSTINATO_EVERY_ISA(OptimizerKernel);

TEST_P(OptimizerKernel, FollowsTheReferenceAtEverySize) {
  reference::RandomSource random(1);
  for (const reference::OptimizerConfig& config : configs()) {
    for (const size_t n : edge_counts()) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(config.kind) << " momentum "
                                      << config.momentum << ", " << n << " parameters");
      std::vector<reference::Parameter> parameters = {{"p", random.vector(n), {}}};
      const State state(parameters[0].value, config);
      reference::Optimizer reference_optimizer(config);
      for (int step = 1; step <= 4; ++step) {
        parameters[0].gradient = random.vector(n);
        std::copy_n(parameters[0].gradient.begin(), n, state.g.row(0));
        move_to_gradient_point(config, state);
        kernels().optimize(
            args_of(config, state, step,
                    reference::clip_scale(reference::global_norm(parameters), config.clip_norm)));
        reference_optimizer.step(parameters);
      }
      EXPECT_TRUE(close(state.p, reference::Matrix(1, n, parameters[0].value), 5e-6));
    }
  }
}

TEST_P(OptimizerKernel, AnySplitGivesTheSameBits) {
  reference::RandomSource random(2);
  constexpr size_t kCount = 75;
  for (const reference::OptimizerConfig& config : configs()) {
    const reference::Vector values = random.vector(kCount), gradients = random.vector(kCount);
    const State whole(values, config), parts(values, config);
    for (int step = 1; step <= 2; ++step) {
      std::copy_n(gradients.begin(), kCount, whole.g.row(0));
      std::copy_n(gradients.begin(), kCount, parts.g.row(0));
      move_to_gradient_point(config, whole);
      move_to_gradient_point(config, parts);
      kernels().optimize(args_of(config, whole, step, 0.7));
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{33, 75}, {0, 1}, {1, 33}}) {
        OptimizerArgs args = args_of(config, parts, step, 0.7);
        args.n = end - begin;
        args.p += begin, args.g += begin, args.x += begin;
        if (args.m != nullptr) args.m += begin;
        if (args.v != nullptr) args.v += begin;
        kernels().optimize(args);
      }
    }
    EXPECT_EQ(parts.p.bits(), whole.p.bits());
    EXPECT_EQ(parts.m.bits(), whole.m.bits());
    EXPECT_EQ(parts.v.bits(), whole.v.bits());
  }
}

TEST_P(OptimizerKernel, NanGradientsAreNotClippedAway) {
  for (reference::OptimizerConfig config : configs()) {
    config.clip_value = 0.5;
    const State state(reference::Vector(19, 1.0), config);
    state.g(0, 7) = std::nanf("");
    state.g(0, 18) = std::nanf("");
    kernels().optimize(args_of(config, state, 1, 1.0));
    for (size_t i = 0; i < 19; ++i) {
      EXPECT_EQ(std::isnan(state.p(0, i)), i == 7 || i == 18) << i;
    }
  }
}

TEST_P(OptimizerKernel, ClippingBoundsInfiniteGradients) {
  reference::OptimizerConfig config = configs()[0];
  config.clip_value = 0.5;
  const State state(reference::Vector(3, 1.0), config);
  state.g(0, 0) = kInf;
  state.g(0, 1) = -kInf;
  kernels().optimize(args_of(config, state, 1, 1.0));
  EXPECT_FLOAT_EQ(state.p(0, 0), 1.0f - 0.05f * 0.5f);
  EXPECT_FLOAT_EQ(state.p(0, 1), 1.0f + 0.05f * 0.5f);
  EXPECT_EQ(state.p(0, 2), 1.0f);
}

}  // namespace
}  // namespace ostinato::test
