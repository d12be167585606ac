#include "core/loss.h"

#include <string>

#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kLossCost = 16;

bool counts(const Targets& targets, int64_t row) {
  return targets.mask == nullptr || targets.mask[row] != 0.0f;
}

void check(const LossConfig& config, const Matrix& x, const Targets& targets) {
  const bool sparse = config.is_sparse();
  if (sparse && targets.labels == nullptr) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected integer labels as targets of this loss");
  }
  if (config.kind == LossKind::kCtc) {
    if (targets.geometry == nullptr || targets.geometry->rows() != x.rows) {
      throw Error("ERR_SHAPE_MISMATCH", "Expected an output for each step for this loss");
    }
    if (config.blank < 0 || config.blank >= x.cols) {
      throw Error("ERR_SHAPE_MISMATCH", "Expected a blank below " + std::to_string(x.cols) +
                                            " but received " + std::to_string(config.blank));
    }
  }
  const int64_t share = config.predictions_per_target();
  if (share < 1 || x.cols % share != 0) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected a multiple of " + std::to_string(share) +
                                          " predictions for this loss but received " +
                                          std::to_string(x.cols));
  }
  const bool binary =
      config.kind == LossKind::kBinaryCrossentropy || config.kind == LossKind::kBinaryFocal;
  const int64_t classes = binary ? 2 : x.cols;
  const auto weights = static_cast<int64_t>(config.class_weights.size());
  if (weights != 0 && weights != classes) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(classes) +
                                          " class weights for this loss but received " +
                                          std::to_string(weights));
  }
  if (!sparse && targets.dense.cols != x.cols / share) {
    throw Error(
        "ERR_SHAPE_MISMATCH",
        "Expected targets of " + std::to_string(x.cols / share) +
            " features for this loss but received " +
            (targets.labels != nullptr ? "integer labels" : std::to_string(targets.dense.cols)));
  }
}

float weight(const Targets& targets, int64_t row) {
  return targets.weights == nullptr ? 1.0f : targets.weights[row];
}

}  // namespace

bool LossConfig::is_sparse() const {
  return kind == LossKind::kSparseCategoricalCrossentropy ||
         kind == LossKind::kSparseCategoricalFocal || kind == LossKind::kCtc;
}

bool LossConfig::is_categorical() const {
  if (kind == LossKind::kCtc) return false;
  return is_sparse() || kind == LossKind::kCategoricalCrossentropy ||
         kind == LossKind::kCategoricalFocal || kind == LossKind::kKlDivergence;
}

int64_t LossConfig::predictions_per_target() const {
  switch (kind) {
    case LossKind::kQuantile:
      return static_cast<int64_t>(quantiles.size());
    case LossKind::kGaussian:
    case LossKind::kNegativeBinomial:
      return 2;
    case LossKind::kStudentT:
      return 3;
    default:
      return 1;
  }
}

Loss::Loss(const LossConfig& config, const Kernels& kernels)
    : config_(config), kernels_(kernels), ctc_(config.blank, kernels) {}

LossValue Loss::evaluate_sequences(const Matrix& x, const Targets& targets, const Matrix& dx,
                                   int threads) {
  const Geometry& geometry = *targets.geometry;
  LossValue value;
  value.count = geometry.batch();
  const double share = value.count > 0 ? 1.0 / static_cast<double>(value.count) : 0.0;
  scale_.resize(x.rows);
  for (int64_t row = 0; row < x.rows; ++row) {
    scale_[row] = static_cast<float>(weight(targets, row) * share);
  }
  ctc_.evaluate(geometry, x, targets.labels, scale_.data(), dx, threads, sequence_loss_);
  for (int64_t b = 0; b < value.count; ++b) {
    if (geometry.length(b) == 0) continue;  // no steps, no labels, no loss
    value.sum += static_cast<double>(weight(targets, geometry.row(b, 0))) * sequence_loss_[b];
  }
  return value;
}

LossValue Loss::evaluate(const Matrix& x, const Targets& targets, const Matrix& dx, int threads) {
  check(config_, x, targets);
  if (config_.kind == LossKind::kCtc) return evaluate_sequences(x, targets, dx, threads);
  LossValue value;
  for (int64_t row = 0; row < x.rows; ++row) value.count += counts(targets, row);
  const double share = value.count > 0 ? 1.0 / static_cast<double>(value.count) : 0.0;
  row_loss_.resize(x.rows);
  scale_.resize(x.rows);
  correct_.resize(x.rows);
  for (int64_t row = 0; row < x.rows; ++row) {
    scale_[row] = counts(targets, row) ? static_cast<float>(weight(targets, row) * share) : 0.0f;
  }
  const bool categorical = config_.is_categorical();
  parallel_for(threads_for(kLossCost * x.rows * x.cols, threads), x.rows, 1,
               [&](int64_t begin, int64_t end) {
                 LossArgs args{};
                 args.kind = config_.kind;
                 args.from_logits = config_.from_logits;
                 args.delta = static_cast<float>(config_.delta);
                 args.smoothing = static_cast<float>(config_.smoothing);
                 args.gamma = static_cast<float>(config_.gamma);
                 const bool weighted = !config_.class_weights.empty();
                 args.class_weights = weighted ? config_.class_weights.data() : nullptr;
                 args.quantiles = config_.quantiles.data();
                 args.quantile_count = static_cast<int64_t>(config_.quantiles.size());
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
