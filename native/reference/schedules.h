// Learning rates as functions of the step, the first step being 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ostinato::reference {

enum class ScheduleKind { kConstant, kStep, kExponential, kCosine };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kConstant;
  double base = 1e-3;    // the rate at the start, or, with warm-up, at its end
  double factor = 0.1;   // step, exponential: what `interval` steps multiply the rate by
  int64_t interval = 1;  // step, exponential: in steps
  int64_t warmup = 0;    // cosine: steps w over which the rate rises linearly to `base`
  int64_t total = 1;     // cosine: steps in all, warm-up included
  double minimum = 0.0;  // cosine: the rate from step `total` on
};

//   constant     base
//   step         base * factor ^ floor(s / interval)
//   exponential  base * factor ^ (s / interval)
//   cosine       base * (s + 1) / w for s < w, then half a cosine from base at s = w to the minimum
//                at s = total (Loshchilov and Hutter, arXiv:1608.03983, without restarts)
inline double learning_rate(const Schedule& schedule, int64_t step) {
  const double s = static_cast<double>(step), interval = static_cast<double>(schedule.interval);
  switch (schedule.kind) {
    case ScheduleKind::kConstant:
      break;
    case ScheduleKind::kStep:
      return schedule.base * std::pow(schedule.factor, std::floor(s / interval));
    case ScheduleKind::kExponential:
      return schedule.base * std::pow(schedule.factor, s / interval);
    case ScheduleKind::kCosine: {
      const double warmup = static_cast<double>(schedule.warmup);
      if (step < schedule.warmup) return schedule.base * (s + 1.0) / warmup;
      if (step >= schedule.total) return schedule.minimum;
      const double progress = (s - warmup) / (static_cast<double>(schedule.total) - warmup);
      return schedule.minimum + 0.5 * (schedule.base - schedule.minimum) *
                                    (1.0 + std::cos(std::acos(-1.0) * progress));
    }
  }
  return schedule.base;
}

}  // namespace ostinato::reference
