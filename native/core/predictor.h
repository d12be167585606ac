// Predictions, evaluation and bare gradients over a dataset's samples.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/dataset.h"
#include "core/executor.h"
#include "core/losses.h"

namespace ostinato {

class Predictor {
 public:
  explicit Predictor(std::shared_ptr<Network> network);

  // Outputs of the samples as one batch, batch-first: [count, steps, features] with zeros beyond a
  // row's length when the output is timed, else [count, features]. `steps` >= the longest sample.
  // final_states, when not null, receives the states after each row's last step.
  void predict(const Dataset& data, const int32_t* samples, int64_t count, int64_t steps,
               const StateValues& initial_states, int threads, const std::atomic<bool>* cancel,
               std::span<float* const> outputs, StateValues* final_states);
  // The same for a network of one output.
  void predict(const Dataset& data, const int32_t* samples, int64_t count, int64_t steps,
               const StateValues& initial_states, int threads, const std::atomic<bool>* cancel,
               float* output, StateValues* final_states) {
    predict(data, samples, count, steps, initial_states, threads, cancel, std::span(&output, 1),
            final_states);
  }

  // Of the nodes that attend, in their order: the weights of the last prediction, which was of so
  // many samples of this data: [count, query steps, key steps] with zeros beyond a sample's
  // lengths, or [count, key steps] for queries without a time axis. `steps` as for predict; throws
  // ERR_SHAPE_MISMATCH when it is too few for them.
  std::vector<std::vector<float>> attention(const Dataset& data, int64_t count, int64_t steps);

  // Losses of the samples as one batch, dropout off. carry_state as in Trainer::step.
  LossValue evaluate(const Dataset& data, const int32_t* samples, int64_t count, Losses& losses,
                     bool carry_state, int threads, const std::atomic<bool>* cancel);
  void reset_carried() { carried_.clear(); }

  struct Gradients {
    LossValue loss;
    std::vector<std::vector<float>> outputs;  // as predict gives them
    StateValues final_states;                 // as the states
    // By input: [count, steps, features] or [count, features]; empty for tokens.
    std::vector<std::vector<float>> inputs;
    StateValues initial_states;  // as the states
  };
  // The samples as one batch, forward and backward, dropout off. The gradients are those of the
  // mean loss plus sum(final state * state_gradients), an empty list standing for zeros; those of
  // the parameters are left in the table. Without losses (null), the gradient of an output is its
  // dense targets, or zero where the data has none.
  Gradients gradients(const Dataset& data, const int32_t* samples, int64_t count, int64_t steps,
                      Losses* losses, const StateValues& initial_states,
                      const StateValues& state_gradients, int threads,
                      const std::atomic<bool>* cancel);

  const std::vector<Executor::StateSlot>& states() const { return executor_.states(); }

 private:
  Executor executor_;
  Batch batch_;
  StateValues carried_;
};

}  // namespace ostinato
