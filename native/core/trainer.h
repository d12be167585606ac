// Whole training steps: batch, forward, loss, backward, update (or a part of one).
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/dataset.h"
#include "core/executor.h"
#include "core/losses.h"
#include "core/optimizer.h"
#include "core/weight_drop.h"

namespace ostinato {

struct StepResult {
  // Of several outputs: their counts summed up, and as mean the total, each loss times its weight.
  LossValue loss;
  double penalty = 0;  // what the layers' regularisers add to the mean loss
  double gradient_norm = 0;
  bool diverged = false;  // the loss or the gradient norm was not finite: no update was made
};

class Trainer {
 public:
  // A loss for each output.
  Trainer(std::shared_ptr<Network> network, const std::vector<LossConfig>& losses,
          const OptimizerConfig& optimizer);
  Trainer(std::shared_ptr<Network> network, const LossConfig& loss,
          const OptimizerConfig& optimizer)
      : Trainer(std::move(network), std::vector<LossConfig>{loss}, optimizer) {}

  // One step on the given samples. carry_state: the rows begin with the final states of the step
  // before (truncated BPTT; the same number of rows, else ERR_SHAPE_MISMATCH), not with zeros.
  // update_diverged: make the update even if the loss is not finite. momentum: as in
  // Optimizer::update. Throws Cancelled, with the parameters as they were.
  StepResult step(const Dataset& data, const int32_t* samples, int64_t count, double learning_rate,
                  bool carry_state, bool update_diverged, int threads,
                  const std::atomic<bool>* cancel, double momentum = Optimizer::kOwnMomentum);

  // Of each output, in the last step.
  const std::vector<LossValue>& output_losses() const { return losses_.values(); }
  Optimizer& optimizer() { return optimizer_; }
  int64_t steps() const { return steps_; }  // batches; counts masks of dropout too
  void set_steps(int64_t steps) { steps_ = steps; }
  // Carried states; empty before the first carried step, and to begin anew.
  StateValues& carried() { return carried_; }
  int64_t workspace_bytes() const { return executor_.workspace_bytes(); }

 private:
  std::shared_ptr<Network> network_;
  Executor executor_;
  Losses losses_;
  Optimizer optimizer_;
  WeightDrop weight_drop_;
  Batch batch_;
  int64_t steps_ = 0;
  StateValues carried_;
};

}  // namespace ostinato
