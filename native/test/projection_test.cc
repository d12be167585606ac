// LSTMs with a projected h in single precision, on every instruction set, against the
// double-precision reference, and for any number of threads and segments. What all cells share is
// tested with the plain ones (recurrent_test.cc), dropout with that of others
// (recurrent_dropout_test.cc), so there are few shapes here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "core/session.h"
#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

// Nearer to its bound, single precision may find a cell state on the other side of it.
constexpr double kProjectionKinkDistance = 1e-6;

std::vector<RecurrentCase> projection_cases() {
  std::vector<RecurrentCase> cases;
  reference::RecurrentConfig config;
  const auto add = [&](const std::string& name, size_t units, size_t projection,
                       reference::RecurrentProblemOptions options) {
    config.units = units;
    config.projection = projection;
    cases.push_back({name, config, options});
  };
  config.inputs = 5;
  // Widths around those of vectors and of panels.
  add("one", 17, 1, {3, 4, false, false, 0.0});
  add("narrow", 33, 15, {5, 3, false, true, 0.0});
  add("wide", 70, 66, {2, 3, true, true, 0.0});
  add("all_units", 16, 16, {1, 4, false, true, 0.0});
  config.use_bias = false;
  config.go_backwards = true;
  add("backwards", 17, 6, {7, 5, true, true, 0.0});
  config.go_backwards = false;
  config.use_bias = true;
  config.bidirectional = true;
  config.layers = 2;
  add("both_ways", 17, 6, {5, 5, true, true, 0.0});
  config.merge = reference::Merge::kMul;
  config.return_sequences = false;
  add("both_ways_last", 9, 4, {5, 4, true, true, 0.0});
  config = {};
  // Large enough for two threads and both ways of splitting the work.
  config.inputs = 8;
  add("split_rows", 64, 40, {24, 12, true, true, 0.0});
  add("split_panels", 150, 70, {3, 15, true, true, 0.0});
  // Weights in place, and more rows than a block has.
  config.inputs = 32;
  add("in_place", 32, 16, {2, 3, false, true, 0.0});
  config.inputs = 3;
  add("blocks", 7, 3, {130, 6, true, true, 0.0});
  // The cells with options.
  config.cell_clip = 0.375;
  for (const char* cell :
       {"lstm_clipped", "lstm_peephole", "lstm_coupled", "lstm_coupled_peephole"}) {
    config.cell = cell;
    add(cell, 9, 5, {4, 4, true, true, 0.0});
  }
  return cases;
}

class ProjectionTest : public testing::TestWithParam<RecurrentCase> {};

TEST_P(ProjectionTest, AgreesWithTheReferenceForAnyNumberOfThreads) {
  const RecurrentCase& it = GetParam();
  expect_agreement_everywhere(
      reference::random_recurrent_problem(it.config, it.options, 23, kProjectionKinkDistance));
}

INSTANTIATE_TEST_SUITE_P(Cells, ProjectionTest, testing::ValuesIn(projection_cases()),
                         [](const auto& info) { return info.param.name; });

LayerConfig projected(const Option& units, const Option& projection, const char* cell = "lstm",
                      Options more = {}) {
  more["units"] = units;
  more["projection"] = projection;
  return layer(cell, std::move(more), "rnn");
}

