// Kernels of activations, merging and flat buffers against the reference.
#include <gtest/gtest.h>

#include <limits>

#include "core/dispatch.h"
#include "kernels/kernels.h"
#include "reference/dense.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr Activation kActivations[] = {
    Activation::kLinear,  Activation::kTanh, Activation::kRelu, Activation::kSigmoid,
    Activation::kSoftmax, Activation::kGelu, Activation::kSilu};

reference::Activation reference_of(Activation kind) {
  switch (kind) {
    case Activation::kTanh:
      return reference::Activation::kTanh;
    case Activation::kRelu:
      return reference::Activation::kRelu;
    case Activation::kSigmoid:
      return reference::Activation::kSigmoid;
    case Activation::kSoftmax:
      return reference::Activation::kSoftmax;
    case Activation::kGelu:
      return reference::Activation::kGelu;
    case Activation::kSilu:
      return reference::Activation::kSilu;
    case Activation::kLinear:
      break;
  }
  return reference::Activation::kLinear;
}

class Elementwise : public EveryIsa {
 protected:
  void activate(Activation kind, const GuardedRows& x, const GuardedRows& y) const {
    kernels().activation({kind, static_cast<int64_t>(x.rows()), static_cast<int64_t>(x.cols()),
                          x.data(), x.ld(), y.data(), y.ld()});
  }
  void activate_backward(Activation kind, const GuardedRows& x, const GuardedRows& y,
                         const GuardedRows& dy, const GuardedRows& dx) const {
    kernels().activation_grad({kind, static_cast<int64_t>(x.rows()), static_cast<int64_t>(x.cols()),
                               x.data(), x.ld(), y.data(), y.ld(), dy.data(), dy.ld(), dx.data(),
                               dx.ld()});
  }
  float activate_one(Activation kind, float x) const {
    const GuardedRows row(1, 1);
    row(0, 0) = x;
    activate(kind, row, row);
    return row(0, 0);
  }
};
OSTINATO_EVERY_ISA(Elementwise);

TEST_P(Elementwise, ActivationsFollowTheReference) {
  reference::RandomSource random(1);
  for (const Activation kind : kActivations) {
    for (const size_t cols : edge_counts()) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << ", " << cols << " columns");
      const size_t rows = cols % 2 == 0 ? 3 : 1;
      const reference::Matrix x = random.matrix(rows, cols, -6, 6);
      const reference::Matrix dy = random.matrix(rows, cols, -2, 2);
      reference::Matrix want_y(rows, cols), want_dx(rows, cols);
      for (size_t r = 0; r < rows; ++r) {
        want_y.set_row(r, reference::activate(reference_of(kind), x.row(r)));
        want_dx.set_row(r, reference::activate_backward(reference_of(kind), x.row(r), dy.row(r)));
      }
      const GuardedRows kernel_x(x), kernel_dy(dy, 9), y(rows, cols, 3), dx(rows, cols);
      activate(kind, kernel_x, y);
      EXPECT_TRUE(close(y, want_y, 2e-6));
      activate_backward(kind, kernel_x, y, kernel_dy, dx);
      EXPECT_TRUE(close(dx, want_dx, 4e-6));
    }
  }
}

TEST_P(Elementwise, ActivationsInPlaceAndByRowsGiveTheSameBits) {
  reference::RandomSource random(2);
  for (const Activation kind : kActivations) {
    SCOPED_TRACE(static_cast<int>(kind));
    constexpr size_t kRows = 5, kCols = 37;
    const GuardedRows x(random.matrix(kRows, kCols, -6, 6)), y(kRows, kCols), dx(kRows, kCols);
    const reference::Matrix upstream = random.matrix(kRows, kCols);
    const GuardedRows dy(upstream);
    activate(kind, x, y);
    activate_backward(kind, x, y, dy, dx);

    const GuardedRows in_place(kRows, kCols), by_rows(kRows, kCols), dx_in_place(upstream);
    for (size_t r = 0; r < kRows; ++r) {
      std::copy_n(x.row(r), kCols, in_place.row(r));
      kernels().activation({kind, 1, kCols, x.row(r), 1, by_rows.row(r), 1});
    }
    activate(kind, in_place, in_place);
    activate_backward(kind, x, y, dx_in_place, dx_in_place);
    EXPECT_EQ(in_place.bits(), y.bits());
    EXPECT_EQ(by_rows.bits(), y.bits());
    EXPECT_EQ(dx_in_place.bits(), dx.bits());
  }
}

