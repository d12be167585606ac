// Negative log-likelihoods of targets under distributions whose parameters are the predictions.
// Rows of such losses are short and their functions are not elementary, so these are loops in
// double precision. log_gamma and digamma are written here because the C library's lgamma keeps the
// sign in a global variable, which threads must not share.
#pragma once

#include <cmath>

#include "kernels/kernels.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Keeps deviations, means and dispersions off 0.
inline constexpr double kLeastScale = 1e-6;
// From here on the asymptotic series below have 14 digits.
inline constexpr double kAsymptotic = 12.0;

// ln Gamma(x) for x > 0: x is raised by Gamma(x + 1) = x Gamma(x), then Stirling's series.
inline double log_gamma(double x) {
  double product = 1.0;
  for (; x < kAsymptotic; x += 1.0) product *= x;
  const double inverse = 1.0 / x, square = inverse * inverse;
  double series = 1.0 / 156.0;
  series = 691.0 / 360360.0 - series * square;
  series = 1.0 / 1188.0 - series * square;
  series = 1.0 / 1680.0 - series * square;
  series = 1.0 / 1260.0 - series * square;
  series = 1.0 / 360.0 - series * square;
  series = 1.0 / 12.0 - series * square;
  constexpr double kHalfLogTwoPi = 0.91893853320467274178;
  return (x - 0.5) * std::log(x) - x + kHalfLogTwoPi + series * inverse - std::log(product);
}

// d ln Gamma(x) / dx for x > 0.
inline double digamma(double x) {
  double sum = 0.0;
  for (; x < kAsymptotic; x += 1.0) sum -= 1.0 / x;
  const double inverse = 1.0 / x, square = inverse * inverse;
  double series = 691.0 / 32760.0;
  series = 1.0 / 132.0 - series * square;
  series = 1.0 / 240.0 - series * square;
  series = 1.0 / 252.0 - series * square;
  series = 1.0 / 120.0 - series * square;
  series = 1.0 / 12.0 - series * square;
  return sum + std::log(x) - 0.5 * inverse - series * square;
}

// ln(1 + e^x) and its derivative.
struct Softplus {
  double value, slope;
  explicit Softplus(double x) {
    const double e = std::exp(-std::abs(x));
    value = (x > 0 ? x : x < 0 ? 0.0 : x) + std::log1p(e);  // NaN passes
    slope = x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
  }
};

// The loss of one target and its derivatives with respect to the predictions.
struct Likelihood {
  double value;
  double slope[3];
};

// Normal with mean x[0] and deviation s = softplus(x[1]) + 1e-6.
inline Likelihood gaussian(const double* x, double t) {
  constexpr double kHalfLogTwoPi = 0.91893853320467274178;
  const Softplus soft(x[1]);
  const double s = soft.value + kLeastScale, z = (t - x[0]) / s;
  return {kHalfLogTwoPi + std::log(s) + 0.5 * z * z, {-z / s, (1.0 - z * z) / s * soft.slope, 0.0}};
}

// Student's t with location x[0], scale s = softplus(x[1]) + 1e-6 and n = 2 + softplus(x[2])
// degrees of freedom, so that there is a variance.
inline Likelihood student_t(const double* x, double t) {
  constexpr double kLogPi = 1.14472988584940017414;
  const Softplus soft(x[1]), freedom(x[2]);
  const double s = soft.value + kLeastScale, n = 2.0 + freedom.value;
  const double z = (t - x[0]) / s, w = z * z / n, log_w = std::log1p(w);
  Likelihood result;
  result.value = log_gamma(0.5 * n) - log_gamma(0.5 * (n + 1.0)) + 0.5 * (std::log(n) + kLogPi) +
                 std::log(s) + 0.5 * (n + 1.0) * log_w;
  const double pull = (n + 1.0) / (1.0 + w);
  result.slope[0] = -pull * z / (n * s);
  result.slope[1] = (1.0 - pull * w) / s * soft.slope;
  result.slope[2] = 0.5 *
                    (digamma(0.5 * n) - digamma(0.5 * (n + 1.0)) + 1.0 / n + log_w - pull * w / n) *
                    freedom.slope;
  return result;
}

// Negative binomial with mean m = softplus(x[0]) + 1e-6 and dispersion a = softplus(x[1]) + 1e-6:
// the variance is m + a m^2 (D. Salinas et al., "DeepAR", arXiv:1704.04110).
inline Likelihood negative_binomial(const double* x, double t) {
  if (t < 0) {
    const double none = __builtin_nan("");
    return {none, {none, none, 0.0}};
  }
  const Softplus mean(x[0]), dispersion(x[1]);
  const double m = mean.value + kLeastScale, a = dispersion.value + kLeastScale;
  const double r = 1.0 / a, log_rest = std::log1p(a * m), rest = 1.0 + a * m;
  Likelihood result;
  result.value = log_gamma(r) + log_gamma(t + 1.0) - log_gamma(t + r) + r * log_rest +
                 t * std::log1p(1.0 / (a * m));
  const double of_r = digamma(r) - digamma(t + r) + log_rest;
  result.slope[0] = (m - t) / (m * rest) * mean.slope;
  result.slope[1] = (r * (m - t) / rest - r * r * of_r) * dispersion.slope;
  result.slope[2] = 0.0;
  return result;
}

// The mean over the targets of a row. x may be dx.
template <int kParameters, class LikelihoodOf>
inline float likelihood_row(const LossArgs& args, int64_t row, float scale, float* dx,
                            const LikelihoodOf& likelihood_of) {
  const float* x = args.x + row * args.x_ld;
  const float* t = args.targets + row * args.targets_ld;
  const int64_t features = args.cols / kParameters;
  const double factor = static_cast<double>(scale) / static_cast<double>(features);
  double sum = 0.0;
  for (int64_t j = 0; j < features; ++j) {
    double parameters[kParameters];
    for (int i = 0; i < kParameters; ++i) parameters[i] = x[j + i * features];
    const Likelihood one = likelihood_of(parameters, t[j]);
    sum += one.value;
    if (dx == nullptr) continue;
    for (int i = 0; i < kParameters; ++i) {
      dx[j + i * features] = static_cast<float>(one.slope[i] * factor);
    }
  }
  return static_cast<float>(sum / static_cast<double>(features));
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
