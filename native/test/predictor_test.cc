#include "core/predictor.h"

#include <gtest/gtest.h>

#include "core/session.h"
#include "test/training_problem.h"

namespace ostinato::test {
namespace {

class Prediction : public EveryIsa {};
OSTINATO_EVERY_ISA(Prediction);

std::shared_ptr<Network> regression(const Kernels& kernels, bool sequences) {
  return make_network(kernels, {3, true, false},
                      {layer("gru", {{"units", 7.0}, {"returnSequences", sequences}}),
                       layer("dense", {{"units", 2.0}, {"activation", "tanh"}})});
}

Dataset ragged_data(const std::vector<int32_t>& lengths, bool timed, uint64_t seed = 3) {
  reference::RandomSource random(seed);
  Dataset data;
  data.features = 3;
  data.target_kind = Dataset::TargetKind::kDense;
  data.target_features = 2;
  data.target_timed = timed;
  int64_t steps = 0, targets = 0;
  for (const int32_t length : lengths) {
    data.length.push_back(length);
    data.input_offset.push_back(steps);
    data.target_offset.push_back(targets);
    steps += length;
    targets += timed ? length : 1;
  }
  for (const double x : random.vector(steps * 3))
    data.input_floats.push_back(static_cast<float>(x));
  for (const double x : random.vector(targets * 2))
    data.target_floats.push_back(static_cast<float>(x));
  return data;
}

TEST_P(Prediction, GivesBatchesInOrderWithZerosBeyondTheEnd) {
  const Dataset data = ragged_data({2, 0, 4, 3}, true);
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = regression(kernels(), true);
  Predictor predictor(network);
  std::vector<float> all(4 * 5 * 2, NAN);
  StateValues states;
  predictor.predict(data, samples.data(), 4, 5, {}, 1, nullptr, all.data(), &states);
  ASSERT_EQ(states.size(), 1u);
  ASSERT_EQ(states[0].size(), 4u * 7);
  for (int32_t sample = 0; sample < 4; ++sample) {
    std::vector<float> alone(5 * 2, NAN);
    StateValues state;
    predictor.predict(data, &sample, 1, 5, {}, 1, nullptr, alone.data(), &state);
    EXPECT_EQ(bits_of(alone.data(), 10), bits_of(&all[sample * 10], 10));
    EXPECT_EQ(bits_of(state[0].data(), 7), bits_of(&states[0][sample * 7], 7));
    for (int64_t i = data.length[sample] * 2; i < 10; ++i) EXPECT_EQ(alone[i], 0.0f);
    EXPECT_EQ(alone[0] != 0.0f, data.length[sample] > 0);
  }
  message_of("ERR_SHAPE_MISMATCH", [&] {
    predictor.predict(data, samples.data(), 4, 3, {}, 1, nullptr, all.data(), nullptr);
  });
}

TEST_P(Prediction, GradientsAreThoseOfTheMeanLoss) {
  for (const bool timed : {true, false}) {
    const Dataset data = ragged_data({2, 4, 3}, timed);
    const std::vector<int32_t> samples = all_samples(data);
    const auto network = regression(kernels(), timed);
    Predictor predictor(network);
    Losses loss({{LossKind::kMeanSquaredError}}, *network);
    reference::RandomSource random(8);
    const reference::Vector initial = random.vector(3 * 7);
    StateValues states{{initial.begin(), initial.end()}};
    const Predictor::Gradients gradients =
        predictor.gradients(data, samples.data(), 3, 5, &loss, states, {}, 1, nullptr);
    ASSERT_EQ(gradients.inputs[0].size(), 3u * 5 * 3);
    ASSERT_EQ(gradients.initial_states.size(), 1u);
    const reference::Vector weight = gradient_of(*network, "dense.weight");

    // Differences of the loss, in float: a large step and a generous bound.
    const auto value = [&](const Dataset& moved, const StateValues& from) {
      return predictor.gradients(moved, samples.data(), 3, 5, &loss, from, {}, 1, nullptr)
          .loss.mean();
    };
    constexpr float kStep = 1e-2f;
    const auto expect_slope = [&](double plus, double minus, double gradient) {
      EXPECT_NEAR((plus - minus) / (2 * kStep), gradient, 2e-4);
    };
    Dataset plus = data, minus = data;
    plus.input_floats[3 * data.input_offset[1] + 4] += kStep;  // sample 1, step 1, feature 1
    minus.input_floats[3 * data.input_offset[1] + 4] -= kStep;
    expect_slope(value(plus, states), value(minus, states), gradients.inputs[0][(5 + 1) * 3 + 1]);
    EXPECT_EQ(gradients.inputs[0][4 * 3], 0.0f) << "beyond the end of sample 0";
    StateValues up = states, down = states;
    up[0][7 + 2] += kStep;
    down[0][7 + 2] -= kStep;
    expect_slope(value(data, up), value(data, down), gradients.initial_states[0][7 + 2]);
    float& parameter = network->params().value(param_index(*network, "dense.weight"))[3];
    const float before = parameter;
    const auto at = [&](float x) {
      parameter = x;
      network->params().touch();
      return value(data, states);
    };
    const double high = at(before + kStep), low = at(before - kStep);
    expect_slope(high, low, weight[3]);
  }
}

// With upstream gradients u of the outputs and s of the final states, the gradients are those of
// sum(u * output) + sum(s * state), whether s stands alone or beside u.
TEST_P(Prediction, GradientsTakeUpstreamGradientsInPlaceOfALoss) {
  for (const bool timed : {true, false}) {
    const Dataset data = ragged_data({2, 4, 0, 3}, timed);
    const std::vector<int32_t> samples = all_samples(data);
    const auto network = regression(kernels(), timed);
    Predictor predictor(network);
    reference::RandomSource random(9);
    const reference::Vector initial = random.vector(4 * 7), upstream = random.vector(4 * 7);
    const StateValues states{{initial.begin(), initial.end()}};
    const StateValues state_gradients{{upstream.begin(), upstream.end()}};
    const int64_t steps = 5, span = timed ? steps : 1;

    Dataset bare = data;
    bare.target_kind = Dataset::TargetKind::kNone;
    for (const Dataset* given : {&data, static_cast<const Dataset*>(&bare)}) {
      const bool with_output = given == &data;
      const auto run = [&](const StateValues& from) {
        return predictor.gradients(*given, samples.data(), 4, steps, nullptr, from, state_gradients,
                                   1, nullptr);
      };
      const auto objective = [&](const Predictor::Gradients& result) {
        double sum = 0;
        for (size_t i = 0; i < upstream.size(); ++i) sum += upstream[i] * result.final_states[0][i];
        for (int64_t sample = 0; with_output && sample < 4; ++sample) {
          const int64_t rows = timed ? data.length[sample] : 1;
          for (int64_t i = 0; i < 2 * rows; ++i) {
            sum += data.target_floats[2 * data.target_offset[sample] + i] *
                   result.outputs[0][sample * span * 2 + i];
          }
        }
        return sum;
      };
      const Predictor::Gradients gradients = run(states);
      const reference::Vector bias = gradient_of(*network, "dense.bias");
      EXPECT_EQ(bias[0] != 0, with_output) << "the states do not pass through the dense layer";
      ASSERT_EQ(gradients.outputs[0].size(), static_cast<size_t>(4 * span * 2));
      std::vector<float> output(gradients.outputs[0].size());
      predictor.predict(*given, samples.data(), 4, steps, states, 1, nullptr, output.data(),
                        nullptr);
      EXPECT_EQ(bits_of(output.data(), 4 * span * 2),
                bits_of(gradients.outputs[0].data(), 4 * span * 2));

      constexpr float kStep = 1e-2f;
      for (const size_t i : {size_t{2}, size_t{7 + 3}, size_t{14}, size_t{27}}) {
        StateValues up = states, down = states;
        up[0][i] += kStep;
        down[0][i] -= kStep;
        EXPECT_NEAR((objective(run(up)) - objective(run(down))) / (2 * kStep),
                    gradients.initial_states[0][i], 2e-3);
      }
    }
    message_of("ERR_SHAPE_MISMATCH", [&] {
      predictor.gradients(data, samples.data(), 4, steps, nullptr, states, {{1.0f}}, 1, nullptr);
    });
  }
}

TEST_P(Prediction, SessionsStepThroughASequenceAsAPredictionDoes) {
  const auto network = language_model(kernels());
  const Dataset data = language_data(3, 6);
  const std::vector<int32_t> samples = all_samples(data);
  Predictor predictor(network);
  std::vector<float> whole(3 * 6 * kVocabulary), step(3 * kVocabulary);
  predictor.predict(data, samples.data(), 3, 6, {}, 1, nullptr, whole.data(), nullptr);
  Session session(network, 3);
  const auto run = [&](Session& s, int64_t t) {
    std::vector<int32_t> ids;
    for (const int32_t sample : samples) ids.push_back(data.input_tokens[sample * 6 + t]);
    s.step(ids.data(), nullptr, step.data(), 1);
    double error = 0;
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t i = 0; i < kVocabulary; ++i) {
        error = std::max<double>(
            error, std::abs(step[row * kVocabulary + i] - whole[(row * 6 + t) * kVocabulary + i]));
      }
    }
    return error;
  };
  for (int64_t t = 0; t < 3; ++t) EXPECT_LT(run(session, t), 1e-6);
  Session copy(session);
  for (int64_t t = 3; t < 6; ++t) EXPECT_LT(run(session, t), 1e-6);
  for (int64_t t = 3; t < 6; ++t) EXPECT_LT(run(copy, t), 1e-6) << "a copy has states of its own";
  EXPECT_GT(run(session, 0), 1e-4) << "the states have moved on";
  session.reset();
  EXPECT_LT(run(session, 0), 1e-6);
}

