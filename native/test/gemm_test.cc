#include "core/gemm.h"

#include <gtest/gtest.h>

#include <numeric>
#include <utility>

#include "test/core_problem.h"

namespace ostinato::test {
namespace {

class Gemm : public EveryIsa {};
OSTINATO_EVERY_ISA(Gemm);

struct Size {
  int64_t m, n, k;
};

reference::Vector product(const reference::Matrix& a, const reference::Matrix& b,
                          const reference::Vector& bias, double old) {
  reference::Vector c;
  for (size_t i = 0; i < a.rows(); ++i) {
    for (size_t j = 0; j < b.cols(); ++j) {
      double sum = old + (bias.empty() ? 0.0 : bias[j]);
      for (size_t k = 0; k < a.cols(); ++k) sum += a(i, k) * b(k, j);
      c.push_back(sum);
    }
  }
  return c;
}

reference::Matrix transpose(const reference::Matrix& a) {
  reference::Matrix t(a.cols(), a.rows());
  for (size_t i = 0; i < a.rows(); ++i) {
    for (size_t j = 0; j < a.cols(); ++j) t(j, i) = a(i, j);
  }
  return t;
}

std::vector<float> flat(const reference::Matrix& a) {
  return {a.values().begin(), a.values().end()};
}

TEST_P(Gemm, MultipliesAnySizeOnAnyNumberOfThreads) {
  const int64_t w = kernels().gemm_width, r = kernels().gemm_rows;
  reference::RandomSource random(3);
  for (const Size& size :
       {Size{1, 1, 1}, Size{r, w, 3}, Size{r + 1, w + 1, 7}, Size{1, 5 * w + 3, 40},
        Size{2 * r - 1, w - 1, 600}, Size{5 * r + 2, 3, 1}, Size{3, w, 0},
        Size{200, 3 * w + 5, 129}, Size{2, 40 * w + 1, 700},
        // Last panels of one and of two vectors, with fewer and more rows than their tiles have.
        Size{19, kernels().width, 520}, Size{5, w + kernels().width + 1, 33}}) {
    const reference::Matrix a = random.matrix(size.m, size.k), b = random.matrix(size.k, size.n);
    const reference::Vector bias = random.vector(size.n);
    const std::vector<float> bias_floats(bias.begin(), bias.end());
    const Rows a_rows(a);
    for (const bool transposed : {false, true}) {
      const std::vector<float> source = flat(transposed ? transpose(b) : b);
      const int64_t ld = transposed ? size.k : size.n;
      PackedMatrix packed, packed_by_three;
      packed.pack(kernels(), source.data(), ld, transposed, size.k, size.n);
      packed_by_three.pack(kernels(), source.data(), ld, transposed, size.k, size.n, nullptr, -1,
                           3);
      std::vector<std::vector<uint32_t>> results;
      for (const int threads : {1, 2, 7}) {
        Rows c(size.m, size.n);
        multiply(kernels(), threads, a_rows.view, threads == 2 ? packed_by_three : packed,
                 bias_floats.data(), false, c.view);
        OSTINATO_EXPECT_CLOSE(vector_of(c.view), product(a, b, bias, 0), 2e-6);
        for (int64_t i = 0; i < size.m; ++i) {
          for (int64_t j = size.n; j < c.view.ld; ++j) EXPECT_TRUE(std::isnan(c.view.row(i)[j]));
        }
        multiply(kernels(), threads, a_rows.view, packed, nullptr, false, c.view);
        OSTINATO_EXPECT_CLOSE(vector_of(c.view), product(a, b, {}, 0), 2e-6);
        for (int64_t i = 0; i < size.m; ++i) std::fill_n(c.view.row(i), size.n, 0.5f);
        multiply(kernels(), threads, a_rows.view, packed, bias_floats.data(), true, c.view);
        OSTINATO_EXPECT_CLOSE(vector_of(c.view), product(a, b, bias, 0.5), 2e-6);
        results.emplace_back();
        for (int64_t i = 0; i < size.m; ++i) {
          const auto bits = bits_of(c.view.row(i), size.n);
          results.back().insert(results.back().end(), bits.begin(), bits.end());
        }
      }
      EXPECT_EQ(results[0], results[1]);
      EXPECT_EQ(results[0], results[2]);
    }
  }
}

// The last size is one that is written past the caches.
TEST_P(Gemm, PacksEveryValueIntoItsPanel) {
  const int64_t width = kernels().gemm_width;
  for (const auto& [n, k] :
       {std::pair<int64_t, int64_t>{1, 1}, {3 * width + 5, 37}, {1029, 1027}}) {
    const int64_t panels = (n + width - 1) / width;
    std::vector<float> source(n * k);
    std::iota(source.begin(), source.end(), 1.0f);
    for (const bool transposed : {false, true}) {
      // The rows of the source in the opposite order, one of them left out.
      std::vector<int32_t> map(transposed ? n : k);
      std::iota(map.rbegin(), map.rend(), 0);
      map[map.size() / 2] = -1;
      PackedMatrix packed;
      packed.pack(kernels(), source.data(), transposed ? k : n, transposed, k, n, map.data());
      int64_t wrong = 0;
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t j = 0; j < panels * width; ++j) {
          const int64_t row = j >= n ? -1 : map[transposed ? j : i];
          const float want = row < 0      ? 0.0f
                             : transposed ? source[row * k + i]
                                          : source[row * n + j];
          wrong += packed.data()[(j / width * k + i) * width + j % width] != want;
        }
      }
      EXPECT_EQ(wrong, 0) << n << " x " << k << (transposed ? ", transposed" : "");
    }
  }
}

