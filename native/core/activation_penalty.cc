#include "core/activation_penalty.h"

#include <algorithm>

#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// Partial sums of a penalty: the same for any number of threads.
constexpr int64_t kParts = 64;
// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kPenaltyCost = 4;

struct Factors {
  double activation, temporal;  // of the sums, not of the means
};

Factors factors_of(const ActivationPenalty& penalty, const Geometry& geometry, int64_t features) {
  const double rows = static_cast<double>(geometry.rows() * features);
  const double pairs = static_cast<double>((geometry.rows() - geometry.active(0)) * features);
  return {rows > 0 ? penalty.activation / rows : 0.0, pairs > 0 ? penalty.temporal / pairs : 0.0};
}

double squared_distance(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return sum;
}

}  // namespace

double activation_penalty(const Pass& pass, const ActivationPenalty& penalty, const Matrix& h) {
  const Geometry& geometry = *pass.geometry;
  if (geometry.rows() == 0) return 0;
  const Factors factors = factors_of(penalty, geometry, h.cols);
  const int64_t size = (geometry.steps() + kParts - 1) / kParts;
  double sums[kParts] = {};
  const int threads = threads_for(kPenaltyCost * h.rows * h.cols, pass.threads);
  parallel_for(threads, (geometry.steps() + size - 1) / size, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      for (int64_t t = part * size; t < std::min(geometry.steps(), (part + 1) * size); ++t) {
        for (int64_t b = 0; b < geometry.active(t); ++b) {
          const float* row = h.row(geometry.row(b, t));
          if (factors.activation != 0) {
            sums[part] += factors.activation * pass.kernels->sum_squares(row, h.cols);
          }
          if (factors.temporal != 0 && b < geometry.active(t + 1)) {
            sums[part] +=
                factors.temporal * squared_distance(row, h.row(geometry.row(b, t + 1)), h.cols);
          }
        }
      }
    }
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

void add_activation_gradient(const Pass& pass, const ActivationPenalty& penalty, const Matrix& h,
                             const Matrix& dy) {
  const Geometry& geometry = *pass.geometry;
  if (geometry.rows() == 0) return;
  const Factors factors = factors_of(penalty, geometry, h.cols);
  const int threads = threads_for(kPenaltyCost * h.rows * h.cols, pass.threads);
  parallel_for(threads, geometry.steps(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t b = 0; b < geometry.active(t); ++b) {
        float* const gradient = dy.row(geometry.row(b, t));
        const auto add = [&](int64_t step, double factor) {
          pass.kernels->add_scaled(gradient, h.row(geometry.row(b, step)),
                                   static_cast<float>(2.0 * factor), h.cols);
        };
        const bool before = t > 0, after = b < geometry.active(t + 1);
        add(t, factors.activation + factors.temporal * (before + after));
        if (factors.temporal == 0) continue;
        if (before) add(t - 1, -factors.temporal);
        if (after) add(t + 1, -factors.temporal);
      }
    }
  });
}

}  // namespace ostinato
