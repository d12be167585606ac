#include "core/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

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

// The first n columns of a product of reflections, [m,n]: reflection j turns the vector that
// column(j, v) writes to rows [j, m) of v into a multiple of unit vector j; reflected(j, v, beta)
// is told of it. Each column of the product gets the sign that the multiple has. Sequential and in
// double, so that machines agree.
template <class Column, class Reflected>
void multiply_reflections(std::vector<double>& q, int64_t m, int64_t n, const Column& column,
                          const Reflected& reflected) {
  std::vector<double> reflectors(m * n), sign(n), beta(n), v(m), product(n);
  for (int64_t j = 0; j < n; ++j) {
    column(j, v);
    double norm = 0;
    for (int64_t i = j; i < m; ++i) norm += v[i] * v[i];
    norm = std::sqrt(norm);
    // The multiple gets the sign opposite to v's first element, so that nothing cancels.
    const double diagonal = v[j] >= 0 ? -norm : norm;
    sign[j] = diagonal >= 0 ? 1.0 : -1.0;
    v[j] -= diagonal;
    const double square = 2.0 * norm * std::abs(v[j]);
    beta[j] = square > 0 ? 2.0 / square : 0.0;
    reflected(j, v, beta[j]);
    std::copy(v.begin() + j, v.end(), reflectors.begin() + j * m + j);
  }
  // Reflection j leaves the unit vectors before j alone.
  q.assign(m * n, 0.0);
  for (int64_t k = 0; k < n; ++k) q[k * n + k] = 1.0;
  for (int64_t j = n - 1; j >= 0; --j) {
    std::copy(reflectors.begin() + j * m + j, reflectors.begin() + (j + 1) * m, v.begin() + j);
    reflect(q, m, n, j, j, v, beta[j], product);
  }
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t k = 0; k < n; ++k) q[i * n + k] *= sign[k];
  }
}

// Q of the QR decomposition of a Gaussian matrix.
std::vector<double> decomposed(int64_t m, int64_t n, const RandomStream& random) {
  std::vector<double> a(m * n), q, product(n);
  for (int64_t i = 0; i < m * n; ++i) a[i] = random.normal(static_cast<uint64_t>(i));
  multiply_reflections(
      q, m, n,
      [&](int64_t j, std::vector<double>& v) {
        for (int64_t i = j; i < m; ++i) v[i] = a[i * n + j];
      },
      [&](int64_t j, const std::vector<double>& v, double beta) {
        reflect(a, m, n, j, j, v, beta, product);
      });
  return q;
}

// ---- products of rotations of groups of rows -------------------------------------------------

constexpr int kGroup = 16;
constexpr int kColumns = 16;  // of a panel that goes through all rounds while it is in a cache

// Vectors of the compiler's own: every machine that the core is built for has four floats.
using Lanes [[gnu::vector_size(16)]] = float;
constexpr int kLanes = 4, kVectors = kColumns / kLanes;

struct Rotation {
  int32_t rows[kGroup];
  float matrix[kGroup * kGroup];
};

// Rounds after which an element is the sum of some hundreds of products of random numbers.
int rounds_for(int64_t n) {
  constexpr int64_t kProducts = 256;
  int rounds = 0;
  for (int64_t reached = 1; reached < kProducts * n; reached *= kGroup) ++rounds;
  return rounds;
}

// A uniform orthogonal matrix [size, size] as a product of reflections of Gaussian vectors of
// falling length, which is what a QR decomposition comes down to (Stewart, SIAM Journal on
// Numerical Analysis 17(3), 1980). Normal numbers come from counter `first` on, a block of 8 to a
// vector.
void draw_uniform(std::vector<double>& q, int64_t size, uint64_t first,
                  const RandomStream& random) {
  multiply_reflections(
      q, size, size,
      [&](int64_t j, std::vector<double>& v) {
        double pair[2];
        for (int64_t i = j; i < size; ++i) {
          if ((i - j) % 2 == 0) {
            random.normal_pair(first + static_cast<uint64_t>((j * kGroup + i - j) / 2), pair);
          }
          v[i] = pair[(i - j) % 2];
        }
      },
      [](int64_t, const std::vector<double>&, double) {});
}