TEST_P(Prediction, SessionsOfModelsThatGiveOneVectorGiveItEachStep) {
  const auto network = regression(kernels(), false);
  Session session(network, 2);
  const std::vector<float> x{1, 2, 3, -1, 0, 1};
  std::vector<float> y(4, NAN), again(4, NAN);
  session.step(nullptr, x.data(), y.data(), 1);
  session.step(nullptr, x.data(), again.data(), 1);
  for (const float value : y) EXPECT_TRUE(std::isfinite(value));
  EXPECT_NE(y, again);
}

TEST_P(Prediction, SessionsRefuseLayersThatReadTheFuture) {
  for (const std::string option : {"bidirectional", "goBackwards"}) {
    const auto network = make_network(kernels(), {3, true, false},
                                      {layer("lstm", {{"units", 2.0}, {option, true}}, "back")});
    const std::string message =
        message_of("ERR_INVALID_ARGUMENT", [&] { Session session(network, 1); });
    EXPECT_NE(message.find("\"back\""), std::string::npos) << message;
  }
}

TEST_P(Prediction, CancelsBeforeItEnds) {
  const Dataset data = ragged_data({2, 4}, true);
  const std::vector<int32_t> samples = all_samples(data);
  Predictor predictor(regression(kernels(), true));
  const std::atomic<bool> cancel{true};
  std::vector<float> output(2 * 4 * 2);
  EXPECT_THROW(
      predictor.predict(data, samples.data(), 2, 4, {}, 1, &cancel, output.data(), nullptr),
      Cancelled);
}

}  // namespace
}  // namespace ostinato::test
