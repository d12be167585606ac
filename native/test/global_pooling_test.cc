// Pooling over time: the reference against finite differences, kernels and layers against it.
#include "reference/global_pooling.h"

#include <gtest/gtest.h>

#include "core/executor.h"
#include "core/session.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"
#include "test/guarded_rows.h"

namespace ostinato::test {
namespace {

using reference::dot;
using reference::Gathered;
using reference::Vector;

constexpr double kGlobalPoolingTolerance = 1e-5;
const char* const kTypes[] = {"globalAveragePooling1d", "globalMaxPooling1d"};

TEST(GlobalPoolingReference, GradientsMatchDifferences) {
  reference::RandomSource random(1);
  for (const bool maximum : {false, true}) {
    for (const double before : {0.0, 3.0}) {
      std::vector<Vector> x{random.vector(6), random.vector(6), random.vector(6)};
      Gathered first{random.vector(6), before};
      const Vector dy = random.vector(6);
      const Gathered dlast{random.vector(6), 0.7};
      const auto f = [&] {
        const auto result = pool(maximum, first, x);
        return dot(dy, result.y) + dot(dlast.values, result.last.values) +
               dlast.count * result.last.count;
      };
      const auto d = pool_backward(maximum, first, x, dy, dlast);
      for (size_t t = 0; t < 3; ++t) reference::expect_gradient("x", f, x[t], d.x[t]);
      if (before == 0) continue;  // a count of zero has no derivative, and nothing goes before it
      reference::expect_gradient("first", f, first.values, d.first.values);
      EXPECT_NEAR(d.first.count, reference::central_difference(f, first.count), 1e-8);
    }
  }
}

class GlobalPoolingTest : public EveryIsa {};
OSTINATO_EVERY_ISA(GlobalPoolingTest);

TEST_P(GlobalPoolingTest, MaximaTouchOnlyTheirRowsAndKeepNan) {
  reference::RandomSource random(2);
  for (const size_t cols : edge_counts()) {
    const reference::Matrix x = random.matrix(2, cols), other = random.matrix(2, cols);
    reference::Matrix want(2, cols), want_dx(2, cols), want_left(2, cols);
    const reference::Matrix left_values = random.matrix(2, cols);
    for (size_t r = 0; r < 2; ++r) {
      for (size_t c = 0; c < cols; ++c) {
        want(r, c) = std::max(x(r, c), other(r, c));
        (x(r, c) == want(r, c) ? want_dx : want_left)(r, c) = left_values(r, c);
      }
    }
    const GuardedRows x_rows(x), left(left_values, 1);
    GuardedRows y(other, 3), dx(2, cols, 2);
    MaximumArgs args{};
    args.rows = 2, args.cols = static_cast<int64_t>(cols);
    args.x = x_rows.data(), args.x_ld = x_rows.ld();
    args.y = y.data(), args.y_ld = y.ld();
    args.left = left.data(), args.left_ld = left.ld();
    args.dx = dx.data(), args.dx_ld = dx.ld();
    kernels().maximum(args);
    EXPECT_TRUE(close(y, want, 0)) << cols;
    kernels().maximum_grad(args);
    EXPECT_TRUE(close(dx, want_dx, 0)) << cols;
    EXPECT_TRUE(close(left, want_left, 0)) << cols;
    x_rows(0, cols - 1) = std::nanf("");
    kernels().maximum(args);
    x_rows(0, cols - 1) = 100;
    kernels().maximum(args);
    EXPECT_TRUE(std::isnan(y(0, cols - 1))) << cols;
  }
}

// A batch of rows, each with what was gathered before it.
struct Problem {
  Problem(size_t features, std::vector<int32_t> lengths_, uint64_t seed)
      : lengths(std::move(lengths_)) {
    reference::RandomSource random(seed);
    for (const int32_t length : lengths) {
      x.emplace_back();
      for (int32_t t = 0; t < length; ++t) x.back().push_back(random.vector(features));
      const bool begins = random.chance(0.4);
      first.push_back({begins ? Vector(features, 0.0) : random.vector(features),
                       begins ? 0.0 : static_cast<double>(1 + random.index(4))});
      dlast.push_back({random.vector(features), random.uniform(-1, 1)});
    }
    dy = random.matrix(lengths.size(), features);
    geometry.assign(static_cast<int64_t>(lengths.size()), 0, lengths.data());
  }
  reference::Matrix packed() const {
    reference::Matrix rows(static_cast<size_t>(geometry.rows()), dy.cols());
    for (int64_t r = 0; r < geometry.batch(); ++r) {
      for (int64_t t = 0; t < geometry.length(r); ++t) {
        rows.set_row(static_cast<size_t>(geometry.row(r, t)), x[geometry.batch_row(r)][t]);
      }
    }
    return rows;
  }
  // Of the sorted rows.
  reference::Matrix sorted_dy() const {
    reference::Matrix rows(dy.rows(), dy.cols());
    for (int64_t r = 0; r < geometry.batch(); ++r) {
      rows.set_row(static_cast<size_t>(r), dy.row(geometry.batch_row(r)));
    }
    return rows;
  }
  static StateValues states(const std::vector<Gathered>& of) {
    StateValues values(2);
    for (const Gathered& one : of) {
      values[0].insert(values[0].end(), one.values.begin(), one.values.end());
      values[1].push_back(static_cast<float>(one.count));
    }
    return values;
  }

