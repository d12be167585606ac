#include "core/loss.h"

#include <string>

#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kCost = 16;

bool is_categorical(LossKind kind) {
  return kind == LossKind::kSparseCategoricalCrossentropy ||
         kind == LossKind::kCategoricalCrossentropy;
}

bool counts(const Targets& targets, int64_t row) {
  return targets.mask == nullptr || targets.mask[row] != 0.0f;
}

void check(LossKind kind, const Matrix& x, const Targets& targets) {
  const bool sparse = kind == LossKind::kSparseCategoricalCrossentropy;
  if (sparse && targets.labels == nullptr) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected integer labels as targets of this loss");
  }
  if (!sparse && targets.dense.cols != x.cols) {
    throw Error(
        "ERR_SHAPE_MISMATCH",
        "Expected targets of " + std::to_string(x.cols) + " features for this loss but received " +
            (targets.labels != nullptr ? "integer labels" : std::to_string(targets.dense.cols)));
  }
}

float weight(const Targets& targets, int64_t row) {
  return targets.weights == nullptr ? 1.0f : targets.weights[row];
}

}  // namespace

Loss::Loss(const LossConfig& config, const Kernels& kernels) : config_(config), kernels_(kernels) {}

LossValue Loss::evaluate(const Matrix& x, const Targets& targets, const Matrix& dx, int threads) {
  check(config_.kind, x, targets);
  LossValue value;
  for (int64_t row = 0; row < x.rows; ++row) value.count += counts(targets, row);
  const double share = value.count > 0 ? 1.0 / static_cast<double>(value.count) : 0.0;
  row_loss_.resize(x.rows);
  scale_.resize(x.rows);
  correct_.resize(x.rows);
  for (int64_t row = 0; row < x.rows; ++row) {
    scale_[row] = counts(targets, row) ? static_cast<float>(weight(targets, row) * share) : 0.0f;
  }
  const bool categorical = is_categorical(config_.kind);
  parallel_for(threads_for(kCost * x.rows * x.cols, threads), x.rows, 1,
               [&](int64_t begin, int64_t end) {
                 LossArgs args{};
                 args.kind = config_.kind;
                 args.from_logits = config_.from_logits;
                 args.delta = static_cast<float>(config_.delta);
                 args.rows = end - begin;
                 args.cols = x.cols;
                 args.x = x.row(begin);
                 args.x_ld = x.ld;
                 args.labels = targets.labels == nullptr ? nullptr : targets.labels + begin;
                 args.targets = targets.dense ? targets.dense.row(begin) : nullptr;
                 args.targets_ld = targets.dense.ld;
                 args.scale = scale_.data() + begin;
                 args.loss = row_loss_.data() + begin;
                 args.correct = categorical ? correct_.data() + begin : nullptr;
                 args.dx = dx ? dx.row(begin) : nullptr;
                 args.dx_ld = dx.ld;
                 kernels_.loss(args);
               });
  // In the rows' order, whoever computed them.
  for (int64_t row = 0; row < x.rows; ++row) {
    if (!counts(targets, row)) continue;
    value.sum += static_cast<double>(weight(targets, row)) * row_loss_[row];
    if (categorical) value.correct += correct_[row];
  }
  return value;
}

}  // namespace ostinato
