// Expectations that hold hand-written gradients against finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "reference/finite_differences.h"
#include "reference/matrix.h"
#include "reference/random_problem.h"

namespace ostinato::reference {

inline constexpr double kGradientTolerance = 1e-6;

// Every element of `gradient` against the difference of f, which reads `variable`.
inline void expect_gradient(const std::string& name, const std::function<double()>& f,
                            Vector& variable, const Vector& gradient) {
  ASSERT_EQ(variable.size(), gradient.size()) << name;
  for (size_t i = 0; i < variable.size(); ++i) {
    const double numeric = central_difference(f, variable[i]);
    EXPECT_LE(relative_error(gradient[i], numeric), kGradientTolerance)
        << name << "[" << i << "]: gradient " << gradient[i] << ", difference " << numeric;
  }
}

// All of `gradient` in one difference of f: along a random direction of length 1.
inline void expect_directional_gradient(const std::string& name, const std::function<double()>& f,
                                        Vector& variable, const Vector& gradient,
                                        RandomSource& random) {
  ASSERT_EQ(variable.size(), gradient.size()) << name;
  Vector direction = random.vector(variable.size());
  double squares = 0.0;
  for (double d : direction) squares += d * d;
  double analytic = 0.0;
  for (size_t i = 0; i < direction.size(); ++i) {
    direction[i] /= std::sqrt(squares);
    analytic += direction[i] * gradient[i];
  }
  const Vector center = variable;
  double distance = 0.0;
  const auto along = [&] {
    for (size_t i = 0; i < variable.size(); ++i) variable[i] = center[i] + distance * direction[i];
    return f();
  };
  const double numeric = central_difference(along, distance);
  variable = center;
  EXPECT_LE(relative_error(analytic, numeric), kGradientTolerance)
      << name << ": gradient " << analytic << ", difference " << numeric;
}

}  // namespace ostinato::reference
