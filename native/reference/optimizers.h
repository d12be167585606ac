// Optimisers, and the clipping of gradients before them. With g the (clipped) gradient of p, and
// t = 1, 2, … the number of the update:
//   SGD      g += decay p (L2); m = momentum m + g; p -= lr (nesterov ? g + momentum m : m)
//   RMSprop  g += decay p (L2); v = rho v + (1 - rho) g^2; u = g / (sqrt(v) + epsilon);
//            m = momentum m + u; p -= lr m       (Tieleman and Hinton, Coursera lecture 6.5, 2012)
//   Adam     m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
//            p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//            (Kingma and Ba, arXiv:1412.6980)
//   AdamW    p *= 1 - lr decay, then Adam        (Loshchilov and Hutter, arXiv:1711.05101)
// These are PyTorch's equations.
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

enum class OptimizerKind { kSgd, kRmsprop, kAdam, kAdamw };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdam;
  Schedule schedule;
  double momentum = 0.0;  // SGD, RMSprop
  bool nesterov = false;  // SGD
  double rho = 0.9;       // RMSprop
  double beta1 = 0.9;     // Adam, AdamW
  double beta2 = 0.999;
  double epsilon = 1e-8;      // RMSprop, Adam, AdamW
  double weight_decay = 0.0;  // SGD, RMSprop: L2; AdamW: decoupled; Adam: none
  double clip_norm = 0.0;     // 0: off
  double clip_value = 0.0;    // 0: off
};

struct Parameter {
  std::string name;
  Vector value;
  Vector gradient;
  bool decays = true;  // false excludes it from weight decay: biases and norms, as a rule
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
  // clamped to ±clip_value. The parameters must be the same in every call.
  void step(std::vector<Parameter>& parameters) {
    if (slots_.empty()) {
      for (const Parameter& parameter : parameters) slots_.push_back(Slots(parameter.value.size()));
    }
    expect_size("parameters", parameters.size(), slots_.size());
    const double scale = clip_scale(global_norm(parameters), config_.clip_norm);
    const double rate = learning_rate(config_.schedule, updates_);
    ++updates_;
    for (size_t i = 0; i < parameters.size(); ++i) {
      Parameter& parameter = parameters[i];
      expect_size(parameter.name, parameter.gradient.size(), parameter.value.size());
      for (size_t j = 0; j < parameter.value.size(); ++j) {
        double g = parameter.gradient[j] * scale;
        if (config_.clip_value > 0.0) {
          g = std::clamp(g, -config_.clip_value, config_.clip_value);
        }
        update(rate, parameter.decays ? config_.weight_decay : 0.0, g, parameter.value[j],
               slots_[i].m.at(j), slots_[i].v.at(j));
      }
    }
  }

  int64_t updates() const { return updates_; }

 private:
  struct Slots {
    explicit Slots(size_t size) : m(size, 0.0), v(size, 0.0) {}
    Vector m, v;
  };

  // One number p with gradient g and slots m and v.
  void update(double rate, double decay, double g, double& p, double& m, double& v) const {
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
        m = config_.beta1 * m + (1.0 - config_.beta1) * g;
        v = config_.beta2 * v + (1.0 - config_.beta2) * g * g;
        const double t = static_cast<double>(updates_);
        const double m_hat = m / (1.0 - std::pow(config_.beta1, t));
        const double v_hat = v / (1.0 - std::pow(config_.beta2, t));
        p -= rate * m_hat / (std::sqrt(v_hat) + config_.epsilon);
        break;
      }
    }
  }

  OptimizerConfig config_;
  std::vector<Slots> slots_;
  int64_t updates_ = 0;
};

}  // namespace ostinato::reference
