// Rows of floats for tests of kernels: whatever a kernel must not touch is guarded.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "reference/matrix.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#define OSTINATO_GUARD_PAGE 1
#endif

namespace ostinato::test {

// Memory of exactly `count` floats. Where the system can protect pages, reading or writing one past
// the end ends the test run.
class GuardedFloats {
 public:
  explicit GuardedFloats(size_t count) {
#if defined(OSTINATO_GUARD_PAGE)
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t used = (count * sizeof(float) + page - 1) / page * page;
    size_ = used + page;
    base_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    if (mprotect(static_cast<char*>(base_) + used, page, PROT_NONE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<float*>(static_cast<char*>(base_) + used) - count;
#else
    memory_.resize(count);
    data_ = memory_.data();
#endif
  }
  ~GuardedFloats() {
#if defined(OSTINATO_GUARD_PAGE)
    munmap(base_, size_);
#endif
  }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;

  float* data() const { return data_; }

 private:
#if defined(OSTINATO_GUARD_PAGE)
  void* base_ = nullptr;
  size_t size_ = 0;
#else
  std::vector<float> memory_;
#endif
  float* data_ = nullptr;
};

// [rows, cols] with a leading dimension beyond cols. The padding holds a NaN of a bit pattern of
// its own: a result is NaN if it was used, and `padding_untouched` is false if it was overwritten.
class GuardedRows {
 public:
  GuardedRows(size_t rows, size_t cols, size_t padding = 5)
      : rows_(rows), cols_(cols), ld_(cols + padding), memory_((rows - 1) * ld_ + cols) {
    for (size_t i = 0; i < (rows_ - 1) * ld_ + cols_; ++i) {
      std::memcpy(memory_.data() + i, &kCanary, sizeof kCanary);
    }
  }
  explicit GuardedRows(const reference::Matrix& values, size_t padding = 5)
      : GuardedRows(values.rows(), values.cols(), padding) {
    for (size_t r = 0; r < rows_; ++r) {
      for (size_t c = 0; c < cols_; ++c) (*this)(r, c) = static_cast<float>(values(r, c));
    }
  }

  float* data() const { return memory_.data(); }
  float* row(size_t r) const { return memory_.data() + r * ld_; }
  float& operator()(size_t r, size_t c) const { return row(r)[c]; }
  int64_t ld() const { return static_cast<int64_t>(ld_); }
  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }

  // All values, bit by bit.
  std::vector<uint32_t> bits() const {
    std::vector<uint32_t> result(rows_ * cols_);
    for (size_t r = 0; r < rows_; ++r) {
      std::memcpy(result.data() + r * cols_, row(r), cols_ * sizeof(float));
    }
    return result;
  }

  bool padding_untouched() const {
    for (size_t r = 0; r + 1 < rows_; ++r) {
      for (size_t c = cols_; c < ld_; ++c) {
        if (std::memcmp(row(r) + c, &kCanary, sizeof kCanary) != 0) return false;
      }
    }
    return true;
  }

 private:
  static constexpr uint32_t kCanary = 0x7fc0cafe;
  size_t rows_, cols_, ld_;
  GuardedFloats memory_;
};

// Every value within `tolerance` of the wanted one, relative to what is wanted or to 1, whichever
// is greater.
inline ::testing::AssertionResult close(const GuardedRows& got, const reference::Matrix& want,
                                        double tolerance) {
  if (!got.padding_untouched()) return ::testing::AssertionFailure() << "padding was written";
  for (size_t r = 0; r < want.rows(); ++r) {
    for (size_t c = 0; c < want.cols(); ++c) {
      const double error = std::abs(got(r, c) - want(r, c));
      if (error <= tolerance * std::max(1.0, std::abs(want(r, c)))) continue;
      return ::testing::AssertionFailure()
             << "(" << r << ", " << c << "): " << got(r, c) << " instead of " << want(r, c);
    }
  }
  return ::testing::AssertionSuccess();
}

// Edges of every vector width (4, 8, 16) and of several vectors.
inline std::vector<size_t> edge_counts() {
  return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130};
}

}  // namespace ostinato::test
