// Derivatives by differences, against which the hand-written ones are proven.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>

#include "reference/matrix.h"

namespace ostinato::reference {

// Half the width of the interval over which a function must be smooth is twice this.
inline constexpr double kDifferenceStep = 3e-4;

// d f / d variable, where f reads the variable: the five-point central difference, whose error is
// h^4 f^(5) / 30 plus rounding of about |f| * 1e-16 / h. With h = 3e-4 both stay below 1e-11 for
// functions of the order of 1; the plain three-point formula cannot do better than 1e-10.
inline double central_difference(const std::function<double()>& f, double& variable,
                                 double h = kDifferenceStep) {
  const double center = variable;
  const auto at = [&](double offset) {
    variable = center + offset;
    return f();
  };
  const double inner = at(h) - at(-h);
  const double outer = at(2.0 * h) - at(-2.0 * h);
  variable = center;
  return (8.0 * inner - outer) / (12.0 * h);
}

// |a - b| relative to the larger of both, or to `floor` where both are smaller than what
// differences can resolve.
inline double relative_error(double a, double b, double floor = 1e-4) {
  return std::abs(a - b) / std::max({std::abs(a), std::abs(b), floor});
}

}  // namespace ostinato::reference
