// How often dropout inside the time loop drops, and which rates and cells it is refused for. What
// it does with its masks: recurrent_dropout_test.cc.
#include <gtest/gtest.h>

#include <string>

#include "test/core_recurrent.h"
#include "test/defined_cells.h"
#include "test/loop_dropout_rates.h"

namespace ostinato::test {
namespace {

class LoopDropoutDraws : public EveryIsa {};
OSTINATO_EVERY_ISA(LoopDropoutDraws);

// Shares of the draws of a state: how many units stay, at one step and at two in a row.
TEST_P(LoopDropoutDraws, ZoneoutKeepsItsShare) {
  reference::RecurrentConfig config;
  config.inputs = 2;
  config.units = 50;
  constexpr size_t kBatch = 20, kSteps = 20;
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(config, {kBatch, kSteps, false, false, 0.0}, 36);
  const auto outputs = [&](uint64_t step) {
    CoreRun run(kernels(), problem, 1, options_of({0, 0.3, 0}));
    run.training = true;
    run.step = step;
    run.forward(false);
    return run.y;
  };
  const reference::Vector y = outputs(0);
  const auto stays = [&](size_t row, size_t t, size_t unit) {
    const size_t at = (row * kSteps + t) * config.units + unit;
    return y[at] == y[at - config.units];
  };
  double one = 0, two = 0, neighbours = 0, count = 0;
  for (size_t row = 0; row < kBatch; ++row) {
    for (size_t t = 2; t < kSteps; ++t) {
      for (size_t unit = 1; unit < config.units; ++unit) {
        ++count;
        one += stays(row, t, unit);
        two += stays(row, t, unit) && stays(row, t - 1, unit);
        neighbours += stays(row, t, unit) && stays(row, t, unit - 1);
      }
    }
  }
  // Five deviations of counts of some 17,000 draws.
  EXPECT_NEAR(one / count, 0.3, 0.018);
  EXPECT_NEAR(two / count, 0.09, 0.015);
  EXPECT_NEAR(neighbours / count, 0.09, 0.015);
  EXPECT_NE(outputs(1), y);
  EXPECT_EQ(outputs(0), y);
}

// The mask on h, by its own effect: with an Elman cell whose product is the identity.
TEST_P(LoopDropoutDraws, MaskOfARowIsOneForAllStepsAndKeepsItsShare) {
  reference::RecurrentConfig config;
  config.cell = "elman_relu";
  config.inputs = 1;
  config.units = 50;
  config.use_bias = false;
  constexpr size_t kBatch = 40, kSteps = 3;
  reference::RecurrentProblem problem =
      reference::random_recurrent_problem(config, {kBatch, kSteps, false, false, 0.0}, 37);
  for (double& x : problem.input.x) x = 1.0;
  for (double& w : problem.params["weight_ih_l0"]) w = 1.0;
  reference::Vector& recurrent = problem.params["weight_hh_l0"];
  for (size_t i = 0; i < recurrent.size(); ++i) recurrent[i] = i % (config.units + 1) == 0 ? 1 : 0;
  CoreRun run(kernels(), problem, 1, options_of({0.2, 0, 0}));
  run.training = true;
  run.forward(false);
  double dropped = 0;
  for (size_t row = 0; row < kBatch; ++row) {
    for (size_t unit = 0; unit < config.units; ++unit) {
      const auto h = [&](size_t t) { return run.y[(row * kSteps + t) * config.units + unit]; };
      const bool drop = h(1) == 1.0;  // h' = 1 + m h
      dropped += drop;
      EXPECT_NEAR(h(1), drop ? 1.0 : 2.25, 1e-6);
      EXPECT_NEAR(h(2), drop ? 1.0 : 3.8125, 1e-6);
    }
  }
  EXPECT_NEAR(dropped / (kBatch * config.units), 0.2, 0.045);
}

TEST(LoopDropoutOptions, CellsWithoutACandidateAreRefused) {
  const Kernels& kernels = *available_kernels().back();
  const Options options{{"units", 4.0}, {"candidateDropout", 0.5}, {"cell", kElmanText}};
  for (const char* type : {"elman_tanh", "indrnn_relu", "custom"}) {
    const std::string message = message_of("ERR_INVALID_ARGUMENT", [&] {
      make_network(kernels, {3, true, false}, {layer(type, options)});
    });
    EXPECT_NE(message.find("candidateDropout"), std::string::npos) << message;
  }
}

TEST(LoopDropoutOptions, OtherRatesAreRefused) {
  const Kernels& kernels = *available_kernels().back();
  for (const char* name :
       {"zoneout", "zoneout.h", "zoneout.c", "recurrentDropout", "candidateDropout"}) {
    for (const double rate : {-0.1, 1.0}) {
      message_of("ERR_INVALID_ARGUMENT", [&] {
        make_network(kernels, {3, true, false}, {layer("lstm", {{"units", 4.0}, {name, rate}})});
      });
    }
  }
}

}  // namespace
}  // namespace ostinato::test
