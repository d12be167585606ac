// The losses of all outputs of a model, and their total.
#pragma once

#include <span>
#include <vector>

#include "core/dataset.h"
#include "core/executor.h"
#include "core/loss.h"

namespace ostinato {

class Losses {
 public:
  // One for each output; throws ERR_INVALID_ARGUMENT for another number.
  Losses(const std::vector<LossConfig>& configs, const Network& network);

  // Of the outputs of the executor's last forward pass. With `gradients` (that pass had them, too)
  // the executor's buffers receive those of the total: a loss is multiplied by its weight.
  // Returns the total as the mean, with the sums of counts; with one output, its value as it is.
  LossValue evaluate(const Executor& executor, const Batch& batch, bool gradients, int threads);
  // Afterwards: of each output.
  const std::vector<LossValue>& values() const { return values_; }
  std::span<const Matrix> gradients() const { return gradients_; }

 private:
  const Kernels& kernels_;
  std::vector<Loss> losses_;
  std::vector<double> weights_;
  std::vector<LossValue> values_;
  std::vector<Matrix> gradients_;
};

// The total of losses of several outputs, as Losses::evaluate gives it.
LossValue total_loss(std::span<const LossValue> values, std::span<const double> weights);

}  // namespace ostinato