TEST_P(Gemm, PacksThroughAMap) {
  reference::RandomSource random(4);
  const reference::Matrix source = random.matrix(3, 5), a = random.matrix(2, 5);
  const std::vector<int32_t> map{2, -1, 0, 1, 2};
  PackedMatrix packed;
  packed.pack(kernels(), flat(source).data(), 5, true, 5, 5, map.data());
  Rows c(2, 5);
  multiply(kernels(), 1, Rows(a).view, packed, nullptr, false, c.view);
  reference::Matrix b(5, 5);
  for (size_t n = 0; n < 5; ++n) {
    for (size_t k = 0; k < 5; ++k) b(k, n) = map[n] < 0 ? 0.0 : source(map[n], k);
  }
  OSTINATO_EXPECT_CLOSE(vector_of(c.view), product(a, b, {}, 0), 2e-6);
}

// The weights of a layer as they lie in the table of parameters: runs of V rows, in another order.
TEST_P(Gemm, ReadsMappedRowsInPlaceWithTheSameBits) {
  const int64_t v = kernels().width, w = kernels().gemm_width, k = 40 * v;
  reference::RandomSource random(7);
  const reference::Matrix source = random.matrix(k, 2 * w), a = random.matrix(23, k);
  std::vector<int32_t> map(k);
  for (int64_t i = 0; i < k; ++i) {
    map[i] = static_cast<int32_t>((i / v + 13) * 3 % (k / v) * v + i % v);
  }
  const Rows a_rows(a);
  const std::vector<float> values = flat(source);
  PackedMatrix packed;
  packed.pack(kernels(), values.data(), 2 * w, false, k, 2 * w, map.data());
  const MappedRows mapped{{const_cast<float*>(values.data()), k, 2 * w, 2 * w}, map.data(), k};
  for (const bool accumulate : {false, true}) {
    for (const int threads : {1, 2, 7}) {
      Rows want(23, 2 * w), got(23, 2 * w);
      for (int64_t i = 0; i < 23; ++i) {
        std::fill_n(want.view.row(i), 2 * w, 0.5f);
        std::fill_n(got.view.row(i), 2 * w, 0.5f);
      }
      multiply(kernels(), 1, a_rows.view, packed, nullptr, accumulate, want.view);
      multiply(kernels(), threads, a_rows.view, mapped, accumulate, got.view);
      EXPECT_EQ(vector_of(got.view), vector_of(want.view));
    }
  }
}

