#include "core/trainer.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/weight_rules.h"

namespace ostinato {

namespace {

// The parameters at which a batch's gradient is taken, put back unless an update was made of it.
class GradientPoint {
 public:
  GradientPoint(Optimizer& optimizer, ParamTable& params, int threads)
      : optimizer_(optimizer), params_(params), threads_(threads) {
    optimizer.begin(params, threads);
  }
  ~GradientPoint() {
    if (!left_) optimizer_.abandon(params_, threads_);
  }
  GradientPoint(const GradientPoint&) = delete;
  GradientPoint& operator=(const GradientPoint&) = delete;
  void leave() { left_ = true; }

 private:
  Optimizer& optimizer_;
  ParamTable& params_;
  int threads_;
  bool left_ = false;
};

}  // namespace

Trainer::Trainer(std::shared_ptr<Network> network, const std::vector<LossConfig>& losses,
                 const OptimizerConfig& optimizer)
    : network_(network),
      executor_(network),
      losses_(losses, *network),
      optimizer_(optimizer, network->kernels(), network->params()),
      weight_drop_(network->params()) {}

StepResult Trainer::step(const Dataset& data, const int32_t* samples, int64_t count,
                         double learning_rate, bool carry_state, bool update_diverged, int threads,
                         const std::atomic<bool>* cancel, double momentum) {
  batch_.assemble(data, samples, count, network_->model_shape(), threads);
  executor_.set_initial_states(carry_state ? carried_ : kZeroStates, count);
  ParamTable& params = network_->params();
  GradientPoint point(optimizer_, params, threads);
  WeightDrop::Scope dropped(weight_drop_, params, network_->kernels(), network_->seed(),
                            static_cast<uint64_t>(steps_), threads);

  RunOptions options;
  options.threads = threads;
  options.training = true;
  options.gradients = true;
  options.step = static_cast<uint64_t>(steps_);
  options.cancel = cancel;
  executor_.forward(batch_.geometries(), batch_.inputs(), options);

  StepResult result;
  result.loss = losses_.evaluate(executor_, batch_, true, threads);
  result.diverged = !std::isfinite(result.loss.sum);
  if (result.diverged && !update_diverged) {
    result.gradient_norm = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  executor_.backward(losses_.gradients());
  dropped.finish();
  result.penalty =
      weight_penalty(params, network_->kernels(), threads) + executor_.activation_penalty();
  add_penalty_gradients(params, network_->kernels(), threads);
  // The last moment at which the parameters are still those of the step before.
  if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) throw Cancelled();
  result.gradient_norm = optimizer_.update(params, learning_rate, threads, !update_diverged,
                                           result.loss.count, momentum);
  result.diverged = result.diverged || !std::isfinite(result.gradient_norm);
  if (result.diverged && !update_diverged) return result;
  point.leave();
  executor_.commit();
  optimizer_.take_statistics(params);
  if (carry_state) executor_.get_final_states(carried_);
  ++steps_;
  return result;
}

}  // namespace ostinato
