// Dropout inside the time loop: zoneout, the mask on h before the recurrent product, and dropout of
// the candidate. The reference is given the masks that the random numbers' contract states.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "kernels/philox.h"
#include "test/defined_cells.h"
#include "test/loop_dropout_rates.h"
#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

constexpr uint64_t kSeed = 1, kStep = 5;  // of make_network; of the pass

bool has_candidate(const reference::Cell& cell) { return cell.gates > 1; }

// Whether the element's word is below the rate: `turn` says which mask of the recurrence it is.
bool is_drawn(const reference::RecurrentConfig& config, size_t slot, size_t turn, size_t row,
              size_t unit, double rate) {
  const uint64_t blocks = (config.units + 3) / 4;
  uint32_t words[4];
  Philox4x32::generate(kSeed, loop_stream(kStep, 0, slot), (8 * row + turn) * blocks + unit / 4,
                       words);
  return words[unit % 4] * 0x1p-32 < rate;
}

// Gives the problem the masks of a pass in training, or, without, what stands for them.
void set_masks(reference::RecurrentProblem& problem, const Rates& rates, bool training) {
  const reference::RecurrentConfig& config = problem.config;
  reference::RecurrentInput& input = problem.input;
  const size_t slots = config.layers * config.directions();
  if (training && rates.mask > 0) {
    const size_t width = config.hidden();
    for (size_t i = 0; i < slots * input.batch * width; ++i) {
      const size_t unit = i % width, row = i / width % input.batch;
      const size_t slot = i / width / input.batch;
      const bool drawn = is_drawn(config, slot, 0, row, unit, rates.mask);
      input.recurrent_mask.push_back(drawn ? 0.0 : 1.0 / (1.0 - rates.mask));
    }
  }
  // The draws of all steps, slot by slot.
  const auto of_steps = [&](size_t turn, size_t width, double rate, const auto& value) {
    reference::Vector values;
    for (size_t i = 0; i < slots * input.batch * input.steps * width; ++i) {
      const size_t unit = i % width, t = i / width % input.steps;
      const size_t place = i / width / input.steps;
      const size_t row = place % input.batch, slot = place / input.batch;
      values.push_back(value(is_drawn(config, slot, turn, t * input.batch + row, unit, rate)));
    }
    return values;
  };
  if (training && rates.candidate > 0) {
    input.candidate_mask = of_steps(7, config.units, rates.candidate, [&](bool drawn) {
      return drawn ? 0.0 : 1.0 / (1.0 - rates.candidate);
    });
  }
  const std::vector<std::string>& states = reference::find_cell(config.cell).states;
  for (size_t s = 0; s < states.size(); ++s) {
    const double rate = s == 0 ? rates.h : rates.c;
    input.zoneout[states[s]] = of_steps(1 + s, config.width(s), rate, [&](bool drawn) {
      return !training ? rate : drawn ? 1.0 : 0.0;
    });
  }
}

struct Shape {
  const char* name;
  reference::RecurrentConfig config;
  reference::RecurrentProblemOptions options;
};

std::vector<Shape> shapes() {
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 18;  // not whole blocks of random numbers, nor whole vectors
  std::vector<Shape> all{{"dense", config, {3, 4, false, true, 0.0}}};
  config.bidirectional = true;
  config.layers = 2;
  all.push_back({"both_ways", config, {7, 5, true, true, 0.0}});
  config.bidirectional = false;
  config.layers = 1;
  config.go_backwards = true;
  config.return_sequences = false;
  all.push_back({"backwards_last", config, {7, 5, true, true, 0.0}});
  return all;
}

constexpr Rates kRates[] = {{0.5, 0, 0},    {0, 0.25, 0.5},  {0.25, 0, 0.5},
                            {0.5, 0.25, 0}, {0, 0, 0, 0.25}, {0.5, 0.25, 0.25, 0.5}};

class LoopDropouts : public EveryIsa {};
OSTINATO_EVERY_ISA(LoopDropouts);

// Trains or predicts with the masks of the rates, twice, and compares with the reference.
void expect_agreement(const Kernels& kernels, const Shape& shape, Rates rates, bool training) {
  SCOPED_TRACE(testing::Message() << shape.config.cell << " " << shape.name << " " << rates.mask
                                  << " " << rates.h << " " << rates.c << " " << rates.candidate
                                  << " " << training);
  if (!has_candidate(reference::find_cell(shape.config.cell))) rates.candidate = 0;
  reference::RecurrentProblem problem =
      reference::random_recurrent_problem(shape.config, shape.options, 31);
  set_masks(problem, rates, training);
  // Nearer to a corner single precision may find itself on the other side of it.
  ASSERT_GT(kink_distance(problem), 1e-6);
  CoreRun got(kernels, problem, 1, options_of(rates));
  got.training = training;
  got.step = kStep;
  got.run();
  expect_close(got, problem);
  // Nothing is left from a pass for the next one, nor kept for one without gradients.
  const reference::NamedVectors gradients = got.gradients;
  const reference::Vector y = got.y;
  got.run();
  EXPECT_EQ(got.gradients, gradients);
  got.forward(false);
  EXPECT_EQ(got.y, y);
}