TEST_P(Elementwise, ActivationsOfNanAreNan) {
  for (const Activation kind : kActivations) {
    for (const size_t cols : {1, 4, 5, 17, 40}) {
      for (size_t place = 0; place < cols; ++place) {
        SCOPED_TRACE(testing::Message()
                     << static_cast<int>(kind) << ", " << place << " of " << cols);
        const GuardedRows x(1, cols), y(1, cols), dy(1, cols), dx(1, cols);
        std::fill_n(x.row(0), cols, 0.5f);
        std::fill_n(dy.row(0), cols, 1.0f);
        x(0, place) = kNan;
        activate(kind, x, y);
        activate_backward(kind, x, y, dy, dx);
        for (size_t c = 0; c < cols; ++c) {
          const bool poisoned = c == place || kind == Activation::kSoftmax;
          EXPECT_EQ(std::isnan(y(0, c)), poisoned);
          // The gradient of a linear activation does not look at its argument.
          EXPECT_EQ(std::isnan(dx(0, c)), poisoned && kind != Activation::kLinear);
        }
        x(0, place) = 0.5f;
        dy(0, place) = kNan;
        activate(kind, x, y);
        activate_backward(kind, x, y, dy, dx);
        for (size_t c = 0; c < cols; ++c) {
          EXPECT_EQ(std::isnan(dx(0, c)), c == place || kind == Activation::kSoftmax);
        }
      }
    }
  }
}

TEST_P(Elementwise, ActivationsAtTheEndsOfTheRange) {
  for (const float x : {kInf, 1e30f}) {
    EXPECT_EQ(activate_one(Activation::kTanh, x), 1.0f);
    EXPECT_EQ(activate_one(Activation::kTanh, -x), -1.0f);
    EXPECT_EQ(activate_one(Activation::kSigmoid, x), 1.0f);
    EXPECT_EQ(activate_one(Activation::kSigmoid, -x), 0.0f);
    for (const Activation kind : {Activation::kRelu, Activation::kGelu, Activation::kSilu}) {
      EXPECT_EQ(activate_one(kind, x), x);
      EXPECT_EQ(activate_one(kind, -x), 0.0f);
    }
  }
}

TEST_P(Elementwise, SoftmaxNeitherOverflowsNorCountsWhatIsRuledOut) {
  for (const size_t cols : edge_counts()) {
    const GuardedRows x(1, cols), y(1, cols);
    for (size_t c = 0; c < cols; ++c) x(0, c) = c % 2 == 0 ? 3e38f : -kInf;
    activate(Activation::kSoftmax, x, y);
    const auto even = static_cast<float>((cols + 1) / 2);
    for (size_t c = 0; c < cols; ++c) {
      EXPECT_FLOAT_EQ(y(0, c), c % 2 == 0 ? 1.0f / even : 0.0f) << c << " of " << cols;
    }
  }
}

