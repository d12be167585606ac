// Penalties and constraints of weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "reference/matrix.h"

namespace ostinato::reference {

inline double weight_penalty(const Matrix& w, double l1, double l2) {
  double sum = 0;
  for (size_t r = 0; r < w.rows(); ++r) {
    for (size_t c = 0; c < w.cols(); ++c) sum += l1 * std::abs(w(r, c)) + l2 * w(r, c) * w(r, c);
  }
  return sum;
}

// Where w is 0 the penalty of l1 has no derivative; 0 lies between those of both sides.
inline double weight_penalty_gradient(double w, double l1, double l2) {
  return l1 * (w > 0 ? 1.0 : w < 0 ? -1.0 : 0.0) + 2.0 * l2 * w;
}

// Each row shortened to `max`, or, with `unit`, scaled to a length of 1; rows of zeros stay.
inline void limit_norms(Matrix& w, double max, bool unit) {
  for (size_t r = 0; r < w.rows(); ++r) {
    double square = 0;
    for (size_t c = 0; c < w.cols(); ++c) square += w(r, c) * w(r, c);
    const double norm = std::sqrt(square);
    if (norm == 0 || (!unit && norm <= max)) continue;
    for (size_t c = 0; c < w.cols(); ++c) w(r, c) *= (unit ? 1.0 : max) / norm;
  }
}

inline void limit_values(Matrix& w, double low, double high) {
  for (size_t r = 0; r < w.rows(); ++r) {
    for (size_t c = 0; c < w.cols(); ++c) w(r, c) = std::min(std::max(w(r, c), low), high);
  }
}

}  // namespace ostinato::reference
