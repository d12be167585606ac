// Optimisers, and the clipping of gradients before them. With g the (clipped) gradient of p, and
// t = 1, 2, … the number of the update:
//   SGD      g += decay p (L2); m = momentum m + g; p -= lr (nesterov ? g + momentum m : m)
//   RMSprop  g += decay p (L2); v = rho v + (1 - rho) g^2; u = g / (sqrt(v) + epsilon);
//            m = momentum m + u; p -= lr m       (Tieleman and Hinton, Coursera lecture 6.5, 2012)
//   Adam     m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
//            p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//            (Kingma and Ba, arXiv:1412.6980)
//   AdamW    p *= 1 - lr decay, then Adam        (Loshchilov and Hutter, arXiv:1711.05101)
//   Adagrad  g += decay p (L2); v += g^2; p -= lr g / (sqrt(v) + epsilon)      (Duchi et al., 2011)
//   NAdam    p *= 1 - lr decay; mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2); with m and v of
//   Adam
//            p -= lr ((1 - mu_t) g / (1 - mu_1 .. mu_t) + mu_{t+1} m / (1 - mu_1 .. mu_{t+1}))
//                 / (sqrt(v / (1 - beta2^t)) + epsilon)                     (Dozat, 2016)
//   RAdam    p *= 1 - lr decay; rho_inf = 2 / (1 - beta2) - 1,
//            rho = rho_inf - 2 t beta2^t / (1 - beta2^t); p -= lr m / (1 - beta1^t) u with u = 1
//            for rho <= 5, else r sqrt(1 - beta2^t) / (sqrt(v) + epsilon), where r^2 = (rho - 4)
//            (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)
//                                                                   (Liu et al., arXiv:1908.03265)
//   Lion     p *= 1 - lr decay; p -= lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g
//                                                                   (Chen et al., arXiv:2302.06675)
//   Schedule-free AdamW: g is taken at y = (1 - beta1) z + beta1 x, x being the parameter that is
//            seen; v as Adam; z -= lr (g / (sqrt(v / (1 - beta2^t)) + epsilon) + decay y);
//            x += c (z - x), c = w_t / (w_1 + ... + w_t), w_t = (largest lr of 1 .. t)^2
//                                                                   (Defazio et al.,
//                                                                   arXiv:2405.15682)
// These are PyTorch's equations, where it has the method.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "reference/matrix.h"
#include "reference/schedules.h"

namespace ostinato::reference {

enum class OptimizerKind {
  kSgd,
  kRmsprop,
  kAdam,
  kAdamw,
  kAdagrad,
  kNadam,
  kRadam,
  kLion,
  kScheduleFreeAdamw,
};

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdam;
  Schedule schedule;
  double momentum = 0.0;  // SGD, RMSprop
  bool nesterov = false;  // SGD
  double rho = 0.9;       // RMSprop
  double beta1 = 0.9;     // Adam, AdamW
  double beta2 = 0.999;
  double epsilon = 1e-8;             // RMSprop, Adam, AdamW
  double weight_decay = 0.0;         // SGD, RMSprop, Adagrad: L2; Adam: none; others: decoupled
  double clip_norm = 0.0;            // 0: off
  double clip_value = 0.0;           // 0: off
  double momentum_decay = 0.004;     // NAdam
  double initial_accumulator = 0.0;  // Adagrad
};

struct Parameter {
  std::string name;
  Vector value;
  Vector gradient;
  bool decays = true;        // false excludes it from weight decay: biases and norms, as a rule
  double rate_factor = 1.0;  // of the learning rate
};

// The Euclidean norm of all gradients together.
inline double global_norm(const std::vector<Parameter>& parameters) {
  double squares = 0.0;
  for (const Parameter& parameter : parameters) {
    for (double g : parameter.gradient) squares += g * g;
  }
  return std::sqrt(squares);
}

// What clipping to `clip_norm` multiplies every gradient by: min(1, clip_norm / (norm + 1e-6)), as
// PyTorch's clip_grad_norm_ (Pascanu, Mikolov and Bengio, arXiv:1211.5063).
inline double clip_scale(double norm, double clip_norm) {
  return clip_norm > 0.0 ? std::min(1.0, clip_norm / (norm + 1e-6)) : 1.0;
}

class Optimizer {
 public:
  explicit Optimizer(OptimizerConfig config) : config_(config) {}

