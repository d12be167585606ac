// Final states as values of a graph, and initial states from other nodes: an encoder and a decoder,
// forward and backward, against the reference in which the one's states are the other's.
#include "core/final_state.h"

#include <gtest/gtest.h>

#include "core/predictor.h"
#include "test/core_problem.h"
#include "test/core_recurrent.h"

namespace ostinato::test {
namespace {

using reference::NamedVectors;
using reference::RecurrentProblem;
using reference::Vector;

constexpr double kFinalStateTolerance = 2e-5;
const int32_t kSamples[] = {0, 1, 2};

struct Case {
  std::string cell;
  bool encoder_sequences = true, decoder_sequences = true;
  bool encoder_read = true;  // its output is one of the model's
  bool target_first = false;
  Options decoder_options{};
  size_t projection = 0;
};

// The two directions of the encoder become the two layers of the decoder.
RecurrentProblem encoder_problem(const Case& it) {
  reference::RecurrentConfig config;
  config.cell = it.cell;
  config.inputs = 3;
  config.units = 5;
  config.projection = it.projection;
  config.bidirectional = true;
  config.return_sequences = it.encoder_sequences;
  return random_recurrent_problem(config, {3, 4, true, true, 0.0}, 7);
}

RecurrentProblem decoder_problem(const Case& it) {
  reference::RecurrentConfig config;
  config.cell = it.cell;
  config.inputs = 2;
  config.units = 5;
  config.projection = it.projection;
  config.layers = 2;
  config.return_sequences = it.decoder_sequences;
  RecurrentProblem problem = random_recurrent_problem(config, {3, 6, false, false, 0.0}, 8);
  problem.input.lengths = {6, 1, 3};  // not in the encoder's order
  return problem;
}

// Encoder and decoder are values 2 and the last one.
std::shared_ptr<Network> make(const Kernels& kernels, const Case& it,
                              const RecurrentProblem& encoder, const RecurrentProblem& decoder) {
  NetworkConfig config;
  config.inputs = {{3, true, false, {0, 0}}, {2, true, false, {1, 0}}};
  if (it.target_first) config.inputs = {{2, true, false, {0, 0}}, {3, true, false, {1, 0}}};
  const size_t source = it.target_first ? 1 : 0, target = 1 - source;
  LayerConfig reader = layer_of(encoder.config, {}), writer = layer_of(decoder.config, {});
  reader.name = "encoder";
  writer.name = "decoder";
  for (const auto& [name, value] : it.decoder_options) writer.options[name] = value;
  config.layers = {reader, writer};
  config.nodes = {{0, {source}}};
  std::vector<size_t> from{target};
  for (const std::string& state : reference::find_cell(it.cell).states) {
    config.layers.push_back(layer("finalState", {{"state", state}}, "final_" + state));
    from.push_back(2 + config.nodes.size());
    config.nodes.push_back({config.layers.size() - 1, {2}});
  }
  config.outputs = {2 + config.nodes.size()};
  config.nodes.push_back({1, from});
  if (it.encoder_read) config.outputs.push_back(2);
  const auto network = std::make_shared<Network>(config, kernels);
  for (const auto& [name, values] : encoder.params) set_param(*network, "encoder." + name, values);
  for (const auto& [name, values] : decoder.params) set_param(*network, "decoder." + name, values);
  return network;
}

InputData rows_of(const RecurrentProblem& problem) {
  InputData data;
  data.features = static_cast<int64_t>(problem.config.inputs);
  data.input_floats.assign(problem.input.x.begin(), problem.input.x.end());
  for (int64_t i = 0; i < 3; ++i) {
    data.input_offset.push_back(i * static_cast<int64_t>(problem.input.steps));
  }
  return data;
}

// What is upstream of an output takes the place of targets.
void set_upstream(const RecurrentProblem& problem, TargetData& data) {
  data.target_kind = TargetData::TargetKind::kDense;
  data.target_timed = problem.config.return_sequences;
  data.target_features = static_cast<int64_t>(problem.config.features());
  data.target_floats.assign(problem.upstream.y.begin(), problem.upstream.y.end());
  for (int64_t i = 0; i < 3; ++i) {
    data.target_offset.push_back(
        i * (data.target_timed ? static_cast<int64_t>(problem.input.steps) : 1));
  }
}

std::vector<int32_t> lengths_of(const RecurrentProblem& problem) {
  return {problem.input.lengths.begin(), problem.input.lengths.end()};
}

Dataset data_of(const Case& it, const RecurrentProblem& encoder, const RecurrentProblem& decoder) {
  const RecurrentProblem& first = it.target_first ? decoder : encoder;
  const RecurrentProblem& second = it.target_first ? encoder : decoder;
  Dataset data;
  static_cast<InputData&>(data) = rows_of(first);
  data.length = lengths_of(first);
  data.more_inputs = {rows_of(second)};
  data.more_lengths = {{lengths_of(second), static_cast<int64_t>(second.input.steps)}};
  set_upstream(decoder, data);
  if (it.encoder_read) set_upstream(encoder, data.more_targets.emplace_back());
  return data;
}

// In the order of the core: the encoder's states, then the decoder's.
StateValues in_order(const std::string& cell, const NamedVectors& encoder,
                     const NamedVectors& decoder) {
  StateValues values;
  for (const NamedVectors* named : {&encoder, &decoder}) {
    for (const std::string& state : reference::find_cell(cell).states) {
      const auto found = named->find(state);
      values.emplace_back();
      if (found != named->end()) values.back().assign(found->second.begin(), found->second.end());
    }
  }
  return values;
}

Vector doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

class FinalStates : public EveryIsa {
 protected:
  void check(const Case& it) {
    RecurrentProblem encoder = encoder_problem(it), decoder = decoder_problem(it);
    const auto network = make(kernels(), it, encoder, decoder);
    const Dataset data = data_of(it, encoder, decoder);
    data.validate(network->model_shape(), {0, 0});
    const StateValues initial = in_order(it.cell, encoder.input.initial, {});
    const StateValues upstream =
        in_order(it.cell, encoder.upstream.final_states, decoder.upstream.final_states);
    const auto run = [&](int threads) {
      Predictor predictor(network);
      const auto steps =
          static_cast<int64_t>(it.target_first ? decoder.input.steps : encoder.input.steps);
      return predictor.gradients(data, kSamples, 3, steps, nullptr, initial, upstream, threads,
                                 nullptr);
    };
    const Predictor::Gradients got = run(1);

    const reference::RecurrentResult read =
        reference::forward(encoder.config, encoder.params, encoder.input);
    decoder.input.initial = read.final_states;
    const reference::RecurrentResult written =
        reference::forward(decoder.config, decoder.params, decoder.input);
    const reference::RecurrentGradients of_decoder = reference::backward(decoder);
    for (auto& [name, d] : encoder.upstream.final_states) {
      reference::add(d, of_decoder.initial.at(name));
    }
    if (!it.encoder_read) std::fill(encoder.upstream.y.begin(), encoder.upstream.y.end(), 0.0);
    const reference::RecurrentGradients of_encoder = reference::backward(encoder);

    OSTINATO_EXPECT_CLOSE(doubles(got.outputs[0]), written.y, kFinalStateTolerance);
    if (it.encoder_read) {
      OSTINATO_EXPECT_CLOSE(doubles(got.outputs[1]), read.y, kFinalStateTolerance);
    }
    const size_t source = it.target_first ? 1 : 0;
    OSTINATO_EXPECT_CLOSE(doubles(got.inputs[source]), of_encoder.x, kFinalStateTolerance);
    OSTINATO_EXPECT_CLOSE(doubles(got.inputs[1 - source]), of_decoder.x, kFinalStateTolerance);
    const StateValues finals = in_order(it.cell, read.final_states, written.final_states);
    const StateValues d_initial = in_order(it.cell, of_encoder.initial, of_decoder.initial);
    for (size_t i = 0; i < finals.size(); ++i) {
      OSTINATO_EXPECT_CLOSE(doubles(got.final_states[i]), doubles(finals[i]), kFinalStateTolerance);
      OSTINATO_EXPECT_CLOSE(doubles(got.initial_states[i]), doubles(d_initial[i]),
                            kFinalStateTolerance);
    }
    for (const auto& [name, values] : of_encoder.params) {
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "encoder." + name), values, kFinalStateTolerance);
    }
    for (const auto& [name, values] : of_decoder.params) {
      OSTINATO_EXPECT_CLOSE(gradient_of(*network, "decoder." + name), values, kFinalStateTolerance);
    }
    for (const int threads : {2, 7}) {
      const Predictor::Gradients again = run(threads);
      EXPECT_EQ(again.outputs, got.outputs);
      EXPECT_EQ(again.inputs, got.inputs);
      EXPECT_EQ(again.initial_states, got.initial_states);
    }
  }
};
OSTINATO_EVERY_ISA(FinalStates);

