// Cells with layer normalisation inside, in single precision, on every instruction set, against the
// double-precision reference, and for any number of threads and segments. What all cells share is
// tested with the plain ones (recurrent_test.cc), so there are few shapes here.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

// Nearer to a corner single precision may find itself on the other side of it.
constexpr double kCellNormKinkDistance = 1e-5;

std::vector<RecurrentCase> cell_norm_cases() {
  std::vector<RecurrentCase> cases;
  const auto add = [&](const std::string& name, reference::RecurrentConfig config,
                       reference::RecurrentProblemOptions options, bool all = true) {
    for (const reference::Cell& cell : reference::normalized_cells()) {
      if (!all && cell.name != "lstm_ba" && cell.name != "gru_gates") continue;
      config.cell = cell.name;
      cases.push_back({cell.name + "_" + name, config, options});
    }
  };
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 17;
  add("ragged", config, {9, 5, true, true, 0.0});
  config.use_bias = false;
  config.go_backwards = true;
  add("backwards", config, {4, 5, false, false, 0.0});
  config.go_backwards = false;
  config.use_bias = true;
  config.bidirectional = true;
  config.layers = 2;
  config.return_sequences = false;
  add("two_layers_both_ways", config, {5, 5, true, true, 0.0});
  config = {};
  // Large enough for two threads and both ways of splitting the work.
  config.inputs = 8;
  config.units = 64;
  add("split_rows", config, {18, 10, true, true, 0.0}, false);
  config.units = 97;
  add("split_panels", config, {3, 13, false, true, 0.0}, false);
  // Weights in place, and more rows than a block has.
  config.inputs = 32;
  config.units = 32;
  add("in_place", config, {2, 3, false, true, 0.0});
  config.inputs = 3;
  config.units = 7;
  add("blocks", config, {130, 6, true, true, 0.0}, false);
  return cases;
}

class CellNormTest : public testing::TestWithParam<RecurrentCase> {};

TEST_P(CellNormTest, AgreesWithTheReferenceForAnyNumberOfThreads) {
  const RecurrentCase& it = GetParam();
  expect_agreement_everywhere(
      reference::random_recurrent_problem(it.config, it.options, 23, kCellNormKinkDistance));
}

INSTANTIATE_TEST_SUITE_P(Cells, CellNormTest, testing::ValuesIn(cell_norm_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(CellNorm, ParametersAndTheirFirstValues) {
  const auto network = make_network(
      *available_kernels().back(), {3, true, false},
      {layer("lstm", {{"units", 4.0}, {"returnSequences", true}, {"layerNorm", "gates"}}, "a"),
       layer("lstm", {{"units", 4.0}, {"returnSequences", true}, {"layerNorm", "ba"}}, "b"),
       layer("gru", {{"units", 4.0}, {"returnSequences", true}, {"layerNorm", "gates"}}, "c"),
       layer("gru", {{"units", 4.0}, {"returnSequences", true}, {"layerNorm", "ba"}}, "d"),
       layer("elman_tanh", {{"units", 4.0}, {"layerNorm", "ba"}, {"useBias", false}}, "e")});
  std::vector<std::string> names;
  for (const ParamEntry& entry : network->params().entries()) {
    if (entry.name.find("ln_") == std::string::npos) continue;
    names.push_back(entry.name + " " + std::to_string(entry.size));
    EXPECT_FALSE(entry.decays()) << entry.name;
    const double first = entry.name.find("bias") == std::string::npos ? 1.0 : 0.0;
    EXPECT_EQ(vector_of(network->params().values() + entry.offset, entry.size),
              reference::Vector(static_cast<size_t>(entry.size), first));
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       "a.weight_ln_l0 16", "b.weight_ln_ih_l0 16", "b.weight_ln_hh_l0 16",
                       "b.weight_ln_c_l0 4", "b.bias_ln_c_l0 4", "c.weight_ln_l0 12",
                       "c.weight_ln_hh_l0 4", "d.weight_ln_ih_l0 12", "d.weight_ln_hh_l0 12",
                       "e.weight_ln_ih_l0 4", "e.weight_ln_hh_l0 4"}));
}

TEST(CellNorm, OtherCellsAndOptionsAreRefused) {
  const Kernels& kernels = *available_kernels().back();
  const auto make = [&](const char* cell, Options options) {
    options["units"] = 4.0;
    return message_of("ERR_INVALID_ARGUMENT", [&] {
      make_network(kernels, {3, true, false}, {layer(cell, options)});
    });
  };
  for (const char* cell : {"gru_reset_before", "lstm_clipped", "lstm_peephole", "lstm_coupled",
                           "lstm_coupled_peephole", "indrnn_tanh", "indrnn_relu"}) {
    for (const char* norm : {"gates", "ba"}) {
      EXPECT_NE(make(cell, {{"layerNorm", norm}}).find("layerNorm"), std::string::npos) << cell;
    }
  }
  EXPECT_NE(make("lstm", {{"layerNorm", "batch"}}).find("\"gates\" or \"ba\""), std::string::npos);
  EXPECT_NE(make("lstm", {{"layerNorm", "ba"}, {"candidateDropout", 0.5}}).find("both"),
            std::string::npos);
  for (const char* norm : {"gates", "ba"}) {
    EXPECT_NE(make("lstm", {{"layerNorm", norm}, {"projection", 2.0}})
                  .find("either \"layerNorm\" or \"projection\""),
              std::string::npos);
  }
}

}  // namespace
}  // namespace ostinato::test
