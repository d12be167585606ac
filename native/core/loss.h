// A loss over rows of predictions: value, gradient, metrics.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ctc.h"
#include "core/geometry.h"
#include "core/tensor.h"
#include "kernels/kernels.h"

namespace ostinato {

struct LossConfig {
  LossKind kind = LossKind::kMeanSquaredError;
  bool from_logits = true;
  double delta = 1.0;      // Huber
  double smoothing = 0.0;  // cross-entropies
  double gamma = 2.0;      // focal losses
  // By class, or empty: all 1. Of cross-entropies; of the binary ones two, of 0 and of 1.
  std::vector<float> class_weights{};
  std::vector<float> quantiles{};  // of kQuantile
  int64_t blank = 0;               // of kCtc
  double weight = 1.0;             // factor in the total of a model of several outputs

  // Whether targets are labels, and whether `correct` means something.
  bool is_sparse() const;
  bool is_categorical() const;
  // Predictions for each number of the targets.
  int64_t predictions_per_target() const;
};

// Targets of the rows of one batch, in the rows' order. A row with mask 0 does not count at all;
// weights multiply a row's loss; the mean is over the rows that count.
struct Targets {
  const int32_t* labels = nullptr;  // [rows], sparse categorical
  Matrix dense;                     // [rows, cols / predictions_per_target] otherwise
  const float* weights = nullptr;   // [rows] or null: all 1
  const float* mask = nullptr;      // [rows] of 0 / 1 or null: all 1
  // Which rows are steps of one sequence, where they are: kCtc has labels, and a weight, for whole
  // sequences. See Ctc::evaluate.
  const Geometry* geometry = nullptr;
};

struct LossValue {
  double sum = 0;       // of weight * row loss over rows that count
  int64_t count = 0;    // rows that count; of kCtc, sequences
  int64_t correct = 0;  // of those, arg max right (categorical losses)
  double mean() const { return count ? sum / static_cast<double>(count) : 0.0; }
};

class Loss {
 public:
  Loss(const LossConfig& config, const Kernels& kernels);
  // dx: the gradient of the mean, same rows and columns as x, may be x itself (but for kCtc); null
  // for none.
  LossValue evaluate(const Matrix& x, const Targets& targets, const Matrix& dx, int threads);

 private:
  LossValue evaluate_sequences(const Matrix& x, const Targets& targets, const Matrix& dx,
                               int threads);

  LossConfig config_;
  const Kernels& kernels_;
  std::vector<float> row_loss_, scale_;
  std::vector<int32_t> correct_;
  Ctc ctc_;
  std::vector<double> sequence_loss_;
};

}  // namespace ostinato
