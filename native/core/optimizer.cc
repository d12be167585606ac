#include "core/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// Floats whose squares make one partial sum of the global norm: the same for any thread count.
constexpr int64_t kNormChunk = 8192;
// What a parameter's update costs, in multiply-adds, for the choice of threads.
constexpr int64_t kUpdateCost = 8;
// Keeps the factor of clipping finite, as PyTorch's clip_grad_norm_ does.
constexpr double kNormEpsilon = 1e-6;

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, const Kernels& kernels,
                     const ParamTable& params)
    : config_(config), kernels_(kernels) {
  const bool adam = config.kind == OptimizerKind::kAdam;
  if (adam || config.momentum != 0) m_.reserve(params.size());
  if (adam || config.kind == OptimizerKind::kRmsprop) v_.reserve(params.size());
  partial_sums_.resize((params.size() + kNormChunk - 1) / kNormChunk);
}

int Optimizer::slot_count() const { return (m_.size() > 0 ? 1 : 0) + (v_.size() > 0 ? 1 : 0); }

const char* Optimizer::slot_name(int slot) const {
  switch (config_.kind) {
    case OptimizerKind::kSgd:
      return "momentum";
    case OptimizerKind::kRmsprop:
      return slot == 0 ? "velocity" : "momentum";
    case OptimizerKind::kAdam:
      return slot == 0 ? "m" : "v";
  }
  return "";
}

float* Optimizer::slot(int slot) const {
  const bool first_is_m = config_.kind != OptimizerKind::kRmsprop;
  return (slot == 0) == first_is_m ? m_.data() : v_.data();
}

double Optimizer::gradient_norm(const ParamTable& params, int threads) {
  const auto chunks = static_cast<int64_t>(partial_sums_.size());
  parallel_for(threads_for(params.size(), threads), chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t from = chunk * kNormChunk;
      const int64_t to = std::min(params.size(), from + kNormChunk);
      partial_sums_[chunk] = kernels_.sum_squares(params.gradients() + from, to - from);
    }
  });
  double sum = 0;
  for (const double partial : partial_sums_) sum += partial;
  return std::sqrt(sum);
}

double Optimizer::update(ParamTable& params, double learning_rate, int threads,
                         bool only_if_finite) {
  const double norm = gradient_norm(params, threads);
  if (only_if_finite && !std::isfinite(norm)) return norm;
  ++steps_;
  OptimizerArgs args{};
  args.kind = config_.kind;
  args.learning_rate = static_cast<float>(learning_rate);
  args.gradient_scale = 1.0f;
  if (config_.clip_norm > 0) {
    args.gradient_scale =
        static_cast<float>(std::min(1.0, config_.clip_norm / (norm + kNormEpsilon)));
  }
  args.clip_value = static_cast<float>(config_.clip_value);
  args.momentum = static_cast<float>(config_.momentum);
  args.nesterov = config_.nesterov;
  args.rho = static_cast<float>(config_.rho);
  args.beta1 = static_cast<float>(config_.beta1);
  args.beta2 = static_cast<float>(config_.beta2);
  const auto t = static_cast<double>(steps_);
  args.bias1 = static_cast<float>(1.0 - std::pow(config_.beta1, t));
  args.bias2 = static_cast<float>(1.0 - std::pow(config_.beta2, t));
  args.epsilon = static_cast<float>(config_.epsilon);
  parallel_for(threads_for(kUpdateCost * params.size(), threads), params.size(), kPad,
               [&](int64_t begin, int64_t end) {
                 for_each_part(params.entries(), begin, end,
                               [&](const ParamEntry& entry, int64_t from, int64_t to) {
                                 OptimizerArgs part = args;
                                 const bool decays = config_.decay_all || entry.decays();
                                 part.weight_decay =
                                     decays ? static_cast<float>(config_.weight_decay) : 0.0f;
                                 part.n = to - from;
                                 part.p = params.values() + from;
                                 part.g = params.gradients() + from;
                                 part.m = m_.size() > 0 ? m_.data() + from : nullptr;
                                 part.v = v_.size() > 0 ? v_.data() + from : nullptr;
                                 kernels_.optimize(part);
                               });
               });
  params.touch();
  return norm;
}

}  // namespace ostinato