TEST_P(LoopDropouts, AgreesWithTheReference) {
  for (const reference::Cell& cell : reference::all_cells()) {
    for (Shape it : shapes()) {
      it.config.cell = cell.name;
      for (const Rates& rates : kRates) {
        // Each alone with the simplest shape, everything together with all.
        if (it.name != std::string("dense") && (rates.mask == 0 || rates.candidate == 0)) continue;
        for (const bool training : {true, false}) expect_agreement(kernels(), it, rates, training);
      }
    }
  }
}

// Peepholes see what the cell computes, not what zoneout makes of it; a vector in place of the
// product has the mask on h; cells with an LSTM's candidate share the kernels that drop it.
TEST_P(LoopDropouts, OfCellsWithOptions) {
  for (const reference::Cell& cell : reference::variant_cells()) {
    for (Shape it : shapes()) {
      it.config.cell = cell.name;
      if (cell.name == "lstm_clipped") it.config.cell_clip = 0.25;
      expect_agreement(kernels(), it, {0.5, 0.25, 0.25, 0.5}, true);
    }
  }
  Shape alone = shapes()[1];
  alone.config.cell = "indrnn_tanh";
  expect_agreement(kernels(), alone, {0.5, 0, 0}, true);
}

// By rows and by panels, and with segments that are computed again.
TEST_P(LoopDropouts, BitsDependOnNeitherThreadsNorSegments) {
  reference::RecurrentConfig config;
  config.inputs = 40;
  for (const char* cell :
       {"lstm", "gru", "gru_reset_before", "lstm_coupled_peephole", "indrnn_tanh"}) {
    config.cell = cell;
    for (const auto& [units, batch] : {std::pair{96, 32}, {150, 3}}) {
      SCOPED_TRACE(testing::Message() << cell << " " << units);
      config.units = static_cast<size_t>(units);
      config.go_backwards = units == 96;
      const reference::RecurrentProblem problem = reference::random_recurrent_problem(
          config, {static_cast<size_t>(batch), 7, true, true, 0.0}, 32);
      const bool drops = has_candidate(reference::find_cell(cell));
      Options options = options_of({0.25, 0.25, 0.5, drops ? 0.25 : 0.0});
      CoreRun plain(kernels(), problem, 1, options);
      plain.training = true;
      plain.run();
      for (const int threads : {2, 7}) {
        CoreRun other(kernels(), problem, threads, options);
        other.training = true;
        other.run();
        expect_equal(other, plain);
        EXPECT_EQ(other.gradients, plain.gradients);
      }
      options["checkpointEvery"] = 3.0;
      for (const int threads : {1, 2}) {
        CoreRun cut(kernels(), problem, threads, options);
        cut.training = true;
        cut.run();
        expect_equal(cut, plain);
        for (const auto& [name, values] : plain.gradients) {
          EXPECT_LE(relative_error(cut.gradients.at(name), values), 3e-6) << name;
        }
      }
    }
  }
}

// Segments of a dense batch are recomputed many steps at once where no state is missing.
TEST_P(LoopDropouts, SegmentsOfADenseBatch) {
  for (const char* cell :
       {"elman_tanh", "gru", "gru_reset_before", "lstm", "lstm_peephole", "indrnn_tanh"}) {
    for (const bool backwards : {false, true}) {
      SCOPED_TRACE(testing::Message() << cell << backwards);
      reference::RecurrentConfig config;
      config.cell = cell;
      config.inputs = 3;
      config.units = 18;
      config.go_backwards = backwards;
      reference::RecurrentProblem problem =
          reference::random_recurrent_problem(config, {3, 11, false, true, 0.0}, 33);
      const Rates rates{0.5, 0.25, 0.25, has_candidate(reference::find_cell(cell)) ? 0.5 : 0.0};
      set_masks(problem, rates, true);
      Options options = options_of(rates);
      options["checkpointEvery"] = 4.0;
      CoreRun cut(kernels(), problem, 1, options);
      cut.training = true;
      cut.step = kStep;
      cut.run();
      expect_close(cut, problem);
    }
  }
}

