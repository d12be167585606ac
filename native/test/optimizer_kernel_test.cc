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
  std::vector<reference::OptimizerConfig> all(7);
  all[0].kind = OptimizerKind::kSgd;
  all[1].kind = OptimizerKind::kSgd, all[1].momentum = 0.9, all[1].weight_decay = 0.1;
  all[2] = all[1], all[2].nesterov = true;
  all[3].kind = OptimizerKind::kRmsprop, all[3].weight_decay = 0.1;
  all[4] = all[3], all[4].momentum = 0.5, all[4].clip_value = 0.25;
  all[5].kind = OptimizerKind::kAdam, all[5].clip_norm = 0.5;
  all[6].kind = OptimizerKind::kAdamw, all[6].weight_decay = 0.2;
  for (reference::OptimizerConfig& config : all) config.schedule.base = 0.05;
  return all;
}

bool is_adam(const reference::OptimizerConfig& config) {
  return config.kind == reference::OptimizerKind::kAdam ||
         config.kind == reference::OptimizerKind::kAdamw;
}

// Parameters, gradients and slots as the kernel takes them.
struct State {
  explicit State(const reference::Vector& values)
      : p(reference::Matrix(1, values.size(), values)),
        g(reference::Matrix(1, values.size())),
        m(reference::Matrix(1, values.size())),
        v(reference::Matrix(1, values.size())) {}
  GuardedRows p, g, m, v;
};

OptimizerArgs args_of(const reference::OptimizerConfig& config, const State& state, int step,
                      double gradient_scale) {
  using reference::OptimizerKind;
  OptimizerArgs args{};
  args.kind = is_adam(config)                          ? ostinato::OptimizerKind::kAdam
              : config.kind == OptimizerKind::kRmsprop ? ostinato::OptimizerKind::kRmsprop
                                                       : ostinato::OptimizerKind::kSgd;
  args.n = static_cast<int64_t>(state.p.cols());
  args.p = state.p.data(), args.g = state.g.data();
  args.m = is_adam(config) || config.momentum != 0 ? state.m.data() : nullptr;
  args.v = config.kind != OptimizerKind::kSgd ? state.v.data() : nullptr;
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
  return args;
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
      const State state(parameters[0].value);
      reference::Optimizer reference_optimizer(config);
      for (int step = 1; step <= 4; ++step) {
        parameters[0].gradient = random.vector(n);
        std::copy_n(parameters[0].gradient.begin(), n, state.g.row(0));
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
    const State whole(values), parts(values);
    for (int step = 1; step <= 2; ++step) {
      std::copy_n(gradients.begin(), kCount, whole.g.row(0));
      std::copy_n(gradients.begin(), kCount, parts.g.row(0));
      kernels().optimize(args_of(config, whole, step, 0.7));
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{33, 75}, {0, 1}, {1, 33}}) {
        OptimizerArgs args = args_of(config, parts, step, 0.7);
        args.n = end - begin;
        args.p += begin, args.g += begin;
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
    const State state(reference::Vector(19, 1.0));
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
  const State state(reference::Vector(3, 1.0));
  state.g(0, 0) = kInf;
  state.g(0, 1) = -kInf;
  kernels().optimize(args_of(config, state, 1, 1.0));
  EXPECT_FLOAT_EQ(state.p(0, 0), 1.0f - 0.05f * 0.5f);
  EXPECT_FLOAT_EQ(state.p(0, 1), 1.0f + 0.05f * 0.5f);
  EXPECT_EQ(state.p(0, 2), 1.0f);
}

}  // namespace
}  // namespace ostinato::test
