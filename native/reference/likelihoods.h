// Losses with several predictions for each target: quantiles, and negative log-likelihoods of
// distributions whose parameters they are. Column j + i F of a row belongs to target j of F:
// quantile i, or parameter i of
//   Gaussian           mean; deviation, as softplus(x) + 1e-6
//   Student's t        location; scale, as softplus(x) + 1e-6; degrees of freedom, 2 + softplus(x)
//   negative binomial  mean m and dispersion a, as softplus(x) + 1e-6: the variance is m + a m^2
#pragma once

#include <algorithm>
#include <cmath>

#include "reference/cell.h"
#include "reference/loss_config.h"

namespace ostinato::reference {

// The derivative of lgamma: from 20 on its asymptotic series, below by psi(x) = psi(x + 1) - 1 / x.
inline double psi(double x) {
  double sum = 0.0;
  while (x < 20.0) sum -= 1.0 / x, x += 1.0;
  const double s = 1.0 / (x * x);
  return sum + std::log(x) - 0.5 / x - s / 12.0 + s * s / 120.0 - s * s * s / 252.0 +
         s * s * s * s / 240.0;
}

inline double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// - log of the density, or probability, of t, and its derivatives with respect to the predictions.
inline RowLoss negative_log_likelihood(LossKind kind, const Vector& x, double t) {
  constexpr double kLeast = 1e-6;
  const double pi = std::acos(-1.0);
  if (kind == LossKind::kGaussian) {
    const double s = softplus(x.at(1)) + kLeast, e = t - x[0];
    return {0.5 * std::log(2.0 * pi) + std::log(s) + e * e / (2.0 * s * s),
            {-e / (s * s), (1.0 / s - e * e / (s * s * s)) * sigmoid(x[1])}};
  }
  if (kind == LossKind::kStudentT) {
    const double s = softplus(x.at(1)) + kLeast, n = 2.0 + softplus(x.at(2)), e = t - x[0];
    const double bottom = n * s * s + e * e;  // n s^2 (1 + z^2 / n)
    const double loss = std::lgamma(n / 2.0) - std::lgamma((n + 1.0) / 2.0) +
                        0.5 * std::log(n * pi) + std::log(s) +
                        (n + 1.0) / 2.0 * std::log(bottom / (n * s * s));
    const double of_n = 0.5 * (psi(n / 2.0) - psi((n + 1.0) / 2.0)) + 0.5 / n +
                        0.5 * std::log(bottom / (n * s * s)) -
                        (n + 1.0) / 2.0 * e * e / (n * bottom);
    return {loss,
            {-(n + 1.0) * e / bottom, (1.0 / s - (n + 1.0) * e * e / (s * bottom)) * sigmoid(x[1]),
             of_n * sigmoid(x[2])}};
  }
  const double m = softplus(x.at(0)) + kLeast, a = softplus(x.at(1)) + kLeast, r = 1.0 / a;
  const double p = a * m / (1.0 + a * m);  // of a success
  const double loss = std::lgamma(r) + std::lgamma(t + 1.0) - std::lgamma(t + r) -
                      r * std::log(1.0 - p) - t * std::log(p);
  const double of_p = r / (1.0 - p) - t / p;
  const double of_r = psi(r) - psi(t + r) - std::log(1.0 - p);
  const double square = (1.0 + a * m) * (1.0 + a * m);
  return {loss,
          {of_p * a / square * sigmoid(x[0]), (of_p * m / square - of_r * r * r) * sigmoid(x[1])}};
}

// The pinball loss (Koenker and Bassett, Econometrica 46(1), 1978): q e for e = t - x > 0, else
// (q - 1) e.
inline RowLoss pinball(double q, double x, double t) {
  const double e = t - x, slope = e > 0.0 ? q : e < 0.0 ? q - 1.0 : 0.0;
  return {slope * e, {-slope}};
}

// The mean over targets, of quantiles over predictions.
inline RowLoss distribution_row(const LossConfig& config, const Vector& x, const Vector& targets) {
  const size_t parameters = config.predictions_per_target(), features = x.size() / parameters;
  const bool quantile = config.kind == LossKind::kQuantile;
  const double n = static_cast<double>(quantile ? x.size() : features);
  RowLoss row{0.0, Vector(x.size())};
  for (size_t j = 0; j < features; ++j) {
    if (quantile) {
      for (size_t i = 0; i < parameters; ++i) {
        const RowLoss one = pinball(config.quantiles[i], x[j + i * features], targets.at(j));
        row.loss += one.loss / n;
        row.gradient[j + i * features] = one.gradient[0] / n;
      }
      continue;
    }
    Vector own;
    for (size_t i = 0; i < parameters; ++i) own.push_back(x[j + i * features]);
    const RowLoss one = negative_log_likelihood(config.kind, own, targets.at(j));
    row.loss += one.loss / n;
    for (size_t i = 0; i < parameters; ++i) row.gradient[j + i * features] = one.gradient[i] / n;
  }
  return row;
}

}  // namespace ostinato::reference