// A cell that a user has defined has the same passes around its kernels.
TEST_P(LoopDropouts, OfDefinedCellsIsThatOfTheCellsTheyRestate) {
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 18;
  for (const auto& [cell, text] : {std::pair{"lstm", kLstmText}, {"gru", kGruText}}) {
    SCOPED_TRACE(cell);
    config.cell = cell;
    reference::RecurrentProblem problem =
        reference::random_recurrent_problem(config, {7, 5, true, true, 0.0}, 34);
    const Rates rates{0.5, 0.25, 0.5};
    set_masks(problem, rates, true);
    Options options = options_of(rates);
    options["cell"] = std::string(text);
    CoreRun got(kernels(), problem, 2, options);
    got.training = true;
    got.step = kStep;
    got.run();
    expect_close(got, problem);
  }
}

// The passes of a projected h have its width, and stand around the projection.
TEST_P(LoopDropouts, OfAProjectedState) {
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 21;
  config.projection = 10;
  config.bidirectional = true;
  config.layers = 2;
  for (const Rates& rates : {Rates{0.5, 0, 0}, {0, 0.25, 0}, {0.5, 0.25, 0.25, 0.5}}) {
    for (const bool training : {true, false}) {
      SCOPED_TRACE(testing::Message() << rates.mask << " " << rates.c << " " << training);
      reference::RecurrentProblem problem =
          reference::random_recurrent_problem(config, {7, 5, true, true, 0.0}, 38);
      set_masks(problem, rates, training);
      Options options = options_of(rates);
      CoreRun plain(kernels(), problem, 1, options);
      options["checkpointEvery"] = 2.0;
      CoreRun cut(kernels(), problem, 2, options);
      for (CoreRun* run : {&plain, &cut}) {
        run->training = training;
        run->step = kStep;
        run->run();
        expect_close(*run, problem);
      }
      expect_equal(cut, plain);
    }
  }
  // By panels and by rows.
  config.bidirectional = false;
  config.layers = 1;
  for (const auto& [units, batch] : {std::pair{96, 24}, {150, 3}}) {
    SCOPED_TRACE(units);
    config.units = static_cast<size_t>(units);
    config.projection = 70;
    const reference::RecurrentProblem problem = reference::random_recurrent_problem(
        config, {static_cast<size_t>(batch), 7, true, true, 0.0}, 39);
    const Options options = options_of({0.25, 0.25, 0.5, 0.25});
    CoreRun one(kernels(), problem, 1, options), two(kernels(), problem, 2, options);
    for (CoreRun* run : {&one, &two}) {
      run->training = true;
      run->run();
    }
    expect_equal(two, one);
    EXPECT_EQ(two.gradients, one.gradients);
  }
}

// With layer normalisation the passes stand around two phases, and segments are computed again.
TEST_P(LoopDropouts, OfNormalizedCells) {
  for (const char* cell : {"lstm_gates", "lstm_ba", "gru_gates", "gru_ba"}) {
    for (const bool training : {true, false}) {
      SCOPED_TRACE(testing::Message() << cell << " " << training);
      reference::RecurrentConfig config;
      config.cell = cell;
      config.inputs = 5;
      config.units = 18;
      config.go_backwards = true;
      reference::RecurrentProblem problem =
          reference::random_recurrent_problem(config, {7, 5, true, true, 0.0}, 38);
      const Rates rates{0.5, 0.25, 0.5};
      set_masks(problem, rates, training);
      Options options = options_of(rates);
      CoreRun got(kernels(), problem, 1, options);
      options["checkpointEvery"] = 2.0;
      CoreRun cut(kernels(), problem, 2, options);
      for (CoreRun* run : {&got, &cut}) {
        run->training = training;
        run->step = kStep;
        run->run();
        expect_close(*run, problem);
      }
      expect_equal(cut, got);
    }
  }
}

TEST_P(LoopDropouts, ARateOfNothingChangesNothing) {
  reference::RecurrentConfig config;
  config.units = 9;
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(config, {7, 5, true, true, 0.0}, 35);
  CoreRun plain(kernels(), problem, 1), off(kernels(), problem, 1, options_of({0, 0, 0}));
  CoreRun predicting(kernels(), problem, 1, options_of({0.5, 0, 0, 0.5}));
  off.training = true;
  for (CoreRun* run : {&plain, &off, &predicting}) run->run();
  for (const CoreRun* run : {&off, &predicting}) {
    expect_equal(*run, plain);
    EXPECT_EQ(run->gradients, plain.gradients);
  }
  EXPECT_EQ(off.workspace_bytes(), plain.workspace_bytes());
}

}  // namespace
}  // namespace ostinato::test
