#include "core/init.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace ostinato {

namespace {

// Applies the reflection I - beta v v^T, v in rows [j, m), to columns [begin, n) of a [m,n] matrix.
// Both loops run along rows: no sum is reordered, and compilers can use vectors.
void reflect(std::vector<double>& matrix, int64_t m, int64_t n, int64_t j, int64_t begin,
             const std::vector<double>& v, double beta, std::vector<double>& product) {
  std::fill(product.begin() + begin, product.end(), 0.0);
  for (int64_t i = j; i < m; ++i) {
    const double* row = &matrix[i * n];
    for (int64_t k = begin; k < n; ++k) product[k] += v[i] * row[k];
  }
  for (int64_t i = j; i < m; ++i) {
    double* row = &matrix[i * n];
    const double factor = beta * v[i];
    for (int64_t k = begin; k < n; ++k) row[k] -= factor * product[k];
  }
}

// Rows (or, for a tall matrix, columns) orthonormal: Q of the QR decomposition of a Gaussian
// matrix by Householder reflections, each column times the sign of R's diagonal. With the signs Q
// is uniform over the orthogonal matrices (Mezzadri, Notices of the AMS 54(5), 2007). Sequential
// and in double, so that machines agree.
void orthogonal(float* w, int64_t rows, int64_t cols, const RandomStream& random) {
  const int64_t m = std::max(rows, cols), n = std::min(rows, cols);
  std::vector<double> a(m * n), reflectors(m * n), sign(n), beta(n), v(m), product(n);
  for (int64_t i = 0; i < m * n; ++i) a[i] = random.normal(static_cast<uint64_t>(i));
  for (int64_t j = 0; j < n; ++j) {
    double norm = 0;
    for (int64_t i = j; i < m; ++i) {
      v[i] = a[i * n + j];
      norm += v[i] * v[i];
    }
    norm = std::sqrt(norm);
    // R's diagonal gets the sign opposite to v's first element, so that nothing cancels.
    const double diagonal = v[j] >= 0 ? -norm : norm;
    sign[j] = diagonal >= 0 ? 1.0 : -1.0;
    v[j] -= diagonal;
    const double square = 2.0 * norm * std::abs(v[j]);
    beta[j] = square > 0 ? 2.0 / square : 0.0;
    reflect(a, m, n, j, j, v, beta[j], product);
    std::copy(v.begin() + j, v.end(), reflectors.begin() + j * m + j);
  }
  // Q is the product of the reflections times the first n unit vectors; reflection j leaves the
  // unit vectors before j alone.
  std::vector<double>& q = a;
  std::fill(q.begin(), q.end(), 0.0);
  for (int64_t k = 0; k < n; ++k) q[k * n + k] = 1.0;
  for (int64_t j = n - 1; j >= 0; --j) {
    std::copy(reflectors.begin() + j * m + j, reflectors.begin() + (j + 1) * m, v.begin() + j);
    reflect(q, m, n, j, j, v, beta[j], product);
  }
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t k = 0; k < n; ++k) {
      w[rows >= cols ? i * cols + k : k * cols + i] = static_cast<float>(sign[k] * q[i * n + k]);
    }
  }
}

}  // namespace

void initialize(const std::string& name, float* w, int64_t rows, int64_t cols, double scale,
                int64_t torch_fan, const RandomStream& random) {
  const int64_t n = rows * cols;
  const auto uniform = [&](double limit) { random.fill_uniform(w, n, -limit, limit); };
  const auto normal = [&](double deviation) { random.fill_normal(w, n, deviation); };
  const double fan_in = static_cast<double>(std::max<int64_t>(cols, 1));
  const double fan_sum = static_cast<double>(std::max<int64_t>(rows + cols, 1));
  if (name == "zeros") {
    std::fill_n(w, n, 0.0f);
  } else if (name == "ones") {
    std::fill_n(w, n, 1.0f);
  } else if (name == "identity") {
    for (int64_t i = 0; i < n; ++i) w[i] = i / cols == i % cols ? 1.0f : 0.0f;
  } else if (name == "uniform") {
    uniform(scale);
  } else if (name == "normal") {
    normal(scale);
  } else if (name == "glorotUniform") {
    uniform(std::sqrt(6.0 / fan_sum));
  } else if (name == "glorotNormal") {
    normal(std::sqrt(2.0 / fan_sum));
  } else if (name == "heUniform") {
    uniform(std::sqrt(6.0 / fan_in));
  } else if (name == "heNormal") {
    normal(std::sqrt(2.0 / fan_in));
  } else if (name == "orthogonal") {
    orthogonal(w, rows, cols, random);
  } else if (name == "torch") {
    uniform(1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(torch_fan, 1))));
  } else {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected the name of an initializer for \"initializer\" but received \"" + name +
                    "\" (string)");
  }
}

}  // namespace ostinato
