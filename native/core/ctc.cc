#include "core/ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
// What a state of the lattice costs at a step, in multiply-adds, for the choice of threads.
constexpr int64_t kStateCost = 64;
constexpr int64_t kElementCost = 16;

// ln(e^a + e^b)
double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == kNever ? a : a + std::log1p(std::exp(b - a));
}

}  // namespace

void Ctc::evaluate(const Geometry& geometry, const Matrix& x, const int32_t* labels,
                   const float* scale, const Matrix& dx, int threads, std::vector<double>& losses) {
  const auto rows = static_cast<size_t>(x.rows);
  distance_.resize(rows);
  ones_.resize(rows, 1.0f);
  blanks_.resize(rows, static_cast<int32_t>(blank_));
  // The cross-entropy of the blank: with its logit it gives the normaliser of every row, and its
  // gradient is the softmax, but for 1 at the blank.
  parallel_for(threads_for(kElementCost * x.rows * x.cols, threads), x.rows, 1,
               [&](int64_t begin, int64_t end) {
                 LossArgs args{};
                 args.kind = LossKind::kSparseCategoricalCrossentropy;
                 args.from_logits = true;
                 args.rows = end - begin;
                 args.cols = x.cols;
                 args.x = x.row(begin);
                 args.x_ld = x.ld;
                 args.labels = blanks_.data() + begin;
                 args.scale = ones_.data() + begin;
                 args.loss = distance_.data() + begin;
                 args.dx = dx ? dx.row(begin) : nullptr;
                 args.dx_ld = dx.ld;
                 kernels_.loss(args);
               });
  const int64_t batch = geometry.batch();
  sequences_.resize(batch);
  losses.resize(batch);
  int64_t doubles = 0;
  for (int64_t b = 0; b < batch; ++b) {
    Sequence& one = sequences_[b];
    const int64_t steps = geometry.length(b);
    one.labels = 0;
    while (one.labels < steps && labels[geometry.row(b, one.labels)] != blank_) ++one.labels;
    one.scratch = doubles;
    // Forward values of all steps, backward ones of one, and a row of occupancies.
    doubles += (steps + 1) * (2 * one.labels + 1) + x.cols;
  }
  scratch_.resize(doubles);
  parallel_for(threads_for(kStateCost * doubles, threads), batch, 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t b = begin; b < end; ++b) {
                   const float factor = geometry.length(b) > 0 ? scale[geometry.row(b, 0)] : 0.0f;
                   losses[b] = sequence(geometry, x, labels, b, factor, dx);
                 }
               });
}

// State 2 i + 1 of the lattice emits label i, an even one the blank before label i. A state follows
// itself, its neighbour before, and, where it emits another label than that, the one before.
double Ctc::sequence(const Geometry& geometry, const Matrix& x, const int32_t* labels, int64_t b,
                     float scale, const Matrix& dx) {
  const int64_t steps = geometry.length(b), count = sequences_[b].labels, states = 2 * count + 1;
  if (steps == 0) return 0.0;
  double* alpha = scratch_.data() + sequences_[b].scratch;
  double* beta = alpha + steps * states;
  double* occupancy = beta + states;
  const auto label_at = [&](int64_t s) -> int64_t {
    return s % 2 == 0 ? blank_ : labels[geometry.row(b, s / 2)];
  };
  const auto skips = [&](int64_t s) {  // from s - 2 to s
    return s % 2 == 1 && s >= 2 && label_at(s) != label_at(s - 2);
  };
  const auto log_p = [&](int64_t t, int64_t s) {
    const int64_t row = geometry.row(b, t);
    const float* logits = x.row(row);
    return static_cast<double>(logits[label_at(s)]) - logits[blank_] - distance_[row];
  };
  for (int64_t t = 0; t < steps; ++t) {
    double* now = alpha + t * states;
    const double* before = now - states;
    for (int64_t s = 0; s < states; ++s) {
      double sum = s < 2 && t == 0 ? 0.0 : kNever;
      if (t > 0) {
        sum = before[s];
        if (s >= 1) sum = log_add(sum, before[s - 1]);
        if (skips(s)) sum = log_add(sum, before[s - 2]);
      }
      now[s] = sum == kNever ? kNever : sum + log_p(t, s);
    }
  }
  const double* last = alpha + (steps - 1) * states;
  const double total = count > 0 ? log_add(last[states - 1], last[states - 2]) : last[states - 1];
  if (!dx) return -total;
  // beta[s]: ln of what the steps after t emit, from state s at t on.
  for (int64_t s = 0; s < states; ++s) beta[s] = s >= states - 2 ? 0.0 : kNever;
  for (int64_t t = steps - 1; t >= 0; --t) {
    if (t < steps - 1) {
      // In place, upwards: a state reads itself and those above it as they were.
      for (int64_t s = 0; s < states; ++s) {
        const auto via = [&](int64_t next) {
          return beta[next] == kNever ? kNever : beta[next] + log_p(t + 1, next);
        };
        double sum = via(s);
        if (s + 1 < states) sum = log_add(sum, via(s + 1));
        if (s + 2 < states && skips(s + 2)) sum = log_add(sum, via(s + 2));
        beta[s] = sum;
      }
    }
    float* out = dx.row(geometry.row(b, t));
    out[blank_] += 1.0f;
    std::fill_n(occupancy, x.cols, 0.0);
    for (int64_t s = 0; s < states; ++s) {
      occupancy[label_at(s)] += std::exp(alpha[t * states + s] + beta[s] - total);
    }
    const bool counts = scale != 0.0f && total != kNever;
    for (int64_t k = 0; k < x.cols; ++k) {
      out[k] = counts ? static_cast<float>(scale * (out[k] - occupancy[k])) : 0.0f;
    }
  }
  return -total;
}

}  // namespace ostinato