TEST_P(FinalStates, AreTheInitialStatesOfAnotherLayer) {
  check({"lstm"});
  check({"gru"});
  check({"elman_tanh", true, true, true, true});
}

// Nobody reads the encoder's output, so only the states send gradients to it.
TEST_P(FinalStates, SendGradientsAlone) {
  check({"lstm", true, true, false});
  check({"gru_reset_before", false, true, false, true});
}

// Last steps are rows without steps, in the order of the first axis on whatever axis they were
// read.
TEST_P(FinalStates, GoWithLastSteps) {
  check({"lstm", false, false, true, false});
  check({"gru", false, false, true, true});
}

TEST_P(FinalStates, ReachTheFirstOfSeveralSegments) {
  check({"lstm", true, true, false, false, {{"checkpointEvery", 2.0}}});
}

TEST_P(FinalStates, HaveTheWidthOfAProjection) { check({"lstm", true, true, true, false, {}, 3}); }

// Two nodes that read one state both send gradients.
TEST_P(FinalStates, MayBeReadTwice) {
  NetworkConfig config;
  config.inputs = {{2, true, false}};
  config.layers = {layer("gru", {{"units", 3.0}}), layer("finalState", {}), layer("add", {})};
  config.nodes = {{0, {0}}, {1, {1}}, {1, {1}}, {2, {1, 2, 3}}};
  config.outputs = {4};
  const auto thrice = std::make_shared<Network>(config, kernels());
  config.layers = {config.layers[0]};
  config.nodes.clear();
  config.outputs.clear();
  const auto once = std::make_shared<Network>(config, kernels());
  const auto gradients = [](const std::shared_ptr<Network>& network, float dy) {
    Executor executor(network);
    Geometry geometry;
    geometry.assign(2, 3, nullptr);
    const Rows x(reference::RandomSource(1).matrix(6, 2));
    RunOptions options;
    options.gradients = true;
    executor.forward(geometry, floats(x), options);
    const Rows rows(reference::Matrix(2, 3, Vector(6, dy)));
    executor.backward(rows.view);
    return gradient_of(*network, "gru.weight_hh_l0");
  };
  OSTINATO_EXPECT_CLOSE(gradients(thrice, 0.5f), gradients(once, 1.5f), 1e-6);
}

