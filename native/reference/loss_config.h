// What a loss is, and what it gives for a row.
#pragma once

#include "reference/matrix.h"

namespace ostinato::reference {

enum class LossKind {
  kSparseCategoricalCrossentropy,
  kCategoricalCrossentropy,
  kBinaryCrossentropy,
  kMeanSquaredError,
  kMeanAbsoluteError,
  kHuber,
  kSparseCategoricalFocal,
  kCategoricalFocal,
  kBinaryFocal,
  kKlDivergence,
  kCosine,
  kQuantile,
  kGaussian,
  kStudentT,
  kNegativeBinomial,
};

struct LossConfig {
  LossKind kind = LossKind::kMeanSquaredError;
  // Cross-entropies: whether predictions are logits; otherwise they are probabilities.
  bool from_logits = true;
  double delta = 1.0;      // Huber: where the parabola turns into a line
  double smoothing = 0.0;  // cross-entropies, not focal: share of the uniform distribution
  double gamma = 2.0;      // focal
  Vector class_weights{};  // cross-entropies: by class; binary: of 0 and 1; empty: 1
  Vector quantiles{};      // quantile

  bool is_sparse() const {
    return kind == LossKind::kSparseCategoricalCrossentropy ||
           kind == LossKind::kSparseCategoricalFocal;
  }
  size_t predictions_per_target() const {
    if (kind == LossKind::kQuantile) return quantiles.size();
    if (kind == LossKind::kStudentT) return 3;
    return kind == LossKind::kGaussian || kind == LossKind::kNegativeBinomial ? 2 : 1;
  }
};

struct RowLoss {
  double loss = 0.0;
  Vector gradient;  // [cols]
};

}  // namespace ostinato::reference