// All rotations, round by round. A group that is not full is filled up by rows beyond the matrix,
// on which it is the identity.
std::vector<Rotation> draw_rotations(int64_t m, const RandomStream& random) {
  const int64_t groups = (m + kGroup - 1) / kGroup;
  const int rounds = rounds_for(m);
  std::vector<Rotation> rotations(rounds * groups);
  std::vector<int32_t> order(m);
  std::vector<double> block;
  // Normal numbers take the counters from 0 on, uniform ones those from here on, four to each.
  constexpr uint64_t kShuffles = uint64_t{1} << 62;
  for (int round = 0; round < rounds; ++round) {
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = m - 1; i > 0; --i) {
      const double u = random.uniform(kShuffles + static_cast<uint64_t>(round * m + i));
      std::swap(order[i], order[static_cast<int64_t>(u * static_cast<double>(i + 1))]);
    }
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t number = round * groups + group;
      const int64_t size = std::min<int64_t>(kGroup, m - group * kGroup);
      draw_uniform(block, size, static_cast<uint64_t>(number) * kGroup * kGroup / 2, random);
      Rotation& rotation = rotations[number];
      for (int64_t i = 0; i < kGroup; ++i) {
        rotation.rows[i] =
            static_cast<int32_t>(i < size ? order[group * kGroup + i] : m + (i - size));
        for (int64_t k = 0; k < kGroup; ++k) {
          const bool inside = i < size && k < size;
          rotation.matrix[i * kGroup + k] = inside   ? static_cast<float>(block[i * size + k])
                                            : i == k ? 1.0f
                                                     : 0.0f;
        }
      }
    }
  }
  return rotations;
}

// Rows of a panel [.., kColumns] times the rotation, in place.
void rotate(const Rotation& rotation, float* panel) {
  Lanes x[kGroup][kVectors];
  for (int k = 0; k < kGroup; ++k) {
    std::memcpy(x[k], panel + int64_t{rotation.rows[k]} * kColumns, sizeof(x[k]));
  }
  for (int i = 0; i < kGroup; i += 2) {
    const float* g = rotation.matrix + i * kGroup;
    Lanes sum[2][kVectors] = {};
    for (int k = 0; k < kGroup; ++k) {
      for (int v = 0; v < kVectors; ++v) {
        sum[0][v] += g[k] * x[k][v];
        sum[1][v] += g[kGroup + k] * x[k][v];
      }
    }
    for (int r = 0; r < 2; ++r) {
      std::memcpy(panel + int64_t{rotation.rows[i + r]} * kColumns, sum[r], sizeof(sum[r]));
    }
  }
}

void rotated(float* w, int64_t rows, int64_t cols, double gain, const RandomStream& random) {
  const int64_t m = std::max(rows, cols), n = std::min(rows, cols);
  const bool tall = rows >= cols;
  const std::vector<Rotation> rotations = draw_rotations(m, random);
  std::vector<float> panel((m + kGroup) * kColumns);
  for (int64_t first = 0; first < n; first += kColumns) {
    const int64_t count = std::min<int64_t>(kColumns, n - first);
    std::fill(panel.begin(), panel.end(), 0.0f);
    for (int64_t k = 0; k < count; ++k) panel[(first + k) * kColumns + k] = 1.0f;
    const auto first_round = static_cast<size_t>((m + kGroup - 1) / kGroup);
    for (size_t r = 0; r < rotations.size(); ++r) {
      // In the first round most rows are still zero.
      const bool zero =
          r < first_round &&
          std::none_of(std::begin(rotations[r].rows), std::end(rotations[r].rows),
                       [&](int32_t row) { return row >= first && row < first + count; });
      if (!zero) rotate(rotations[r], panel.data());
    }
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t k = 0; k < count; ++k) {
        w[tall ? i * cols + first + k : (first + k) * cols + i] =
            static_cast<float>(gain * panel[i * kColumns + k]);
      }
    }
  }
}

}  // namespace

void orthogonal(float* w, int64_t rows, int64_t cols, double gain, const RandomStream& random) {
  const int64_t m = std::max(rows, cols), n = std::min(rows, cols);
  if (n > kLargestUniformOrthogonal) return rotated(w, rows, cols, gain, random);
  const std::vector<double> q = decomposed(m, n, random);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t k = 0; k < n; ++k) {
      w[rows >= cols ? i * cols + k : k * cols + i] = static_cast<float>(gain * q[i * n + k]);
    }
  }
}

}  // namespace ostinato
