// Updates of all parameters from their gradients: clipping, decay, slots.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/params.h"
#include "kernels/kernels.h"

namespace ostinato {

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdam;
  double momentum = 0;
  bool nesterov = false;
  double rho = 0.99;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  bool decay_all = false;  // also biases and norms
  double clip_norm = 0;    // 0: off; global norm over all parameters
  double clip_value = 0;   // 0: off
};

class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, const Kernels& kernels, const ParamTable& params);
  // One update; returns the global norm of the gradients before clipping. With `only_if_finite`
  // nothing is changed when that norm is not finite.
  double update(ParamTable& params, double learning_rate, int threads, bool only_if_finite = false);

  // Slots and step count are values, so that a run can be saved and resumed. Slot buffers have the
  // parameters' flat layout; unused ones are empty.
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  int slot_count() const;
  const char* slot_name(
      int slot) const;  // SGD "momentum"; RMSprop "velocity", "momentum"; Adam "m", "v"
  float* slot(int slot) const;

 private:
  double gradient_norm(const ParamTable& params, int threads);

  OptimizerConfig config_;
  const Kernels& kernels_;
  int64_t steps_ = 0;
  AlignedBuffer m_, v_;
  std::vector<double> partial_sums_;
};

}  // namespace ostinato
