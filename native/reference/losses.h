// Losses over rows of predictions, with masks and sample weights, and their gradients. A row is a
// sample, or one step of a sequence.
//   loss = sum over rows of mask * weight * row loss / number of rows that are not masked
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/cell.h"
#include "reference/dense.h"
#include "reference/matrix.h"

namespace ostinato::reference {

enum class LossKind {
  kSparseCategoricalCrossentropy,
  kCategoricalCrossentropy,
  kBinaryCrossentropy,
  kMeanSquaredError,
  kMeanAbsoluteError,
  kHuber,
};

struct LossConfig {
  LossKind kind = LossKind::kMeanSquaredError;
  // Cross-entropies: whether predictions are logits; otherwise they are probabilities.
  bool from_logits = true;
  double delta = 1.0;  // Huber: where the parabola turns into a line
};

struct LossTargets {
  std::vector<int32_t> labels;  // [rows], for the sparse cross-entropy; a masked row's is not read
  Matrix values;                // [rows, cols], for all others
  Vector mask;                  // [rows] of 0 and 1; empty: nothing is masked
  Vector weights;               // [rows]; empty: 1
};

struct LossResult {
  double loss = 0.0;  // 0 where every row is masked
  Vector rows;        // [rows] losses before mask, weight and mean; 0 for a masked row
  Matrix gradient;    // [rows, cols] of `loss` with respect to the predictions
};

// Probabilities are kept in [1e-7, 1 - 1e-7] inside logarithms, as Keras does; beyond, the loss is
// constant and its gradient zero.
inline constexpr double kProbabilityMargin = 1e-7;

struct Logarithm {
  double value, derivative;
};

inline Logarithm clamped_log(double p) {
  const double clamped = std::clamp(p, kProbabilityMargin, 1.0 - kProbabilityMargin);
  return {std::log(clamped), clamped == p ? 1.0 / p : 0.0};
}

struct RowLoss {
  double loss = 0.0;
  Vector gradient;  // [cols]
};

// - sum_j t_j log p_j, where p = softmax(x), or p = x.
inline RowLoss categorical_row(bool from_logits, const Vector& x, const Vector& targets) {
  RowLoss row{0.0, Vector(x.size())};
  if (!from_logits) {
    for (size_t j = 0; j < x.size(); ++j) {
      const Logarithm log_p = clamped_log(x[j]);
      row.loss -= targets.at(j) * log_p.value;
      row.gradient[j] = -targets.at(j) * log_p.derivative;
    }
    return row;
  }
  const double largest = *std::max_element(x.begin(), x.end());
  double total = 0.0, target_total = 0.0;
  for (double value : x) total += std::exp(value - largest);
  for (double target : targets) target_total += target;
  const Vector p = softmax(x);
  for (size_t j = 0; j < x.size(); ++j) {
    row.loss += targets.at(j) * (largest + std::log(total) - x[j]);
    row.gradient[j] = target_total * p[j] - targets[j];
  }
  return row;
}

// The mean over columns of - t log p - (1 - t) log(1 - p), where p = sigmoid(x), or p = x. From
// logits that is max(x, 0) - x t + log(1 + exp(-|x|)), which no x overflows.
inline RowLoss binary_row(bool from_logits, const Vector& x, const Vector& targets) {
  const double n = static_cast<double>(x.size());
  RowLoss row{0.0, Vector(x.size())};
  for (size_t j = 0; j < x.size(); ++j) {
    const double t = targets.at(j);
    if (from_logits) {
      row.loss += (std::max(x[j], 0.0) - x[j] * t + std::log1p(std::exp(-std::abs(x[j])))) / n;
      row.gradient[j] = (sigmoid(x[j]) - t) / n;
      continue;
    }
    const Logarithm log_p = clamped_log(x[j]), log_q = clamped_log(1.0 - x[j]);
    row.loss -= (t * log_p.value + (1.0 - t) * log_q.value) / n;
    row.gradient[j] = -(t * log_p.derivative - (1.0 - t) * log_q.derivative) / n;
  }
  return row;
}

// The mean over columns of a function of the error e = x - t: e^2; |e|; or Huber's e^2 / 2 up to
// |e| = delta and delta (|e| - delta / 2) beyond (Ann. Math. Statist. 35(1), 1964).
inline RowLoss regression_row(const LossConfig& config, const Vector& x, const Vector& targets) {
  const double n = static_cast<double>(x.size());
  RowLoss row{0.0, Vector(x.size())};
  for (size_t j = 0; j < x.size(); ++j) {
    const double e = x[j] - targets.at(j);
    const double sign = e > 0.0 ? 1.0 : e < 0.0 ? -1.0 : 0.0;
    if (config.kind == LossKind::kMeanSquaredError) {
      row.loss += e * e / n;
      row.gradient[j] = 2.0 * e / n;
    } else if (config.kind == LossKind::kMeanAbsoluteError) {
      row.loss += std::abs(e) / n;
      row.gradient[j] = sign / n;
    } else if (std::abs(e) <= config.delta) {
      row.loss += 0.5 * e * e / n;
      row.gradient[j] = e / n;
    } else {
      row.loss += config.delta * (std::abs(e) - 0.5 * config.delta) / n;
      row.gradient[j] = config.delta * sign / n;
    }
  }
  return row;
}

// [classes], one at the label. Throws std::out_of_range for a label that is none of the classes.
inline Vector one_hot(int32_t label, size_t classes) {
  if (label < 0 || static_cast<size_t>(label) >= classes) {
    throw std::out_of_range("Expected a label in 0…" + std::to_string(classes - 1) +
                            " for \"labels\" but received " + std::to_string(label) + " (number)");
  }
  Vector values(classes, 0.0);
  values[static_cast<size_t>(label)] = 1.0;
  return values;
}

// predictions [rows, cols]. Throws std::invalid_argument for targets of another size.
inline LossResult loss(const LossConfig& config, const Matrix& predictions,
                       const LossTargets& targets) {
  const size_t rows = predictions.rows(), cols = predictions.cols();
  const bool sparse = config.kind == LossKind::kSparseCategoricalCrossentropy;
  expect_size("targets", sparse ? targets.labels.size() : targets.values.values().size(),
              sparse ? rows : rows * cols);
  if (!targets.mask.empty()) expect_size("mask", targets.mask.size(), rows);
  if (!targets.weights.empty()) expect_size("weights", targets.weights.size(), rows);

  const auto masked = [&](size_t r) { return !targets.mask.empty() && targets.mask[r] == 0.0; };
  double count = 0.0;
  for (size_t r = 0; r < rows; ++r) count += masked(r) ? 0.0 : 1.0;

  LossResult result{0.0, Vector(rows, 0.0), Matrix(rows, cols)};
  for (size_t r = 0; r < rows; ++r) {
    if (masked(r)) continue;
    const Vector x = predictions.row(r);
    const Vector t = sparse ? one_hot(targets.labels[r], cols) : targets.values.row(r);
    RowLoss row;
    switch (config.kind) {
      case LossKind::kSparseCategoricalCrossentropy:
      case LossKind::kCategoricalCrossentropy:
        row = categorical_row(config.from_logits, x, t);
        break;
      case LossKind::kBinaryCrossentropy:
        row = binary_row(config.from_logits, x, t);
        break;
      case LossKind::kMeanSquaredError:
      case LossKind::kMeanAbsoluteError:
      case LossKind::kHuber:
        row = regression_row(config, x, t);
        break;
    }
    const double scale = (targets.weights.empty() ? 1.0 : targets.weights[r]) / count;
    result.rows[r] = row.loss;
    result.loss += scale * row.loss;
    for (double& value : row.gradient) value *= scale;
    result.gradient.set_row(r, row.gradient);
  }
  return result;
}

}  // namespace ostinato::reference
