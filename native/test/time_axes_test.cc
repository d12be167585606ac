// Graphs whose sequences differ in length: a geometry for each time axis, and layers that go from
// one to another.
#include <gtest/gtest.h>

#include "core/predictor.h"
#include "test/core_problem.h"
#include "test/random_input.h"

namespace ostinato::test {
namespace {

using reference::Vector;

const int32_t kSamples[] = {0, 1, 2};
const std::vector<int32_t> kFirst{2, 4, 1}, kSecond{3, 0, 5};

ValueShape sequence(int64_t features, size_t axis = 0) {
  return {features, true, false, {axis, 0}};
}

// The gradient of an output, which stands in the place of targets: `rows` a sample.
void set_gradient(TargetData& data, int64_t features, const Vector& values, int64_t rows,
                  bool timed) {
  data.target_kind = TargetData::TargetKind::kDense;
  data.target_features = features;
  data.target_timed = timed;
  data.target_floats.assign(values.begin(), values.end());
  for (int64_t i = 0; i < 3; ++i) data.target_offset.push_back(i * rows);
}

Dataset one_sequence(const InputData& input, const std::vector<int32_t>& length) {
  Dataset data;
  static_cast<InputData&>(data) = input;
  data.length = length;
  return data;
}

Predictor::Gradients gradients(const std::shared_ptr<Network>& network, const Dataset& data,
                               int threads = 1, int64_t steps = 4) {
  data.validate(network->model_shape(), std::vector<int64_t>(1 + data.more_inputs.size(), 0));
  Predictor predictor(network);
  return predictor.gradients(data, kSamples, 3, steps, nullptr, {}, {}, threads, nullptr);
}

void copy_params(const Network& from, Network& to) {
  for (const ParamEntry& entry : to.params().entries()) {
    const int index = param_index(from, entry.name);
    set_param(to, entry.name, vector_of(from.params().value(index), entry.size));
  }
}

TEST(BatchOfTwoAxes, SortsEachByItsOwnLengths) {
  Dataset data = one_sequence(random_input(1, kFirst, 1), kFirst);
  data.more_inputs = {random_input(2, kSecond, 2)};
  data.more_lengths = {{kSecond, 7}};
  const ModelShape shape{{sequence(1), sequence(2, 1)},
                         {{1, false, false}},
                         {TimeAxis{0, 0}, TimeAxis{1, 0}, TimeAxis{0, 3}}};
  data.validate(shape, {0, 0});
  Batch batch;
  batch.assemble_inputs(data, kSamples, 3, shape);
  ASSERT_EQ(batch.geometries().size(), 3u);
  EXPECT_EQ(batch.geometries()[0].batch_row(0), 1);
  EXPECT_EQ(batch.geometries()[1].batch_row(0), 2);
  EXPECT_EQ(batch.geometries()[1].rows(), 8);
  EXPECT_EQ(batch.geometries()[2].rows(), 9);
  EXPECT_EQ(batch.geometries()[2].batch_row(0), 0);
  EXPECT_EQ(batch.inputs()[0].rows, 7);
  // Sample 2 is the longest on the second axis: its first row leads.
  EXPECT_EQ(batch.inputs()[1].floats.row(0)[1], data.more_inputs[0].input_floats[3 * 2 + 1]);
  EXPECT_EQ(data.padded_steps(shape.inputs[0], 4), 4);
  EXPECT_EQ(data.padded_steps(shape.inputs[1], 4), 7);
}

TEST(BatchOfTwoAxes, IsCheckedBeforeUse) {
  Dataset data = one_sequence(random_input(1, kFirst, 1), kFirst);
  data.more_inputs = {random_input(2, kSecond, 2)};
  const ModelShape shape{
      {sequence(1), sequence(2, 1)}, {{1, false, false}}, {TimeAxis{0, 0}, TimeAxis{1, 0}}};
  const auto refused = [&] {
    message_of("ERR_SHAPE_MISMATCH", [&] { data.validate(shape, {0, 0}); });
  };
  refused();  // no lengths
  data.more_lengths = {{{3, 0}, 5}};
  refused();  // too few
  data.more_lengths = {{{3, 0, 6}, 6}};
  refused();  // beyond the storage
  data.more_lengths = {{{3, -1, 5}, 5}};
  refused();
  data.more_lengths = {{kSecond, 4}};
  refused();  // longer than predictions would be
  data.more_lengths = {{kSecond, 5}};
  EXPECT_NO_THROW(data.validate(shape, {0, 0}));
}

class TimeAxes : public EveryIsa {};
OSTINATO_EVERY_ISA(TimeAxes);

// Two readers of sequences of different lengths, side by side, are what each reads alone: the rows
// of the second come back into the order of the first.
TEST_P(TimeAxes, MeetInTheOrderOfTheFirst) {
  constexpr int64_t kA = 3, kB = 2, kUnits = 5;
  NetworkConfig config;
  config.seed = 4;
  config.inputs = {sequence(kA), sequence(kB, 1)};
  config.layers = {layer("lstm", {{"units", double{kUnits}}}, "first"),
                   layer("gru", {{"units", double{kUnits}}}, "second"), layer("concat", {})};
  config.nodes = {{0, {0}}, {1, {1}}, {2, {2, 3}}};
  config.outputs = {4};
  const auto both = std::make_shared<Network>(config, kernels());
  const InputData a = random_input(kA, kFirst, 1), b = random_input(kB, kSecond, 2);
  Dataset data = one_sequence(a, kFirst);
  data.more_inputs = {b};
  data.more_lengths = {{kSecond, 5}};
  const Vector dy = reference::RandomSource(3).vector(3 * 2 * kUnits);
  set_gradient(data, 2 * kUnits, dy, 1, false);
  const Predictor::Gradients got = gradients(both, data);

  const auto alone = [&](const LayerConfig& reader, const InputData& input,
                         const std::vector<int32_t>& length, int64_t column) {
    const auto network = make_network(kernels(), sequence(input.features), {reader});
    copy_params(*both, *network);
    Dataset own = one_sequence(input, length);
    Vector part;
    for (int64_t i = 0; i < 3 * kUnits; ++i) {
      part.push_back(dy[(i / kUnits) * 2 * kUnits + column + i % kUnits]);
    }
    set_gradient(own, kUnits, part, 1, false);
    Predictor::Gradients wanted = gradients(network, own, 1, 5);
    for (const ParamEntry& entry : network->params().entries()) {
      EXPECT_EQ(gradient_of(*both, entry.name), gradient_of(*network, entry.name)) << entry.name;
    }
    for (int64_t i = 0; i < 3 * kUnits; ++i) {
      EXPECT_EQ(got.outputs[0][(i / kUnits) * 2 * kUnits + column + i % kUnits],
                wanted.outputs[0][i]);
    }
    return wanted;
  };
  // The first axis is padded to 4 steps here, to 5 alone.
  const Predictor::Gradients first = alone(config.layers[0], a, kFirst, 0);
  const Predictor::Gradients second = alone(config.layers[1], b, kSecond, kUnits);
  EXPECT_EQ(got.inputs[1], second.inputs[0]);
  for (int64_t i = 0; i < 3 * 4 * kA; ++i) {
    const int64_t sample = i / (4 * kA), rest = i % (4 * kA);
    EXPECT_EQ(got.inputs[0][i], first.inputs[0][sample * 5 * kA + rest]);
  }
  for (const int threads : {2, 7}) {
    const Predictor::Gradients again = gradients(both, data, threads);
    EXPECT_EQ(again.outputs, got.outputs);
    EXPECT_EQ(again.inputs, got.inputs);
  }
}

// The last steps of ragged rows, for three steps each; then the last of those. The second output
// goes over into the order of the ragged rows again.
TEST_P(TimeAxes, RepeatedVectorsGoBackToTheirSamples) {
  constexpr int64_t kFeatures = 19, kSteps = 3;
  NetworkConfig config;
  config.inputs = {sequence(kFeatures)};
  config.layers = {layer("lastStep", {}), layer("repeatVector", {{"n", double{kSteps}}}),
                   layer("lastStep", {}, "again")};
  config.nodes = {{0, {0}}, {1, {1}}, {2, {2}}};
  config.outputs = {2, 3};
  const auto network = std::make_shared<Network>(config, kernels());
  const InputData input = random_input(kFeatures, kFirst, 1);
  Dataset data = one_sequence(input, kFirst);
  reference::RandomSource random(5);
  const Vector dsteps = random.vector(3 * kSteps * kFeatures);
  const Vector dlast = random.vector(3 * kFeatures);
  set_gradient(data, kFeatures, dsteps, kSteps, true);
  set_gradient(data.more_targets.emplace_back(), kFeatures, dlast, 1, false);
  const Predictor::Gradients got = gradients(network, data);
  ASSERT_EQ(got.outputs[0].size(), static_cast<size_t>(3 * kSteps * kFeatures));
  for (int64_t sample = 0; sample < 3; ++sample) {
    const int64_t last = input.input_offset[sample] + kFirst[sample] - 1;
    for (int64_t f = 0; f < kFeatures; ++f) {
      const float x = input.input_floats[last * kFeatures + f];
      double gradient = dlast[sample * kFeatures + f];
      for (int64_t t = 0; t < kSteps; ++t) {
        const int64_t at = (sample * kSteps + t) * kFeatures + f;
        EXPECT_EQ(got.outputs[0][at], x);
        gradient += dsteps[at];
      }
      EXPECT_EQ(got.outputs[1][sample * kFeatures + f], x);
      EXPECT_NEAR(got.inputs[0][(sample * 4 + kFirst[sample] - 1) * kFeatures + f], gradient, 1e-6);
    }
  }
  EXPECT_EQ(gradients(network, data, 7).inputs, got.inputs);
}

// Eighteen numbers in rows of 18, 3, 9 and 18; pieces are cut where either row ends.
TEST_P(TimeAxes, ReshapedNumbersKeepTheirOrder) {
  const auto shaped = [](double steps, double features, const char* name) {
    return layer("reshape", {{"steps", steps}, {"features", features}}, name);
  };
  NetworkConfig config;
  config.inputs = {sequence(18)};
  config.layers = {layer("lastStep", {}), shaped(6, 3, "threes"), shaped(2, 9, "nines"),
                   shaped(0, 18, "row")};
  config.nodes = {{0, {0}}, {1, {1}}, {2, {2}}, {3, {3}}};
  config.outputs = {2, 3, 4};
  const auto network = std::make_shared<Network>(config, kernels());
  Dataset data = one_sequence(random_input(18, kFirst, 1), kFirst);
  const Vector dy = reference::RandomSource(6).vector(3 * 18);
  set_gradient(data, 3, dy, 6, true);
  set_gradient(data.more_targets.emplace_back(), 9, dy, 2, true);
  set_gradient(data.more_targets.emplace_back(), 18, dy, 1, false);
  const Predictor::Gradients got = gradients(network, data);
  EXPECT_EQ(got.outputs[0], got.outputs[2]);
  EXPECT_EQ(got.outputs[1], got.outputs[2]);
  for (int64_t i = 0; i < 3 * 18; ++i) {
    const int64_t sample = i / 18, last = kFirst[sample] - 1;
    EXPECT_EQ(got.outputs[2][i],
              data.input_floats[(data.input_offset[sample] + last) * 18 + i % 18]);
    EXPECT_NEAR(got.inputs[0][(sample * 4 + last) * 18 + i % 18], 3 * dy[i], 1e-5);
  }
}

// A layer that reads both axes has one set of weights.
TEST_P(TimeAxes, ShareLayers) {
  NetworkConfig config;
  config.inputs = {sequence(4), sequence(4, 1)};
  config.layers = {layer("gru", {{"units", 6.0}}), layer("add", {})};
  config.nodes = {{0, {0}}, {0, {1}}, {1, {2, 3}}};
  config.outputs = {4};
  const auto shared = std::make_shared<Network>(config, kernels());
  const InputData a = random_input(4, kFirst, 1), b = random_input(4, kSecond, 2);
  Dataset data = one_sequence(a, kFirst);
  data.more_inputs = {b};
  data.more_lengths = {{kSecond, 5}};
  const Vector dy = reference::RandomSource(3).vector(3 * 6);
  set_gradient(data, 6, dy, 1, false);
  const Vector sum = [&] {
    const Predictor::Gradients got = gradients(shared, data);
    return Vector(got.outputs[0].begin(), got.outputs[0].end());
  }();
  const auto one = make_network(kernels(), sequence(4), {config.layers[0]});
  copy_params(*shared, *one);
  Vector wanted(18, 0.0), weight(3 * 6 * 6, 0.0);
  for (const auto& [input, length] : {std::pair{a, kFirst}, std::pair{b, kSecond}}) {
    Dataset own = one_sequence(input, length);
    set_gradient(own, 6, dy, 1, false);
    const Predictor::Gradients part = gradients(one, own, 1, 5);
    reference::add(wanted, Vector(part.outputs[0].begin(), part.outputs[0].end()));
    reference::add(weight, gradient_of(*one, "gru.weight_hh_l0"));
  }
  OSTINATO_EXPECT_CLOSE(sum, wanted, 1e-6);
  OSTINATO_EXPECT_CLOSE(gradient_of(*shared, "gru.weight_hh_l0"), weight, 1e-5);
}

TEST(TimeAxesOfLayers, MustGoTogether) {
  const auto refused = [](const std::string& code, std::vector<LayerConfig> layers,
                          std::vector<NodeConfig> nodes) {
    NetworkConfig config;
    config.inputs = {sequence(4), sequence(4, 1)};
    config.layers = std::move(layers);
    config.nodes = std::move(nodes);
    config.outputs = {config.nodes.size() + 1};
    return message_of(code, [&] { Network network(config, *available_kernels().front()); });
  };
  const std::string shape = "ERR_SHAPE_MISMATCH", invalid = "ERR_INVALID_ARGUMENT";
  const LayerConfig last = layer("lastStep", {}), add = layer("add", {});
  refused(shape, {add}, {{0, {0, 1}}});
  refused(shape, {add, layer("repeatVector", {{"n", 3.0}})}, {{1, {0}}, {0, {1, 2}}});
  refused(invalid, {add, layer("repeatVector", {{"n", 0.0}}), last},
          {{2, {0}}, {1, {2}}, {0, {1, 3}}});
  // Sequences of any length cannot be reshaped, and numbers neither appear nor go.
  refused(shape, {add, layer("reshape", {{"features", 4.0}})}, {{1, {0}}, {0, {1, 2}}});
  refused(shape, {add, layer("reshape", {{"features", 3.0}}), last},
          {{2, {0}}, {1, {2}}, {0, {1, 3}}});
  NetworkConfig gap;
  gap.inputs = {sequence(4, 1)};
  gap.layers = {last};
  message_of(invalid, [&] { Network network(gap, *available_kernels().front()); });
}

}  // namespace
}  // namespace ostinato::test
