// Vectors and matrices of double with checked access, for code that is read more than it is run.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ostinato::reference {

using Vector = std::vector<double>;

// Throws std::invalid_argument unless a vector called `name` holds `expected` values.
inline void expect_size(const std::string& name, size_t received, size_t expected) {
  if (received == expected) return;
  throw std::invalid_argument("Expected " + std::to_string(expected) + " values for \"" + name +
                              "\" but received " + std::to_string(received) + " (vector)");
}

// Row-major [rows, cols].
class Matrix {
 public:
  Matrix() = default;
  Matrix(size_t rows, size_t cols) : rows_(rows), cols_(cols), values_(rows * cols, 0.0) {}
  Matrix(size_t rows, size_t cols, Vector values)
      : rows_(rows), cols_(cols), values_(std::move(values)) {
    expect_size("matrix", values_.size(), rows * cols);
  }

  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  const Vector& values() const& { return values_; }
  Vector& values() & { return values_; }
  Vector values() && { return std::move(values_); }

  double operator()(size_t row, size_t col) const { return values_[index(row, col)]; }
  double& operator()(size_t row, size_t col) { return values_[index(row, col)]; }

  Vector row(size_t r) const {
    Vector result(cols_);
    for (size_t c = 0; c < cols_; ++c) result[c] = (*this)(r, c);
    return result;
  }
  void set_row(size_t r, const Vector& values) {
    expect_size("row", values.size(), cols_);
    for (size_t c = 0; c < cols_; ++c) (*this)(r, c) = values[c];
  }

 private:
  size_t index(size_t row, size_t col) const {
    if (row >= rows_ || col >= cols_) {
      throw std::out_of_range("Expected an element of [" + std::to_string(rows_) + ", " +
                              std::to_string(cols_) + "] for \"matrix\" but received (" +
                              std::to_string(row) + ", " + std::to_string(col) + ") (index)");
    }
    return row * cols_ + col;
  }

  size_t rows_ = 0, cols_ = 0;
  Vector values_;
};

// A x: [rows].
inline Vector multiply(const Matrix& a, const Vector& x) {
  expect_size("x", x.size(), a.cols());
  Vector y(a.rows(), 0.0);
  for (size_t r = 0; r < a.rows(); ++r) {
    for (size_t c = 0; c < a.cols(); ++c) y[r] += a(r, c) * x[c];
  }
  return y;
}

// A^T x: [cols].
inline Vector multiply_transposed(const Matrix& a, const Vector& x) {
  expect_size("x", x.size(), a.rows());
  Vector y(a.cols(), 0.0);
  for (size_t r = 0; r < a.rows(); ++r) {
    for (size_t c = 0; c < a.cols(); ++c) y[c] += a(r, c) * x[r];
  }
  return y;
}

// A += u v^T.
inline void add_outer(Matrix& a, const Vector& u, const Vector& v) {
  expect_size("u", u.size(), a.rows());
  expect_size("v", v.size(), a.cols());
  for (size_t r = 0; r < a.rows(); ++r) {
    for (size_t c = 0; c < a.cols(); ++c) a(r, c) += u[r] * v[c];
  }
}

inline void add(Vector& target, const Vector& source) {
  expect_size("source", source.size(), target.size());
  for (size_t i = 0; i < target.size(); ++i) target[i] += source[i];
}

inline Vector sum(Vector a, const Vector& b) {
  add(a, b);
  return a;
}

}  // namespace ostinato::reference
