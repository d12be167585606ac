#include "core/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/gemm.h"
#include "core/parallel.h"
#include "core/weight_rules.h"

namespace ostinato {

namespace {

// Floats whose squares make one partial sum of the global norm: the same for any thread count.
constexpr int64_t kNormChunk = 8192;
// What a parameter's update costs, in multiply-adds, for the choice of threads.
constexpr int64_t kUpdateCost = 8;
// Keeps the factor of clipping finite, as PyTorch's clip_grad_norm_ does.
constexpr double kNormEpsilon = 1e-6;
// Degrees of freedom above which the rectification of RAdam is defined.
constexpr double kRectifiable = 5.0;

// The names of the first and the second slot; null where the method has none.
struct SlotNames {
  const char *m, *v;
};

SlotNames slot_names(const OptimizerConfig& config) {
  const char* momentum = config.momentum != 0 ? "momentum" : nullptr;
  switch (config.kind) {
    case OptimizerKind::kSgd:
      return {momentum, nullptr};
    case OptimizerKind::kRmsprop:
      return {momentum, "velocity"};
    case OptimizerKind::kAdagrad:
      return {nullptr, "accumulator"};
    case OptimizerKind::kLion:
      return {"m", nullptr};
    case OptimizerKind::kScheduleFreeAdam:
      return {"z", "v"};
    case OptimizerKind::kAdam:
    case OptimizerKind::kNadam:
    case OptimizerKind::kRadam:
      return {"m", "v"};
  }
  return {nullptr, nullptr};
}

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, const Kernels& kernels,
                     const ParamTable& params)
    : config_(config), kernels_(kernels), size_(params.size()) {
  const auto add = [&](const char* name, AlignedBuffer& buffer) {
    if (name == nullptr) return;
    buffer.reserve(size_);
    slots_.push_back({name, buffer.data()});
  };
  const SlotNames names = slot_names(config);
  // RMSprop's momentum comes last because saved states have it there.
  const bool v_first = config.kind == OptimizerKind::kRmsprop;
  add(v_first ? names.v : names.m, v_first ? v_ : m_);
  add(v_first ? names.m : names.v, v_first ? m_ : v_);
  if (config.averaging != Averaging::kNone) add("average", average_);
  if (config.accumulate > 1) add("accumulated", accumulated_);
  if (is_schedule_free()) saved_.reserve(size_);
  if (config.kind == OptimizerKind::kAdagrad) {
    std::fill_n(v_.data(), size_, static_cast<float>(config.initial_accumulator));
  }
  partial_sums_.resize((size_ + kNormChunk - 1) / kNormChunk);
}

std::vector<double> Optimizer::counters() const {
  return {static_cast<double>(pending_), static_cast<double>(pending_rows_), weight_sum_,
          largest_rate_, static_cast<double>(averaged_)};
}

void Optimizer::restore(int64_t steps, const std::vector<double>& counters) {
  steps_ = steps;
  pending_ = static_cast<int64_t>(counters[0]);
  pending_rows_ = static_cast<int64_t>(counters[1]);
  weight_sum_ = counters[2];
  largest_rate_ = counters[3];
  averaged_ = static_cast<int64_t>(counters[4]);
}

// fn(entry, begin, end) for parts of the flat layout that are trained, shared out over threads.
template <class Fn>
void Optimizer::for_parts(const ParamTable& params, int threads, const Fn& fn) {
  parallel_for(threads_for(kUpdateCost * size_, threads), size_, kPad,
               [&](int64_t begin, int64_t end) {
                 for_each_part(params.entries(), begin, end,
                               [&](const ParamEntry& entry, int64_t from, int64_t to) {
                                 if (entry.trained()) fn(entry, from, to);
                               });
               });
}

void Optimizer::begin(ParamTable& params, int threads) {
  if (!is_schedule_free()) return;
  const auto factor = static_cast<float>(1.0 - config_.beta1);
  for_parts(params, threads, [&](const ParamEntry&, int64_t from, int64_t to) {
    const auto bytes = static_cast<size_t>(to - from) * sizeof(float);
    float* p = params.values() + from;
    std::memcpy(saved_.data() + from, p, bytes);
    if (steps_ == 0) std::memcpy(m_.data() + from, p, bytes);
    kernels_.mix(p, m_.data() + from, factor, to - from);
  });
  params.touch();
}

void Optimizer::abandon(ParamTable& params, int threads) {
  if (!is_schedule_free()) return;
  for_parts(params, threads, [&](const ParamEntry&, int64_t from, int64_t to) {
    std::memcpy(params.values() + from, saved_.data() + from,
                static_cast<size_t>(to - from) * sizeof(float));
  });
  params.touch();
}

double Optimizer::gradient_norm(const float* gradients, int threads) {
  const auto chunks = static_cast<int64_t>(partial_sums_.size());
  parallel_for(threads_for(size_, threads), chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t from = chunk * kNormChunk;
      const int64_t to = std::min(size_, from + kNormChunk);
      partial_sums_[chunk] = kernels_.sum_squares(gradients + from, to - from);
    }
  });
  double sum = 0;
  for (const double partial : partial_sums_) sum += partial;
  return std::sqrt(sum);
}

// The momenta mu_t = beta1 (1 - 0.96^(t decay) / 2) and their product, as PyTorch's NAdam.
void Optimizer::set_nadam_parts(OptimizerArgs& args) {
  const auto momentum = [&](int64_t t) {
    return config_.beta1 *
           (1.0 - 0.5 * std::pow(0.96, static_cast<double>(t) * config_.momentum_decay));
  };
  if (product_steps_ > steps_) product_steps_ = 0, momentum_product_ = 1;
  while (product_steps_ < steps_) momentum_product_ *= momentum(++product_steps_);
  const double next = momentum(steps_ + 1);
  args.gradient_part = static_cast<float>((1.0 - momentum(steps_)) / (1.0 - momentum_product_));
  args.momentum_part = static_cast<float>(next / (1.0 - momentum_product_ * next));
}