// Two products of one A, the second of its later rows only, and the sums of A's columns.
TEST_P(Gemm, MultipliesByTheTranspose) {
  const int64_t w = kernels().gemm_tn_width, r = kernels().gemm_tn_rows, v = kernels().width;
  reference::RandomSource random(5);
  for (const Size& size :
       {Size{1, 1, 1}, Size{r + 1, w + 1, 300}, Size{3, 2, 0}, Size{90 * r, 5, 9}, Size{5, v, 40},
        Size{2, 30 * w + 7, 513}, Size{150, w + 4 * v - 1, 700}, Size{66 * r, 2 * v, 1100}}) {
    const int64_t first = size.k / 3;
    const reference::Matrix a = random.matrix(size.k, size.m), b = random.matrix(size.k, size.n),
                            b2 = random.matrix(size.k - first, 3);
    const reference::Matrix later = random.matrix(size.k - first, size.m);
    reference::Matrix a_all = a;
    for (int64_t k = first; k < size.k; ++k) {
      for (int64_t m = 0; m < size.m; ++m) a_all(k, m) = later(k - first, m);
    }
    reference::Vector column_sums(size.m, 0.25);
    for (int64_t k = 0; k < size.k; ++k) {
      for (int64_t m = 0; m < size.m; ++m) column_sums[m] += a_all(k, m);
    }
    std::vector<std::vector<uint32_t>> results;
    for (const int threads : {1, 2, 7}) {
      AlignedBuffer scratch;
      scratch.reserve(multiply_tn_scratch(kernels(), threads));
      const Rows a_rows(a_all), b_rows(b), b2_rows(b2);
      std::vector<float> c(size.m * size.n, 0.25f), c2(size.m * 3, 0.25f), sums(size.m + 1, 0.25f);
      const auto multiply_all = [&](bool accumulate) {
        multiply_tn(kernels(), threads, a_rows.view,
                    {{b_rows.view, c.data(), size.n}, {b2_rows.view, c2.data(), 3, first}}, nullptr,
                    accumulate, sums.data(), scratch.data());
      };
      multiply_all(true);
      OSTINATO_EXPECT_CLOSE(reference::Vector(c.begin(), c.end()),
                            product(transpose(a_all), b, {}, 0.25), 2e-6);
      OSTINATO_EXPECT_CLOSE(reference::Vector(c2.begin(), c2.end()),
                            product(transpose(later), b2, {}, 0.25), 2e-6);
      OSTINATO_EXPECT_CLOSE(reference::Vector(sums.begin(), sums.end() - 1), column_sums, 1e-5);
      EXPECT_EQ(sums.back(), 0.25f);
      multiply_all(false);
      OSTINATO_EXPECT_CLOSE(reference::Vector(c.begin(), c.end()),
                            product(transpose(a_all), b, {}, 0), 2e-6);
      OSTINATO_EXPECT_CLOSE(reference::Vector(c2.begin(), c2.end()),
                            product(transpose(later), b2, {}, 0), 2e-6);
      results.push_back(bits_of(c.data(), size.m * size.n));
      const auto sum_bits = bits_of(sums.data(), size.m);
      results.back().insert(results.back().end(), sum_bits.begin(), sum_bits.end());
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

TEST_P(Gemm, TakesRowsOfATransposedProductFromWhereTheyLie) {
  constexpr int64_t kRows = 700, kCols = 40;  // more than a block of rows, two panels of columns
  reference::RandomSource random(7);
  const reference::Matrix a = random.matrix(kRows, 160), b = random.matrix(kRows, kCols);
  const Rows a_rows(a), b_rows(b);
  reference::Matrix mirrored = b;
  for (int64_t k = 0; k < kRows; ++k) {
    for (int64_t n = 0; n < kCols; ++n) mirrored(k, n) = b(kRows - 1 - k, n);
  }
  const Rows mirrored_rows(mirrored);
  std::vector<const float*> places;
  for (int64_t k = kRows; k-- > 0;) places.push_back(mirrored_rows.view.row(k));
  AlignedBuffer scratch;
  scratch.reserve(multiply_tn_scratch(kernels(), 2));
  std::vector<float> c(160 * kCols), from_places(160 * kCols);
  multiply_tn(kernels(), 2, a_rows.view, {{b_rows.view, c.data(), kCols}}, nullptr, false, nullptr,
              scratch.data());
  const Matrix shape{nullptr, kRows, kCols, 0};
  multiply_tn(kernels(), 2, a_rows.view, {{shape, from_places.data(), kCols, 0, places.data()}},
              nullptr, false, nullptr, scratch.data());
  EXPECT_EQ(bits_of(c.data(), 160 * kCols), bits_of(from_places.data(), 160 * kCols));
}

TEST_P(Gemm, PutsRowsOfATransposedProductWhereTheMapSays) {
  reference::RandomSource random(6);
  const reference::Matrix a = random.matrix(8, 3), b = random.matrix(8, 2);
  const std::vector<int32_t> map{1, -1, 0};
  AlignedBuffer scratch;
  scratch.reserve(multiply_tn_scratch(kernels(), 1));
  std::vector<float> c(4, 0.0f), sums(2, 0.0f);
  multiply_tn(kernels(), 1, Rows(a).view, {{Rows(b).view, c.data(), 2}}, map.data(), true,
              sums.data(), scratch.data());
  const reference::Vector full = product(transpose(a), b, {}, 0);
  OSTINATO_EXPECT_CLOSE(reference::Vector(c.begin(), c.end()),
                        (reference::Vector{full[4], full[5], full[0], full[1]}), 2e-6);
  reference::Vector want(2, 0.0);
  for (size_t k = 0; k < 8; ++k) want[0] += a(k, 2), want[1] += a(k, 0);
  OSTINATO_EXPECT_CLOSE(reference::Vector(sums.begin(), sums.end()), want, 2e-6);
}

TEST(Threads, SmallWorkStaysOnOne) {
  EXPECT_EQ(threads_for(0, 8), 1);
  EXPECT_EQ(threads_for(kWorkPerThread, 8), 1);
  EXPECT_EQ(threads_for(3 * kWorkPerThread, 8), 3);
  EXPECT_EQ(threads_for(100 * kWorkPerThread, 8), 8);
  EXPECT_EQ(threads_for(100 * kWorkPerThread, 0), 1);
}

}  // namespace
}  // namespace ostinato::test
