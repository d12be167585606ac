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
#include "reference/likelihoods.h"
#include "reference/loss_config.h"
#include "reference/matrix.h"

namespace ostinato::reference {

struct LossTargets {
  std::vector<int32_t> labels;  // [rows], for the sparse cross-entropy; a masked row's is not read
  Matrix values;                // [rows, cols / predictions per target], for all others
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

// The targets of a cross-entropy, mixed with the uniform distribution, times the class weights.
inline Vector blended(const LossConfig& config, const Vector& targets) {
  Vector result = targets;
  const double share = config.smoothing / static_cast<double>(targets.size());
  for (size_t j = 0; j < targets.size(); ++j) {
    result[j] = (1.0 - config.smoothing) * targets[j] + share;
    if (!config.class_weights.empty()) result[j] *= config.class_weights.at(j);
  }
  return result;
}

// The mean over columns of w (- w1 t log p - w0 (1 - t) log(1 - p)), where p = sigmoid(x), or p =
// x, and w = 1, or, for the focal loss, (t (1 - p) + (1 - t) p)^gamma with (w1 t + w0 (1 - t)) for
// both class weights.
inline RowLoss binary_row(const LossConfig& config, const Vector& x, const Vector& targets) {
  const double n = static_cast<double>(x.size());
  const double w0 = config.class_weights.empty() ? 1.0 : config.class_weights.at(0);
  const double w1 = config.class_weights.empty() ? 1.0 : config.class_weights.at(1);
  RowLoss row{0.0, Vector(x.size())};
  for (size_t j = 0; j < x.size(); ++j) {
    const double t = (1.0 - config.smoothing) * targets.at(j) + 0.5 * config.smoothing;
    if (!config.from_logits) {
      const Logarithm log_p = clamped_log(x[j]), log_q = clamped_log(1.0 - x[j]);
      row.loss -= (w1 * t * log_p.value + w0 * (1.0 - t) * log_q.value) / n;
      row.gradient[j] = -(w1 * t * log_p.derivative - w0 * (1.0 - t) * log_q.derivative) / n;
      continue;
    }
    const double p = sigmoid(x[j]), q = sigmoid(-x[j]);
    const double of_one = std::max(-x[j], 0.0) + std::log1p(std::exp(-std::abs(x[j])));
    const double of_zero = std::max(x[j], 0.0) + std::log1p(std::exp(-std::abs(x[j])));
    if (config.kind != LossKind::kBinaryFocal) {
      row.loss += (w1 * t * of_one + w0 * (1.0 - t) * of_zero) / n;
      row.gradient[j] = (w0 * (1.0 - t) * p - w1 * t * q) / n;
      continue;
    }
    const double weight = w1 * t + w0 * (1.0 - t), wrong = t * q + (1.0 - t) * p;
    const double plain = t * of_one + (1.0 - t) * of_zero;
    row.loss += weight * std::pow(wrong, config.gamma) * plain / n;
    const double change =
        config.gamma * std::pow(wrong, config.gamma - 1.0) * (1.0 - 2.0 * t) * p * q;
    row.gradient[j] = weight * (change * plain + std::pow(wrong, config.gamma) * (p - t)) / n;
  }
  return row;
}

// sum_j - t_j (1 - p_j)^gamma log p_j with p = softmax(x) (Lin et al., arXiv:1708.02002).
inline RowLoss focal_row(const LossConfig& config, const Vector& x, const Vector& targets) {
  const Vector p = softmax(x);
  RowLoss row{0.0, Vector(x.size(), 0.0)};
  for (size_t j = 0; j < x.size(); ++j) {
    const double power = std::pow(1.0 - p[j], config.gamma), log_p = std::log(p[j]);
    row.loss -= targets.at(j) * power * log_p;
    // d/dp_j, then through the softmax.
    const double of_p =
        targets[j] *
        (config.gamma * std::pow(1.0 - p[j], config.gamma - 1.0) * log_p - power / p[j]);
    for (size_t k = 0; k < x.size(); ++k) {
      row.gradient[k] += of_p * p[j] * ((j == k ? 1.0 : 0.0) - p[k]);
    }
  }
  return row;
}

// sum_j t_j log(t_j / p_j), 0 log 0 being 0.
inline RowLoss kl_row(const LossConfig& config, const Vector& x, const Vector& targets) {
  RowLoss row = categorical_row(config.from_logits, x, targets);
  for (double t : targets) row.loss += t > 0.0 ? t * std::log(t) : 0.0;
  return row;
}

// 1 - x . t / (|x| |t|), norms below 1e-8 being 1e-8.
inline RowLoss cosine_row(const Vector& x, const Vector& targets) {
  double product = 0.0, square_x = 0.0, square_t = 0.0;
  for (size_t j = 0; j < x.size(); ++j) {
    product += x[j] * targets.at(j);
    square_x += x[j] * x[j];
    square_t += targets[j] * targets[j];
  }
  const double a = std::max(std::sqrt(square_x), 1e-8), b = std::max(std::sqrt(square_t), 1e-8);
  RowLoss row{1.0 - product / (a * b), Vector(x.size())};
  const bool varies = std::sqrt(square_x) > 1e-8;
  for (size_t j = 0; j < x.size(); ++j) {
    row.gradient[j] = -(targets[j] - (varies ? product / (a * a) * x[j] : 0.0)) / (a * b);
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

// The loss of one row before mask and weights.
inline RowLoss row_loss(const LossConfig& config, const Vector& x, const Vector& t) {
  switch (config.kind) {
    case LossKind::kSparseCategoricalCrossentropy:
    case LossKind::kCategoricalCrossentropy:
      return categorical_row(config.from_logits, x, blended(config, t));
    case LossKind::kBinaryCrossentropy:
    case LossKind::kBinaryFocal:
      return binary_row(config, x, t);
    case LossKind::kSparseCategoricalFocal:
    case LossKind::kCategoricalFocal:
      return focal_row(config, x, blended(config, t));
    case LossKind::kKlDivergence:
      return kl_row(config, x, t);
    case LossKind::kCosine:
      return cosine_row(x, t);
    case LossKind::kQuantile:
    case LossKind::kGaussian:
    case LossKind::kStudentT:
    case LossKind::kNegativeBinomial:
      return distribution_row(config, x, t);
    case LossKind::kMeanSquaredError:
    case LossKind::kMeanAbsoluteError:
    case LossKind::kHuber:
      return regression_row(config, x, t);
  }
  return {};
}

// predictions [rows, cols]. Throws std::invalid_argument for targets of another size.
inline LossResult loss(const LossConfig& config, const Matrix& predictions,
                       const LossTargets& targets) {
  const size_t rows = predictions.rows(), cols = predictions.cols();
  const bool sparse = config.is_sparse();
  expect_size("targets", sparse ? targets.labels.size() : targets.values.values().size(),
              sparse ? rows : rows * cols / config.predictions_per_target());
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
    RowLoss row = row_loss(config, x, t);
    const double scale = (targets.weights.empty() ? 1.0 : targets.weights[r]) / count;
    result.rows[r] = row.loss;
    result.loss += scale * row.loss;
    for (double& value : row.gradient) value *= scale;
    result.gradient.set_row(r, row.gradient);
  }
  return result;
}

}  // namespace ostinato::reference