TEST(Projection, ParametersAndTheirInitialValues) {
  const auto network =
      make_network(*available_kernels().back(), {3, true, false},
                   {projected(8.0, 5.0, "lstm", {{"layers", 2.0}, {"bidirectional", true}})});
  const std::vector<std::tuple<std::string, std::vector<int64_t>, ParamRole>> wanted{
      {"rnn.weight_ih_l1_reverse", {32, 10}, ParamRole::kKernel},
      {"rnn.weight_hh_l1_reverse", {32, 5}, ParamRole::kRecurrent},
      {"rnn.bias_ih_l1_reverse", {32}, ParamRole::kBias},
      {"rnn.bias_hh_l1_reverse", {32}, ParamRole::kBias},
      {"rnn.weight_hr_l1_reverse", {5, 8}, ParamRole::kKernel}};
  const std::vector<ParamEntry>& entries = network->params().entries();
  ASSERT_EQ(entries.size(), 4 * wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ParamEntry& entry = entries[3 * wanted.size() + i];
    EXPECT_EQ(std::tuple(entry.name, entry.shape, entry.role), wanted[i]) << entry.name;
  }
  // The block of a gate of weight_hh is tall: its columns are orthonormal.
  const float* hh = network->params().value(param_index(*network, "rnn.weight_hh_l0"));
  for (int gate = 0; gate < 4; ++gate) {
    for (int i = 0; i < 5; ++i) {
      for (int j = 0; j < 5; ++j) {
        double product = 0;
        for (int row = 8 * gate; row < 8 * gate + 8; ++row)
          product += hh[5 * row + i] * hh[5 * row + j];
        EXPECT_NEAR(product, i == j ? 1.0 : 0.0, 1e-5);
      }
    }
  }
  // weight_hr as kernelInitializer draws it, by default glorotUniform.
  const reference::Vector hr =
      vector_of(network->params().value(param_index(*network, "rnn.weight_hr_l0")), 5 * 8);
  const double limit = std::sqrt(6.0 / (5 + 8));
  double largest = 0;
  for (const double w : hr) largest = std::max(largest, std::abs(w));
  EXPECT_LE(largest, limit);
  EXPECT_GT(largest, 0.8 * limit);
}

TEST(Projection, StatesHaveTheirOwnWidths) {
  const auto network = make_network(*available_kernels().back(), {3, true, false},
                                    {projected(8.0, 5.0, "lstm", {{"bidirectional", true}})});
  Executor executor(network);
  ASSERT_EQ(executor.states().size(), 2U);
  EXPECT_EQ(executor.states()[0].info.name, "h");
  EXPECT_EQ(executor.states()[0].info.features, 5);
  EXPECT_EQ(executor.states()[1].info.name, "c");
  EXPECT_EQ(executor.states()[1].info.features, 8);
}

// A session's steps are those of the whole sequence, to the bit.
TEST(Projection, StepsOfASession) {
  constexpr int64_t kSteps = 5, kInputs = 3, kHidden = 6, kStreams = 2;
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    const auto network = make_network(*kernels, {kInputs, true, false},
                                      {projected(17.0, static_cast<double>(kHidden), "lstm",
                                                 {{"layers", 2.0}, {"returnSequences", true}})});
    reference::RandomSource random(5);
    const Rows x(random.matrix(kSteps * kStreams, kInputs));
    Geometry geometry;
    geometry.assign(kStreams, kSteps, nullptr);
    Executor executor(network);
    const reference::Vector whole =
        vector_of(executor.forward(geometry, floats(x), RunOptions{}).floats);
    Session session(network, kStreams);
    reference::Vector steps;
    for (int64_t t = 0; t < kSteps; ++t) {
      std::vector<float> in, out(kStreams * kHidden);
      for (int64_t b = 0; b < kStreams; ++b) {
        const float* row = x.view.row(geometry.row(b, t));
        in.insert(in.end(), row, row + kInputs);
      }
      session.step(nullptr, in.data(), out.data(), 1);
      steps.insert(steps.end(), out.begin(), out.end());
    }
    EXPECT_EQ(steps, whole);
  }
}

TEST(Projection, OthersAreRefused) {
  const Kernels& kernels = *available_kernels().back();
  const auto message = [&](const LayerConfig& config) {
    return message_of("ERR_INVALID_ARGUMENT", [&] {
      make_network(kernels, {3, true, false}, {config});
    });
  };
  for (const double projection : {0.0, -1.0, 1.5, 9.0}) message(projected(8.0, projection));
  message(projected(8.0, "much"));
  EXPECT_NE(message(projected(8.0, 9.0)).find("1 to 8 for \"projection\""), std::string::npos);
  for (const char* cell : {"gru", "gru_reset_before", "elman_tanh", "indrnn_relu"}) {
    EXPECT_NE(message(projected(8.0, 4.0, cell)).find("nothing for \"projection\""),
              std::string::npos)
        << cell;
  }
}

}  // namespace
}  // namespace ostinato::test
