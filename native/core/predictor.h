// Predictions, evaluation and bare gradients over a dataset's samples.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/dataset.h"
#include "core/executor.h"
#include "core/loss.h"

namespace ostinato {

class Predictor {
 public:
  explicit Predictor(std::shared_ptr<Network> network);

  // Output of the samples as one batch, batch-first: [count, steps, features] with zeros beyond a
  // row's length when the output is timed, else [count, features]. `steps` >= the longest sample.
  // final_states, when not null, receives the states after each row's last step.
  void predict(const Dataset& data, const int32_t* samples, int64_t count, int64_t steps,
               const StateValues& initial_states, int threads, const std::atomic<bool>* cancel,
               float* output, StateValues* final_states);

  // Loss of the samples as one batch, dropout off. carry_state as in Trainer::step.
  LossValue evaluate(const Dataset& data, const int32_t* samples, int64_t count, Loss& loss,
                     bool carry_state, int threads, const std::atomic<bool>* cancel);
  void reset_carried() { carried_.clear(); }

  struct Gradients {
    LossValue loss;
    std::vector<float> output;   // as predict gives it
    StateValues final_states;    // as the states
    std::vector<float> input;    // [count, steps, features]; empty for tokens
    StateValues initial_states;  // as the states
  };
  // The samples as one batch, forward and backward, dropout off. The gradients are those of the
  // mean loss plus sum(final state * state_gradients), an empty list standing for zeros; those of
  // the parameters are left in the table. Without a loss (null), the gradient of the output is the
  // data's dense targets, or zero where the data has none.
  Gradients gradients(const Dataset& data, const int32_t* samples, int64_t count, int64_t steps,
                      Loss* loss, const StateValues& initial_states,
                      const StateValues& state_gradients, int threads,
                      const std::atomic<bool>* cancel);

  const std::vector<Executor::StateSlot>& states() const { return executor_.states(); }

 private:
  Executor executor_;
  Batch batch_;
  StateValues carried_;
};

}  // namespace ostinato
