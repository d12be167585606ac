// Updates of all parameters from their gradients: accumulation, clipping, decay, slots, averages.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/params.h"
#include "kernels/kernels.h"

namespace ostinato {

enum class Averaging : uint8_t { kNone, kExponential, kEqual };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdam;
  double momentum = 0;
  bool nesterov = false;
  double rho = 0.99;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double momentum_decay = 0.004;   // NAdam
  double initial_accumulator = 0;  // Adagrad: what the sums of squares begin with
  double weight_decay = 0;
  bool decay_all = false;  // also biases and norms
  double clip_norm = 0;    // 0: off; global norm over all parameters
  double clip_value = 0;   // 0: off
  int64_t accumulate = 1;  // batches whose gradients make one update
  // Of each parameter, by its index in the table, or empty for 1 and -1; a negative decay stands
  // for weight_decay, as far as its role decays.
  std::vector<double> rate_factors, weight_decays;
  // A running mean of the parameters over updates number start + every, start + 2 every, …
  Averaging averaging = Averaging::kNone;
  double average_decay = 0.999;  // exponential: mean = decay mean + (1 - decay) p
  int64_t average_start = 0, average_every = 1;
};

class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, const Kernels& kernels, const ParamTable& params);
  Optimizer(const Optimizer&) = delete;  // slots() points into it
  Optimizer& operator=(const Optimizer&) = delete;

  // Stands for the configuration's own momentum.
  static constexpr double kOwnMomentum = -1.0;

  // Before a batch's forward pass and after it without an update. A schedule-free method takes its
  // gradients at other parameters than those that it recommends: `begin` puts them into the table,
  // `abandon` takes them out again. The others need neither.
  void begin(ParamTable& params, int threads);
  void abandon(ParamTable& params, int threads);

  // The gradient of the mean over `rows` rows is in the table. It is added to those of the batches
  // before it, weighted by rows; the last batch of an update makes it. Returns the global norm
  // of the mean gradient so far, before clipping. With `only_if_finite` nothing is changed when
  // the batch's own is not finite. A `momentum` takes the place of the configuration's in this
  // update: of `momentum` of SGD and RMSprop, which must have one, and of `beta1` of Adam, RAdam
  // and Lion.
  double update(ParamTable& params, double learning_rate, int threads, bool only_if_finite = false,
                int64_t rows = 1, double momentum = kOwnMomentum);

  // After the layers have measured: averaged parameters stand beside the newest statistics.
  void take_statistics(const ParamTable& params);

  // What a run needs to be resumed is values. Slots have the parameters' flat layout.
  struct Slot {
    const char* name;
    float* values;
  };
  const std::vector<Slot>& slots() const { return slots_; }
  int64_t steps() const { return steps_; }  // updates
  int64_t batches() const { return steps_ * config_.accumulate + pending_; }
  // Numbers beside steps and slots, in an order of their own.
  std::vector<double> counters() const;
  static constexpr size_t kCounters = 5;
  void restore(int64_t steps, const std::vector<double>& counters);
  // Updates that the averages are made of.
  int64_t averaged() const { return averaged_; }

 private:
  bool is_schedule_free() const { return config_.kind == OptimizerKind::kScheduleFreeAdam; }
  double gradient_norm(const float* gradients, int threads);
  void set_step_sizes(OptimizerArgs& args, double learning_rate, double beta1);
  void set_nadam_parts(OptimizerArgs& args);
  void average(const ParamTable& params, int threads);
  template <class Fn>
  void for_parts(const ParamTable& params, int threads, const Fn& fn);

  OptimizerConfig config_;
  const Kernels& kernels_;
  int64_t steps_ = 0;
  AlignedBuffer m_, v_, average_, accumulated_;
  AlignedBuffer saved_;  // schedule-free: the averages while the table holds other points
  std::vector<Slot> slots_;
  std::vector<double> partial_sums_;
  int64_t size_;
  int64_t pending_ = 0, pending_rows_ = 0;    // batches and rows of the update that is not made yet
  double weight_sum_ = 0, largest_rate_ = 0;  // schedule-free: of the averages' weights
  int64_t averaged_ = 0;
  double momentum_product_ = 1;  // NAdam: of the momenta of the first product_steps_ updates
  int64_t product_steps_ = 0;
};

}  // namespace ostinato
