// What every recurrent cell must do in the core, whatever is special about it.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "test/core_recurrent.h"

namespace ostinato::test {

// A problem to be drawn, as a test's parameter.
struct RecurrentCase {
  std::string name;
  reference::RecurrentConfig config;
  reference::RecurrentProblemOptions options;
};

inline std::ostream& operator<<(std::ostream& out, const RecurrentCase& it) {
  return out << it.name;
}

// Outputs, states and all gradients, in single precision.
inline void expect_close(const CoreRun& got, const reference::RecurrentResult& want,
                         const reference::RecurrentGradients& gradients) {
  constexpr double kTolerance = 1e-4;
  OSTINATO_EXPECT_CLOSE(got.y, want.y, kTolerance);
  OSTINATO_EXPECT_CLOSE(got.dx, gradients.x, kTolerance);
  for (const auto& [name, values] : want.final_states) {
    OSTINATO_EXPECT_CLOSE(got.final_states.at(name), values, kTolerance) << "final " << name;
  }
  for (const auto& [name, values] : gradients.initial) {
    OSTINATO_EXPECT_CLOSE(got.initial_gradients.at(name), values, kTolerance)
        << "gradient of initial " << name;
  }
  EXPECT_EQ(got.gradients.size(), gradients.params.size());
  for (const auto& [name, values] : gradients.params) {
    OSTINATO_EXPECT_CLOSE(got.gradients.at(name), values, kTolerance) << "gradient of " << name;
  }
}

inline void expect_close(const CoreRun& got, const reference::RecurrentProblem& problem) {
  expect_close(got, forward(problem.config, problem.params, problem.input), backward(problem));
}

// The same bits in all but the parameters' gradients, which segments sum in another order.
inline void expect_equal(const CoreRun& got, const CoreRun& want) {
  EXPECT_EQ(got.y, want.y);
  EXPECT_EQ(got.dx, want.dx);
  EXPECT_EQ(got.final_states, want.final_states);
  EXPECT_EQ(got.initial_gradients, want.initial_gradients);
}

// On every instruction set: agrees with the reference, gives the same bits again, for any number of
// threads and in segments, and without gradients, where states are overwritten from step to step.
inline void expect_agreement_everywhere(const reference::RecurrentProblem& problem) {
  const reference::RecurrentResult want = forward(problem.config, problem.params, problem.input);
  const reference::RecurrentGradients gradients = backward(problem);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    CoreRun one(*kernels, problem, 1);
    one.run();
    expect_close(one, want, gradients);
    const reference::NamedVectors first = one.gradients;
    one.run();  // nothing is left from a pass for the next one
    EXPECT_EQ(one.gradients, first);
    for (const int threads : {2, 7}) {
      SCOPED_TRACE(threads);
      CoreRun other(*kernels, problem, threads);
      other.run();
      expect_equal(other, one);
      EXPECT_EQ(other.gradients, one.gradients);
    }
    CoreRun cut(*kernels, problem, 2, {{"checkpointEvery", 2.0}});
    cut.run();
    expect_equal(cut, one);
    expect_close(cut, want, gradients);
    CoreRun inference(*kernels, problem, 1);
    inference.forward(false);
    EXPECT_EQ(inference.y, one.y);
    EXPECT_EQ(inference.final_states, one.final_states);
  }
}

}  // namespace ostinato::test