  // Updates the values by the gradients, which are scaled by the clipping of the norm first, then
  // clamped to ±clip_value. The parameters must be the same in every call. A momentum that is given
  // takes the place of the configuration's momentum and beta1, in this step and until another is.
  void step(std::vector<Parameter>& parameters, double given_momentum = -1.0) {
    if (given_momentum >= 0) config_.momentum = config_.beta1 = given_momentum;
    if (slots_.empty()) {
      for (const Parameter& parameter : parameters) {
        slots_.push_back(Slots(parameter.value, config_.initial_accumulator));
      }
    }
    expect_size("parameters", parameters.size(), slots_.size());
    const double scale = clip_scale(global_norm(parameters), config_.clip_norm);
    const double rate = learning_rate(config_.schedule, updates_);
    ++updates_;
    momentum_product_ *= momentum(updates_);
    largest_rate_ = std::max(largest_rate_, rate);
    weight_sum_ += largest_rate_ * largest_rate_;
    for (size_t i = 0; i < parameters.size(); ++i) {
      Parameter& parameter = parameters[i];
      expect_size(parameter.name, parameter.gradient.size(), parameter.value.size());
      for (size_t j = 0; j < parameter.value.size(); ++j) {
        double g = parameter.gradient[j] * scale;
        if (config_.clip_value > 0.0) {
          g = std::clamp(g, -config_.clip_value, config_.clip_value);
        }
        update(rate * parameter.rate_factor, parameter.decays ? config_.weight_decay : 0.0, g,
               parameter.value[j], slots_[i].m.at(j), slots_[i].v.at(j), slots_[i].z.at(j));
      }
    }
  }

  int64_t updates() const { return updates_; }

 private:
  struct Slots {
    Slots(const Vector& values, double accumulator)
        : m(values.size(), 0.0), v(values.size(), accumulator), z(values) {}
    Vector m, v, z;
  };

  // NAdam's mu_t.
  double momentum(int64_t t) const {
    const double decayed = std::pow(0.96, static_cast<double>(t) * config_.momentum_decay);
    return config_.beta1 * (1.0 - 0.5 * decayed);
  }

  // What RAdam divides its step by in place of the root of a mean square.
  double rectified(double v) const {
    const double t = static_cast<double>(updates_), power = std::pow(config_.beta2, t);
    const double most = 2.0 / (1.0 - config_.beta2) - 1.0;
    const double rho = most - 2.0 * t * power / (1.0 - power);
    if (rho <= 5.0) return 1.0;
    const double r =
        std::sqrt((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho));
    return (std::sqrt(v) + config_.epsilon) / (r * std::sqrt(1.0 - power));
  }

  // One number p with gradient g and slots m, v and z.
  void update(double rate, double decay, double g, double& p, double& m, double& v,
              double& z) const {
    const double t = static_cast<double>(updates_);
    const double bias1 = 1.0 - std::pow(config_.beta1, t);
    const double bias2 = 1.0 - std::pow(config_.beta2, t);
    const auto move_moments = [&] {
      m = config_.beta1 * m + (1.0 - config_.beta1) * g;
      v = config_.beta2 * v + (1.0 - config_.beta2) * g * g;
    };
    switch (config_.kind) {
      case OptimizerKind::kSgd:
        g += decay * p;
        m = config_.momentum * m + g;
        p -= rate * (config_.nesterov ? g + config_.momentum * m : m);
        break;
      case OptimizerKind::kRmsprop:
        g += decay * p;
        v = config_.rho * v + (1.0 - config_.rho) * g * g;
        m = config_.momentum * m + g / (std::sqrt(v) + config_.epsilon);
        p -= rate * m;
        break;
      case OptimizerKind::kAdamw:
        p *= 1.0 - rate * decay;
        [[fallthrough]];
      case OptimizerKind::kAdam: {
        move_moments();
        p -= rate * (m / bias1) / (std::sqrt(v / bias2) + config_.epsilon);
        break;
      }
      case OptimizerKind::kAdagrad:
        g += decay * p;
        v += g * g;
        p -= rate * g / (std::sqrt(v) + config_.epsilon);
        break;
      case OptimizerKind::kNadam: {
        p *= 1.0 - rate * decay;
        move_moments();
        const double now = momentum(updates_), next = momentum(updates_ + 1);
        const double direction = (1.0 - now) * g / (1.0 - momentum_product_) +
                                 next * m / (1.0 - momentum_product_ * next);
        p -= rate * direction / (std::sqrt(v / bias2) + config_.epsilon);
        break;
      }
      case OptimizerKind::kRadam:
        p *= 1.0 - rate * decay;
        move_moments();
        p -= rate * (m / bias1) / rectified(v);
        break;
      case OptimizerKind::kLion: {
        p *= 1.0 - rate * decay;
        const double mixed = config_.beta1 * m + (1.0 - config_.beta1) * g;
        p -= rate * (mixed > 0.0 ? 1.0 : mixed < 0.0 ? -1.0 : 0.0);
        m = config_.beta2 * m + (1.0 - config_.beta2) * g;
        break;
      }
      case OptimizerKind::kScheduleFreeAdamw: {
        const double y = (1.0 - config_.beta1) * z + config_.beta1 * p;
        v = config_.beta2 * v + (1.0 - config_.beta2) * g * g;
        z -= rate * (g / (std::sqrt(v / bias2) + config_.epsilon) + decay * y);
        p += largest_rate_ * largest_rate_ / weight_sum_ * (z - p);
        break;
      }
    }
  }

  OptimizerConfig config_;
  std::vector<Slots> slots_;
  int64_t updates_ = 0;
  double momentum_product_ = 1.0;                 // NAdam
  double largest_rate_ = 0.0, weight_sum_ = 0.0;  // schedule-free
};

}  // namespace ostinato::reference
