#include "core/losses.h"

#include <string>

#include "core/error.h"

namespace ostinato {

Losses::Losses(const std::vector<LossConfig>& configs, const Network& network)
    : kernels_(network.kernels()), values_(configs.size()), gradients_(configs.size()) {
  if (configs.size() != network.outputs().size()) {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected a loss for each of " + std::to_string(network.outputs().size()) +
                    " outputs but received " + std::to_string(configs.size()));
  }
  losses_.reserve(configs.size());
  for (const LossConfig& config : configs) {
    losses_.emplace_back(config, kernels_);
    weights_.push_back(config.weight);
  }
}

LossValue total_loss(std::span<const LossValue> values, std::span<const double> weights) {
  if (values.size() == 1 && weights[0] == 1.0) return values[0];
  LossValue total;
  double mean = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    mean += weights[i] * values[i].mean();
    total.count += values[i].count;
    total.correct += values[i].correct;
  }
  total.sum = mean * static_cast<double>(total.count);
  return total;
}

LossValue Losses::evaluate(const Executor& executor, const Batch& batch, bool gradients,
                           int threads) {
  for (size_t i = 0; i < losses_.size(); ++i) {
    gradients_[i] = gradients ? executor.output_gradient(i) : Matrix{};
    values_[i] =
        losses_[i].evaluate(executor.output(i).floats, batch.targets(i), gradients_[i], threads);
    if (!gradients || weights_[i] == 1.0) continue;
    const Matrix& dy = gradients_[i];
    for (int64_t row = 0; row < dy.rows; ++row) {
      kernels_.scale(dy.row(row), static_cast<float>(weights_[i]), dy.cols);
    }
  }
  return total_loss(values_, weights_);
}

}  // namespace ostinato