void Optimizer::set_step_sizes(OptimizerArgs& args, double learning_rate, double beta1) {
  const auto t = static_cast<double>(steps_);
  const double power2 = std::pow(config_.beta2, t);
  args.bias1 = static_cast<float>(1.0 - std::pow(beta1, t));
  args.bias2 = static_cast<float>(1.0 - power2);
  if (config_.kind == OptimizerKind::kNadam) set_nadam_parts(args);
  if (config_.kind == OptimizerKind::kRadam) {
    const double most = 2.0 / (1.0 - config_.beta2) - 1.0;
    const double rho = most - 2.0 * t * power2 / (1.0 - power2);
    if (rho > kRectifiable) {
      args.rectification = static_cast<float>(std::sqrt(
          (rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho) * (1.0 - power2)));
    }
  }
  if (is_schedule_free()) {
    // An iterate counts by the square of the largest rate so far, so that a warm-up counts little.
    largest_rate_ = std::max(largest_rate_, learning_rate);
    const double weight = largest_rate_ * largest_rate_;
    weight_sum_ += weight;
    args.mixing = weight_sum_ > 0 ? static_cast<float>(weight / weight_sum_) : 0.0f;
  }
}

double Optimizer::update(ParamTable& params, double learning_rate, int threads, bool only_if_finite,
                         int64_t rows, double momentum) {
  const float* gradients = params.gradients();
  double norm = gradient_norm(gradients, threads);
  if (only_if_finite && !std::isfinite(norm)) return norm;
  double gradient_scale = 1.0;
  if (config_.accumulate > 1) {
    for_parts(params, threads, [&](const ParamEntry&, int64_t from, int64_t to) {
      kernels_.add_scaled(accumulated_.data() + from, gradients + from, static_cast<float>(rows),
                          to - from);
    });
    gradients = accumulated_.data();
    pending_rows_ += rows;
    gradient_scale = pending_rows_ > 0 ? 1.0 / static_cast<double>(pending_rows_) : 0.0;
    norm = gradient_norm(gradients, threads) * gradient_scale;
    if (++pending_ < config_.accumulate) {
      abandon(params, threads);
      return norm;
    }
  }
  ++steps_;
  OptimizerArgs args{};
  args.kind = config_.kind;
  if (config_.clip_norm > 0) {
    gradient_scale *= std::min(1.0, config_.clip_norm / (norm + kNormEpsilon));
  }
  args.gradient_scale = static_cast<float>(gradient_scale);
  args.clip_value = static_cast<float>(config_.clip_value);
  const double beta1 = momentum >= 0 ? momentum : config_.beta1;
  args.momentum = static_cast<float>(momentum >= 0 ? momentum : config_.momentum);
  args.nesterov = config_.nesterov;
  args.rho = static_cast<float>(config_.rho);
  args.beta1 = static_cast<float>(beta1);
  args.beta2 = static_cast<float>(config_.beta2);
  args.epsilon = static_cast<float>(config_.epsilon);
  set_step_sizes(args, learning_rate, beta1);
  for_parts(params, threads, [&](const ParamEntry& entry, int64_t from, int64_t to) {
    OptimizerArgs part = args;
    const auto index = static_cast<size_t>(&entry - params.entries().data());
    const double factor = config_.rate_factors.empty() ? 1.0 : config_.rate_factors[index];
    double decay = config_.weight_decays.empty() ? -1.0 : config_.weight_decays[index];
    if (decay < 0) decay = config_.decay_all || entry.decays() ? config_.weight_decay : 0.0;
    part.learning_rate = static_cast<float>(learning_rate * factor);
    part.weight_decay = static_cast<float>(decay);
    part.n = to - from;
    part.p = params.values() + from;
    part.g = gradients + from;
    part.m = m_.size() > 0 ? m_.data() + from : nullptr;
    part.v = v_.size() > 0 ? v_.data() + from : nullptr;
    part.x = saved_.size() > 0 ? saved_.data() + from : nullptr;
    kernels_.optimize(part);
  });
  if (config_.accumulate > 1) {
    std::fill_n(accumulated_.data(), size_, 0.0f);
    pending_ = pending_rows_ = 0;
  }
  constrain(params, kernels_, params.values(), threads);
  if (is_schedule_free()) constrain(params, kernels_, m_.data(), threads);
  params.touch();
  average(params, threads);
  return norm;
}

void Optimizer::average(const ParamTable& params, int threads) {
  if (config_.averaging == Averaging::kNone) return;
  const int64_t since = steps_ - config_.average_start;
  if (since <= 0 || since % config_.average_every != 0) return;
  ++averaged_;
  double share = 1.0 / static_cast<double>(averaged_);
  if (config_.averaging == Averaging::kExponential && averaged_ > 1) {
    share = 1.0 - config_.average_decay;
  }
  for_parts(params, threads, [&](const ParamEntry&, int64_t from, int64_t to) {
    kernels_.mix(average_.data() + from, params.values() + from, static_cast<float>(share),
                 to - from);
  });
}

void Optimizer::take_statistics(const ParamTable& params) {
  if (config_.averaging == Averaging::kNone || averaged_ == 0) return;
  for (const ParamEntry& entry : params.entries()) {
    if (entry.trained()) continue;
    std::memcpy(average_.data() + entry.offset, params.values() + entry.offset,
                static_cast<size_t>(entry.size) * sizeof(float));
  }
}

}  // namespace ostinato
