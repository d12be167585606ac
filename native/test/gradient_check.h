// Expectations that hold hand-written gradients against finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "reference/finite_differences.h"
#include "reference/matrix.h"
#include "reference/random_problem.h"

namespace ostinato::reference {

inline constexpr double kGradientTolerance = 1e-6;

// The function whose gradient is `a`, as one of `b`.
inline double dot(const Vector& a, const Vector& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += a[i] * b.at(i);
  return total;
}

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

// A variable of a function, and the gradient that was computed for it.
struct Differentiated {
  std::string name;
  Vector* variable;
  const Vector* gradient;
};

// All gradients in one difference of f: along a random direction of length 1 in the space of all
// variables together.
inline void expect_directional_gradient(const std::function<double()>& f,
                                        const std::vector<Differentiated>& all,
                                        RandomSource& random) {
  std::vector<Vector> centers, directions;
  double squares = 0.0;
  for (const Differentiated& one : all) {
    ASSERT_EQ(one.variable->size(), one.gradient->size()) << one.name;
    centers.push_back(*one.variable);
    directions.push_back(random.vector(one.variable->size()));
    for (double d : directions.back()) squares += d * d;
  }
  double analytic = 0.0;
  for (size_t k = 0; k < all.size(); ++k) {
    for (size_t i = 0; i < directions[k].size(); ++i) {
      directions[k][i] /= std::sqrt(squares);
      analytic += directions[k][i] * (*all[k].gradient)[i];
    }
  }
  double distance = 0.0;
  const auto move = [&] {
    for (size_t k = 0; k < all.size(); ++k) {
      for (size_t i = 0; i < directions[k].size(); ++i) {
        (*all[k].variable)[i] = centers[k][i] + distance * directions[k][i];
      }
    }
  };
  const double numeric = central_difference(
      [&] {
        move();
        return f();
      },
      distance);
  move();  // back to the center
  EXPECT_LE(relative_error(analytic, numeric), kGradientTolerance)
      << "gradient " << analytic << ", difference " << numeric;
}

}  // namespace ostinato::reference