TEST_P(Elementwise, CombineIsExact) {
  reference::RandomSource random(3);
  for (const size_t cols : edge_counts()) {
    for (const Combine kind : {Combine::kSum, Combine::kMul, Combine::kAve}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << ", " << cols << " columns");
      constexpr size_t kRows = 2;
      const GuardedRows a(random.matrix(kRows, cols), 1), b(random.matrix(kRows, cols), 2);
      const GuardedRows dy(random.matrix(kRows, cols), 3), y(kRows, cols, 4);
      const GuardedRows da(kRows, cols, 5), db(kRows, cols, 6);
      CombineArgs args{};
      args.kind = kind;
      args.rows = kRows;
      args.cols = static_cast<int64_t>(cols);
      args.a = a.data(), args.a_ld = a.ld();
      args.b = b.data(), args.b_ld = b.ld();
      args.y = y.data(), args.y_ld = y.ld();
      kernels().combine(args);
      args.y = nullptr;
      args.dy = dy.data(), args.dy_ld = dy.ld();
      args.da = da.data(), args.da_ld = da.ld();
      args.db = db.data(), args.db_ld = db.ld();
      kernels().combine_grad(args);
      for (size_t r = 0; r < kRows; ++r) {
        for (size_t c = 0; c < cols; ++c) {
          const float sum = a(r, c) + b(r, c), product = a(r, c) * b(r, c);
          EXPECT_EQ(y(r, c), kind == Combine::kSum   ? sum
                             : kind == Combine::kMul ? product
                                                     : 0.5f * sum);
          const float share = kind == Combine::kAve ? 0.5f : 1.0f;
          EXPECT_EQ(da(r, c), dy(r, c) * (kind == Combine::kMul ? b(r, c) : share));
          EXPECT_EQ(db(r, c), dy(r, c) * (kind == Combine::kMul ? a(r, c) : share));
        }
      }
      EXPECT_TRUE(y.padding_untouched() && da.padding_untouched() && db.padding_untouched());
      // The gradient of one side may take the place of dy.
      args.da = dy.data(), args.da_ld = dy.ld();
      kernels().combine_grad(args);
      EXPECT_EQ(dy.bits(), da.bits());
    }
  }
}

TEST_P(Elementwise, AddAndScaleAreExact) {
  reference::RandomSource random(4);
  for (const size_t n : edge_counts()) {
    const GuardedRows dst(random.matrix(1, n)), src(random.matrix(1, n)), before(1, n);
    std::copy_n(dst.row(0), n, before.row(0));
    kernels().add(dst.data(), src.data(), static_cast<int64_t>(n));
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(dst(0, i), before(0, i) + src(0, i));
    std::copy_n(dst.row(0), n, before.row(0));
    kernels().scale(dst.data(), 0.3f, static_cast<int64_t>(n));
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(dst(0, i), before(0, i) * 0.3f);
  }
  float untouched = 2.0f;
  kernels().add(&untouched, &untouched, 0);
  kernels().scale(&untouched, 5.0f, 0);
  EXPECT_EQ(untouched, 2.0f);
}

TEST_P(Elementwise, SumOfSquaresIsTheSameOnEveryInstructionSet) {
  reference::RandomSource random(5);
  EXPECT_EQ(kernels().sum_squares(nullptr, 0), 0.0);
  for (const size_t n : {1, 2, 7, 15, 16, 17, 31, 33, 100, 1000, 8192, 8193}) {
    const GuardedRows x(random.matrix(1, n, -3, 3));
    double want = 0;
    for (size_t i = 0; i < n; ++i) want += static_cast<double>(x(0, i)) * x(0, i);
    const double got = kernels().sum_squares(x.data(), static_cast<int64_t>(n));
    EXPECT_NEAR(got, want, 1e-13 * want) << n;
    for (const Kernels* other : available_kernels()) {
      EXPECT_EQ(got, other->sum_squares(x.data(), static_cast<int64_t>(n))) << other->name;
    }
    for (const size_t place : {size_t{0}, n / 2, n - 1}) {
      const float saved = x(0, place);
      x(0, place) = 1e30f;  // its square has no float
      EXPECT_NEAR(kernels().sum_squares(x.data(), static_cast<int64_t>(n)), 1e60, 1e54);
      x(0, place) = -kInf;
      EXPECT_EQ(kernels().sum_squares(x.data(), static_cast<int64_t>(n)), kInf);
      x(0, place) = kNan;
      EXPECT_TRUE(std::isnan(kernels().sum_squares(x.data(), static_cast<int64_t>(n))));
      x(0, place) = saved;
    }
  }
}

}  // namespace
}  // namespace ostinato::test
