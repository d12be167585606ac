// Pooling over windows of steps: the reference against finite differences, layers against it on
// ragged rows, and the time axes that windows make.
#include "reference/pooling1d.h"

#include <gtest/gtest.h>

#include "core/predictor.h"
#include "test/core_problem.h"
#include "test/gradient_check.h"

namespace ostinato::test {
namespace {

using reference::pool_windows;
using reference::pool_windows_backward;
using reference::Vector;

const char* const kTypes[] = {"averagePooling1d", "maxPooling1d"};

// Windows that overlap, that touch, with gaps, and of one step.
struct Windows {
  size_t size, stride;
};
constexpr Windows kWindows[] = {{3, 2}, {2, 2}, {2, 3}, {1, 2}, {4, 1}};

LayerConfig pool(const char* type, Windows windows, const char* name = "pool") {
  return layer(type,
               {{"poolSize", static_cast<double>(windows.size)},
                {"strides", static_cast<double>(windows.stride)}},
               name);
}

TEST(Pooling1dReference, GradientsMatchDifferences) {
  for (const bool maximum : {false, true}) {
    for (const auto& [size, stride] : kWindows) {
      reference::RandomSource random(1);
      std::vector<Vector> x, dy;
      for (int t = 0; t < 6; ++t) x.push_back(random.vector(3));
      for (size_t t = 0; t < pool_windows(maximum, size, stride, x).size(); ++t) {
        dy.push_back(random.vector(3));
      }
      const auto f = [&] {
        const std::vector<Vector> y = pool_windows(maximum, size, stride, x);
        double total = 0;
        for (size_t t = 0; t < y.size(); ++t) {
          for (size_t c = 0; c < 3; ++c) total += y[t][c] * dy[t][c];
        }
        return total;
      };
      const auto dx = pool_windows_backward(maximum, size, stride, x, dy);
      for (size_t t = 0; t < 6; ++t) reference::expect_gradient("x", f, x[t], dx[t]);
    }
  }
}

class Pooling1dTest : public EveryIsa {};
OSTINATO_EVERY_ISA(Pooling1dTest);

// Lengths that are in another order once they are counted in windows, with rows shorter than one.
const std::vector<int32_t> kLengths{5, 2, 7, 0, 4, 1, 6};
constexpr int64_t kRows = 7, kSteps = 7;

std::vector<Vector> random_steps(size_t steps, size_t features, reference::RandomSource& random) {
  std::vector<Vector> rows(steps);
  for (Vector& row : rows) row = random.vector(features);
  return rows;
}

template <class Floats>
void append(Floats& to, const std::vector<Vector>& rows) {
  for (const Vector& row : rows) to.insert(to.end(), row.begin(), row.end());
}

// Pads each row with zeros to `steps`.
Vector dense_rows(const std::vector<std::vector<Vector>>& rows, size_t steps, size_t features) {
  Vector values(rows.size() * steps * features, 0.0);
  for (size_t b = 0; b < rows.size(); ++b) {
    for (size_t t = 0; t < rows[b].size(); ++t) {
      std::copy(rows[b][t].begin(), rows[b][t].end(),
                values.begin() + static_cast<int64_t>((b * steps + t) * features));
    }
  }
  return values;
}

TEST_P(Pooling1dTest, FollowsTheReferenceOnRaggedRows) {
  constexpr size_t kFeatures = 19;
  const std::vector<int32_t> samples{0, 1, 2, 3, 4, 5, 6};
  for (const char* const type : kTypes) {
    for (const auto& [size, stride] : kWindows) {
      SCOPED_TRACE(std::string(type) + " " + std::to_string(size) + "/" + std::to_string(stride));
      const bool maximum = type == kTypes[1];
      reference::RandomSource random(2);
      Dataset data;
      data.features = data.target_features = kFeatures;
      data.length = kLengths;
      data.target_kind = Dataset::TargetKind::kDense;
      data.target_timed = true;
      std::vector<std::vector<Vector>> want_y, want_dx;
      for (const int32_t length : kLengths) {
        const auto x = random_steps(static_cast<size_t>(length), kFeatures, random);
        want_y.push_back(pool_windows(maximum, size, stride, x));
        const auto dy = random_steps(want_y.back().size(), kFeatures, random);
        want_dx.push_back(pool_windows_backward(maximum, size, stride, x, dy));
        data.input_offset.push_back(static_cast<int64_t>(data.input_floats.size() / kFeatures));
        data.target_offset.push_back(static_cast<int64_t>(data.target_floats.size() / kFeatures));
        append(data.input_floats, x);
        append(data.target_floats, dy);
      }
      const auto network =
          make_network(kernels(), {kFeatures, true, false}, {pool(type, {size, stride})});
      data.validate(network->model_shape(), {0});
      const auto run = [&](int threads) {
        Predictor predictor(network);
        return predictor.gradients(data, samples.data(), kRows, kSteps, nullptr, {}, {}, threads,
                                   nullptr);
      };
      const Predictor::Gradients got = run(1);
      const size_t steps = (kSteps - size) / stride + 1;
      const auto doubles = [](const std::vector<float>& values) {
        return Vector(values.begin(), values.end());
      };
      OSTINATO_EXPECT_CLOSE(doubles(got.outputs[0]), dense_rows(want_y, steps, kFeatures), 1e-6);
      OSTINATO_EXPECT_CLOSE(doubles(got.inputs[0]), dense_rows(want_dx, kSteps, kFeatures), 1e-6);
      const Predictor::Gradients again = run(7);
      EXPECT_EQ(again.outputs, got.outputs);
      EXPECT_EQ(again.inputs, got.inputs);
    }
  }
}

TEST(WindowAxes, CountWholeWindows) {
  const TimeAxis data;
  const TimeAxis halves = data.windows(2, 2);
  EXPECT_TRUE(data.windows(1, 1) == data);
  for (const auto& [length, steps] : {std::pair{0, 0}, {1, 0}, {2, 1}, {3, 1}, {4, 2}, {9, 4}}) {
    EXPECT_EQ(halves.length_of(length), steps) << length;
  }
  // Windows of windows are windows, and as many.
  EXPECT_TRUE(halves.windows(2, 2) == data.windows(4, 4));
  for (const auto& [size, stride] : kWindows) {
    const auto one = static_cast<int64_t>(size), apart = static_cast<int64_t>(stride);
    const TimeAxis first = data.windows(3, 2), second = first.windows(one, apart);
    for (int64_t length = 0; length < 40; ++length) {
      const int64_t steps = first.length_of(length);
      EXPECT_EQ(second.length_of(length), steps < one ? 0 : (steps - one) / apart + 1);
    }
  }
  EXPECT_TRUE((TimeAxis{0, 7}.windows(3, 2)) == (TimeAxis{0, 3}));
}

TEST(WindowAxes, MeetWhereLengthsAreEqual) {
  NetworkConfig config;
  config.inputs = {{4, true, false}};
  config.layers = {pool("maxPooling1d", {2, 2}, "halves"),
                   pool("averagePooling1d", {2, 2}, "halves of halves"),
                   pool("maxPooling1d", {4, 4}, "quarters"), layer("add", {})};
  config.nodes = {{0, {0}}, {1, {1}}, {2, {0}}, {3, {2, 3}}};
  config.outputs = {4};
  const Network network(config, *available_kernels().front());
  EXPECT_EQ(network.model_shape().axes.size(), 3u);
  config.nodes[3].inputs = {1, 3};
  config.outputs = {2, 4};
  message_of("ERR_SHAPE_MISMATCH", [&] { Network refused(config, *available_kernels().front()); });
}

TEST(WindowAxes, RefuseWhatGivesNoSteps) {
  const auto refused = [](const std::string& code, std::vector<LayerConfig> layers) {
    message_of(code, [&] {
      make_network(*available_kernels().front(), {4, true, false}, std::move(layers));
    });
  };
  const LayerConfig last = layer("lastStep", {}), three = layer("repeatVector", {{"n", 3.0}});
  refused("ERR_SHAPE_MISMATCH", {last, three, pool("maxPooling1d", {4, 1})});
  refused("ERR_SHAPE_MISMATCH", {last, pool("maxPooling1d", {2, 2})});
  refused("ERR_INVALID_ARGUMENT", {pool("maxPooling1d", {0, 1})});
  refused("ERR_INVALID_ARGUMENT", {pool("averagePooling1d", {2, 0})});
  constexpr Windows kHuge{1 << 20, 1 << 20};
  refused("ERR_SHAPE_MISMATCH",
          {pool("maxPooling1d", kHuge, "first"), pool("maxPooling1d", kHuge, "second")});
}

}  // namespace
}  // namespace ostinato::test