TEST(FinalState, RefusesWhatHasNoSuchState) {
  const auto refused = [](const std::string& code, const LayerConfig& before,
                          const LayerConfig& final_state) {
    NetworkConfig config;
    config.inputs = {{3, true, false}};
    config.layers = {before, final_state};
    return message_of(code, [&] { Network network(config, *available_kernels().front()); });
  };
  const std::string invalid = "ERR_INVALID_ARGUMENT";
  const LayerConfig gru = layer("gru", {{"units", 4.0}});
  EXPECT_NE(refused(invalid, gru, layer("finalState", {{"state", std::string("c")}})).find("\"c\""),
            std::string::npos);
  refused(invalid, layer("dense", {{"units", 4.0}}), layer("finalState", {}));
  refused(invalid, layer("finalState", {}), gru);
}

TEST(InitialStates, MustFitTheLayer) {
  const auto refused = [](std::vector<ValueShape> inputs) {
    NetworkConfig config;
    config.inputs = std::move(inputs);
    config.layers = {layer("lstm", {{"units", 4.0}, {"layers", 2.0}})};
    config.nodes = {{0, {}}};
    for (size_t i = 0; i < config.inputs.size(); ++i) config.nodes[0].inputs.push_back(i);
    config.outputs = {config.inputs.size()};
    return message_of("ERR_SHAPE_MISMATCH",
                      [&] { Network network(config, *available_kernels().front()); });
  };
  const ValueShape x{3, true, false}, state{8, false, false};
  EXPECT_NE(refused({x, state}).find("2 initial states"), std::string::npos);
  refused({x, state, state, state});
  EXPECT_NE(refused({x, state, {4, false, false}}).find("[batch, 8]"), std::string::npos);
  refused({x, {8, true, false}, state});
}

}  // namespace
}  // namespace ostinato::test
