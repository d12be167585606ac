// Arguments of the kernels that only training needs: losses and optimisers. Part of kernels.h.
#pragma once

#include <cstdint>

namespace ostinato {

enum class LossKind : int32_t {
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
  kCtc,  // of sequences, not of rows: core/ctc.h, and no kernel
};

// Loss of each row of predictions and its gradient. A row's loss is: cross-entropy over the
// columns; for the others the mean over the columns.
//   loss[row]  = row loss (unweighted)
//   dx[row, :] = d(row loss)/dx * scale[row]     (dx may alias x; null: no gradient)
// A row of scale 0 does not count: its gradient is 0 whatever it holds, NaN included. NaN anywhere
// in a row of logits makes its loss NaN and `correct` 0. Labels lie in [0, cols), also of such
// rows. from_logits: softmax (categorical) or sigmoid (binary) is fused into the loss; otherwise x
// holds probabilities, clamped to [1e-7, 1 - 1e-7] inside the logarithm as Keras does. Focal losses
// are from logits.
//
// smoothing mixes targets of cross-entropies with the uniform distribution (binary: with 1/2).
// class_weights multiply the targets of each class; for the binary losses they are two, of 0 and 1.
//
// The last four kinds have P predictions for each of F = cols / P targets, in blocks: column j + i
// F is parameter i of target j; P is quantile_count, 2, 3 and 2. Deviations, means and dispersions
// are softplus(x) + 1e-6, degrees of freedom 2 + softplus(x); see likelihood.inl.h.
struct LossArgs {
  LossKind kind;
  bool from_logits;
  float delta;      // Huber
  float smoothing;  // cross-entropies but for the focal ones
  float gamma;      // focal
  int64_t rows, cols;
  const float* x;
  int64_t x_ld;
  const int32_t* labels;  // sparse: [rows]
  const float* targets;   // otherwise [rows, cols], or [rows, F], with targets_ld
  int64_t targets_ld;
  const float* class_weights;  // cross-entropies: [cols], binary: [2], or null: all 1
  const float* quantiles;      // quantile: [quantile_count] in (0, 1)
  int64_t quantile_count;
  const float* scale;  // [rows], read only with dx
  float* loss;         // [rows]
  int32_t* correct;    // [rows] 1 where the arg max is the label's (categorical losses), or null
  float* dx;
  int64_t dx_ld;
};

enum class OptimizerKind : int32_t {
  kSgd,
  kRmsprop,
  kAdam,
  kAdagrad,
  kNadam,
  kRadam,
  kLion,
  kScheduleFreeAdam,
};

// One update of n parameters. Equations as PyTorch's. `gradient_scale` (from clipping by norm)
// multiplies every gradient first, then `clip_value` (0: off) clamps it.
//   SGD:     m = momentum m + g; p -= lr * (nesterov ? g + momentum m : m)   (momentum 0: p -= lr
//   g) RMSprop: v = rho v + (1 - rho) g^2; p -= lr g / (sqrt(v) + epsilon), momentum as above Adam:
//   decoupled weight decay first: p *= 1 - lr * weight_decay (0 for Adam), then
//            m, v, p -= lr * (m / bias1) / (sqrt(v / bias2) + epsilon)
//   Adagrad: v += g^2; p -= lr g / (sqrt(v) + epsilon)
//   NAdam:   m, v and decay as Adam; p -= lr (gradient_part g + momentum_part m) /
//            (sqrt(v / bias2) + epsilon)
//   RAdam:   m, v and decay as Adam; p -= lr (m / bias1) (rectification > 0 ? rectification /
//            (sqrt(v) + epsilon) : 1)
//   Lion:    decay as Adam; p -= lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g
//   Schedule-free Adam: p holds y, where g was taken, and then the average x of the iterates z = m:
//            v as Adam; z -= lr (g / (sqrt(v / bias2) + epsilon) + weight_decay y);
//            p = x + mixing (z - x)
// For SGD, RMSprop and Adagrad weight_decay is L2: g += weight_decay * p.
struct OptimizerArgs {
  OptimizerKind kind;
  int64_t n;
  float* p;
  const float* g;
  float* m;        // first slot (momentum, Adam's m, schedule-free z), or null when unused
  float* v;        // second slot (the mean or sum of squares), or null
  const float* x;  // schedule-free: the average before the update; others: null
  float learning_rate, weight_decay, gradient_scale, clip_value;
  float momentum;
  bool nesterov;
  float rho;           // RMSprop
  float beta1, beta2;  // Adam and its kin, Lion
  float bias1, bias2;  // 1 - beta1^t, 1 - beta2^t
  float epsilon;
  float gradient_part, momentum_part;  // NAdam
  float rectification;                 // RAdam; 0 while the mean square is not to be trusted
  float mixing;                        // schedule-free
};

}  // namespace ostinato