  std::vector<int32_t> lengths;
  std::vector<std::vector<Vector>> x;
  std::vector<Gathered> first, dlast;
  reference::Matrix dy;
  Geometry geometry;
};

TEST_P(GlobalPoolingTest, FollowsTheReferenceOnRaggedRowsThatGoOn) {
  for (const char* const type : kTypes) {
    const bool maximum = type == kTypes[1];
    const Problem problem(19, {2, 0, 5, 1, 5, 0}, 3);
    const auto batch = static_cast<int64_t>(problem.lengths.size());
    const auto network = make_network(kernels(), {19, true, false}, {layer(type, {})});
    const StateValues initial = Problem::states(problem.first);
    const StateValues final_gradient = Problem::states(problem.dlast);
    std::vector<Vector> all;
    for (const int threads : {1, 2, 7}) {
      Executor executor(network);
      RunOptions options;
      options.threads = threads;
      options.gradients = options.input_gradient = true;
      const Rows x(problem.packed());  // the backward pass reads it again
      executor.set_initial_states(initial, batch);
      const Vector y = vector_of(executor.forward(problem.geometry, floats(x), options).floats);
      StateValues last;
      executor.get_final_states(last);
      executor.set_final_state_gradients(final_gradient, batch);
      const Vector dx = vector_of(executor.backward(Rows(problem.sorted_dy()).view));
      StateValues dfirst(2);
      dfirst[0].resize(batch * 19), dfirst[1].resize(batch);
      for (size_t i = 0; i < 2; ++i) executor.get_initial_state_gradient(i, dfirst[i].data());

      Vector want_y, want_dx(dx.size(), 0.0);
      StateValues want_last(2), want_dfirst(2);
      for (int64_t b = 0; b < batch; ++b) {
        const auto result = pool(maximum, problem.first[b], problem.x[b]);
        const auto d = pool_backward(maximum, problem.first[b], problem.x[b], problem.dy.row(b),
                                     problem.dlast[b]);
        for (const auto& [to, from] :
             {std::pair{&want_last, &result.last}, {&want_dfirst, &d.first}}) {
          (*to)[0].insert((*to)[0].end(), from->values.begin(), from->values.end());
          (*to)[1].push_back(static_cast<float>(from->count));
        }
      }
      for (int64_t r = 0; r < batch; ++r) {
        const int64_t b = problem.geometry.batch_row(r);
        const Vector row = pool(maximum, problem.first[b], problem.x[b]).y;
        want_y.insert(want_y.end(), row.begin(), row.end());
        const auto d = pool_backward(maximum, problem.first[b], problem.x[b], problem.dy.row(b),
                                     problem.dlast[b]);
        for (size_t t = 0; t < d.x.size(); ++t) {
          std::copy(d.x[t].begin(), d.x[t].end(),
                    want_dx.begin() + problem.geometry.row(r, static_cast<int64_t>(t)) * 19);
        }
      }
      OSTINATO_EXPECT_CLOSE(y, want_y, kGlobalPoolingTolerance) << type;
      OSTINATO_EXPECT_CLOSE(dx, want_dx, kGlobalPoolingTolerance) << type;
      for (size_t i = 0; i < 2; ++i) {
        OSTINATO_EXPECT_CLOSE(Vector(last[i].begin(), last[i].end()),
                              Vector(want_last[i].begin(), want_last[i].end()),
                              kGlobalPoolingTolerance);
        OSTINATO_EXPECT_CLOSE(Vector(dfirst[i].begin(), dfirst[i].end()),
                              Vector(want_dfirst[i].begin(), want_dfirst[i].end()),
                              kGlobalPoolingTolerance)
            << type << i;
      }
      all.push_back(y);
      all.back().insert(all.back().end(), dx.begin(), dx.end());
    }
    EXPECT_EQ(all[1], all[0]);
    EXPECT_EQ(all[2], all[0]);
  }
}

TEST_P(GlobalPoolingTest, ManyRowsAreSharedOutWithTheSameBits) {
  for (const char* const type : kTypes) {
    std::vector<int32_t> lengths(60);
    reference::RandomSource random(4);
    for (int32_t& length : lengths) length = static_cast<int32_t>(random.index(100));
    const Problem problem(200, lengths, 5);
    const Rows x(problem.packed());
    const auto network = make_network(kernels(), {200, true, false}, {layer(type, {})});
    std::vector<Vector> all;
    for (const int threads : {1, 2, 7}) {
      Executor executor(network);
      RunOptions options;
      options.threads = threads;
      options.gradients = options.input_gradient = true;
      all.push_back(vector_of(executor.forward(problem.geometry, floats(x), options).floats));
      const Vector dx = vector_of(executor.backward(Rows(problem.sorted_dy()).view));
      all.back().insert(all.back().end(), dx.begin(), dx.end());
    }
    EXPECT_EQ(all[1], all[0]) << type;
    EXPECT_EQ(all[2], all[0]) << type;
  }
}

TEST_P(GlobalPoolingTest, ASessionHasSeenAllStepsSoFar) {
  for (const char* const type : kTypes) {
    const bool maximum = type == kTypes[1];
    const Problem problem(5, {4}, 6);
    Session session(make_network(kernels(), {5, true, false}, {layer(type, {})}), 1);
    for (size_t t = 0; t < 4; ++t) {
      std::vector<float> step(problem.x[0][t].begin(), problem.x[0][t].end()), y(5);
      session.step(nullptr, step.data(), y.data(), 1);
      const std::vector<Vector> seen(problem.x[0].begin(), problem.x[0].begin() + t + 1);
      const Gathered nothing{Vector(5, 0.0), 0.0};
      const Vector want = pool(maximum, nothing, seen).y;
      OSTINATO_EXPECT_CLOSE(Vector(y.begin(), y.end()), want, 1e-6) << type;
    }
  }
}

}  // namespace
}  // namespace ostinato::test
