// Texts of cells, and what is made of them: errors of texts that are none, values that are kept for
// the backward pass, temporaries.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "core/cell_program.h"
#include "core/derivative.h"
#include "test/core_problem.h"
#include "test/defined_cells.h"

namespace ostinato::test {
namespace {

// Places that a tape writes, without temporaries.
std::set<int> written(const TapeCode& code) {
  std::set<int> places;
  for (int i = 0; i < code.count; ++i) places.insert(code.instructions[i].to);
  places.erase(places.begin(), places.lower_bound(kTapeTemps));
  return places;
}

int count_of(const TapeCode& code, TapeOp op) {
  int count = 0;
  for (int i = 0; i < code.count; ++i) count += code.instructions[i].op == op ? 1 : 0;
  return count;
}

TEST(Expression, EqualPartsAreOne) {
  ExpressionGraph graph;
  const int a = graph.leaf(Leaf::kSum, 0), b = graph.leaf(Leaf::kState, 0);
  EXPECT_EQ(graph.operation(TapeOp::kMul, a, b), graph.operation(TapeOp::kMul, b, a));
  EXPECT_NE(graph.operation(TapeOp::kSub, a, b), graph.operation(TapeOp::kSub, b, a));
  EXPECT_EQ(graph.operation(TapeOp::kAdd, a, graph.constant(0)), a);
  EXPECT_EQ(graph.operation(TapeOp::kMul, graph.constant(1), a), a);
  EXPECT_EQ(graph.operation(TapeOp::kSub, a, graph.operation(TapeOp::kNeg, b)),
            graph.operation(TapeOp::kAdd, a, b));
  EXPECT_TRUE(
      graph.is_constant(graph.operation(TapeOp::kMul, graph.constant(2), graph.constant(3)), 6));
  // Not a number that could stand in a table.
  EXPECT_FALSE(
      graph.is_constant(graph.operation(TapeOp::kDiv, graph.constant(1), graph.constant(0))));
}

TEST(Expression, DerivativesOfWhatTwoSeedsDependOnAreAddedUp) {
  ExpressionGraph graph;
  const int a = graph.leaf(Leaf::kSum, 0), b = graph.leaf(Leaf::kSum, 1);
  const int product = graph.operation(TapeOp::kMul, a, b);
  const int d0 = graph.leaf(Leaf::kGradient, 0), d1 = graph.leaf(Leaf::kGradient, 1);
  const std::vector<int> gradients = differentiate(graph, {{product, d0}, {a, d1}});
  EXPECT_EQ(gradients[a], graph.operation(TapeOp::kAdd, d1, graph.operation(TapeOp::kMul, d0, b)));
  EXPECT_EQ(gradients[b], graph.operation(TapeOp::kMul, d0, a));
}

TEST(CellProgram, KeepsWhatItsBackwardPassReadsAndNothingElse) {
  // The output is known in the backward pass: nothing is kept.
  const CellProgram elman(kElmanText);
  EXPECT_EQ(written(elman.tape().train), std::set<int>{kTapeNext});
  EXPECT_EQ(elman.tape().train.count, elman.tape().infer.count);
  // The four activations; tanh(c) is computed again, once.
  const CellProgram lstm(kLstmText);
  EXPECT_EQ(written(lstm.tape().train), (std::set<int>{kTapeGates, kTapeGates + 1, kTapeGates + 2,
                                                       kTapeGates + 3, kTapeNext, kTapeNext + 1}));
  EXPECT_EQ(count_of(lstm.tape().backward, TapeOp::kTanh), 1);
  EXPECT_EQ(count_of(lstm.tape().backward, TapeOp::kSigmoid), 0);
  // Three activations and the product that is apart; no function is computed again.
  const CellProgram gru(kGruText);
  EXPECT_EQ(gru.info().split_gates, 1u << 2);
  EXPECT_EQ(written(gru.tape().train).size(), 5u);
  EXPECT_EQ(count_of(gru.tape().backward, TapeOp::kTanh), 0);
  EXPECT_EQ(count_of(gru.tape().backward, TapeOp::kSigmoid), 0);
  // Without gradients only states are written.
  EXPECT_EQ(written(gru.tape().infer), std::set<int>{kTapeNext});
}

TEST(CellProgram, NamesPlacesWithinItsTables) {
  for (const char* text :
       {kElmanText, kGruText, kLstmText, kEverythingText, kScaledText, kShuffleText}) {
    const CellProgram program(text);
    for (const TapeCode& code :
         {program.tape().infer, program.tape().train, program.tape().backward}) {
      EXPECT_LE(code.temps, kTapeTemps);
      const std::set<int> places(code.places, code.places + code.place_count);
      for (int i = 0; i < code.count; ++i) {
        const TapeInstruction& it = code.instructions[i];
        for (const int place : {it.to, it.a, it.b, it.c}) {
          EXPECT_TRUE(place < std::max(code.temps, 1) || places.count(place) > 0) << place;
          EXPECT_LT(place, kTapePlaces);
        }
      }
    }
  }
}

TEST(CellProgram, RefusesWhatDoesNotFit) {
  // 50 values that are all alive when the first sum is made.
  std::string wide = "cell wide; gates a; states h;", sums;
  for (int i = 0; i < 50; ++i) {
    wide += '#' + std::to_string(i) + " = mul(sum.a, " + std::to_string(i) + ".5);";
  }
  int last = 0;
  for (int i = 1; i < 50; ++i) {
    sums += '#' + std::to_string(49 + i) + " = max(#" + std::to_string(last) + ", #" +
            std::to_string(i) + ");";
    last = 49 + i;
  }
  // Each maximum is divided by each value again, in the opposite order: none may be given up.
  for (int i = 0; i < 50; ++i) {
    sums += '#' + std::to_string(99 + i) + " = div(#" + std::to_string(last) + ", #" +
            std::to_string(i) + ");";
    last = 99 + i;
  }
  const std::string text = wide + sums + "h = #" + std::to_string(last);
  EXPECT_NE(message_of("ERR_INVALID_ARGUMENT", [&] { CellProgram{text}; }).find("values at a time"),
            std::string::npos);
  std::string numbers = "cell numbers; gates a; states h; #0 = mul(sum.a, 0.5);";
  for (int i = 1; i <= 70; ++i) {
    numbers += '#' + std::to_string(i) + " = max(#" + std::to_string(i - 1) + ", " +
               std::to_string(i) + ");";
  }
  EXPECT_NE(message_of("ERR_INVALID_ARGUMENT", [&] { CellProgram{numbers + "h = #70"}; })
                .find("different numbers"),
            std::string::npos);
}

TEST(CellText, RefusesWhatIsNotACell) {
  const std::string start = "cell x; gates a b; states h c; params p:zeros;";
  const std::string end = "h = #0; c = state.c";
  const std::vector<std::string> wrong = {
      "",
      "cell x; gates a; states h",
      "cell x; gates a; states c; c = sum.a",
      "cell x; gates a a; states h; h = sum.a",
      "cell x; gates a b c d e f g i j; states h; h = sum.a",
      "cell x; gates a; states h c d e f; h = sum.a",
      "cell x; gates a; states h; params p; h = sum.a",
      "cell x; gates a; states h; params weight_ih:zeros; h = sum.a",
      "cell x; gates a; states h; gates b c; h = sum.a",
      "cell x; gates a b; states h; #0 = tanh(sum.b); gates a; h = #0",
      "cell x; gates 1a; states h; h = sum.a",
      start + "#1 = tanh(sum.a);" + end,
      start + "#0 = tanh(#0);" + end,
      start + "#0 = tanh(#7);" + end,
      start + "#0 = tanh(#-1);" + end,
      start + "#0 = tanh(sum.d);" + end,
      start + "#0 = tanh(state.d);" + end,
      start + "#0 = tanh(param.h);" + end,
      start + "#0 = tanh(gate.a);" + end,
      start + "#0 = tanh(nan);" + end,
      start + "#0 = tanh(inf);" + end,
      start + "#0 = tanh(1e99);" + end,
      start + "#0 = tanh(1x);" + end,
      start + "#0 = tanh(sum.a, sum.b);" + end,
      start + "#0 = add(sum.a);" + end,
      start + "#0 = tan(sum.a);" + end,
      start + "#0 = add(sum.a, input.a);" + end,
      start + "#0 = tanh(sum.a); h = #0",
      start + "#0 = tanh(sum.a); h = #0; h = #0; c = #0",
      start + "#0 = tanh(sum.a); h = #0; c = #0; d = #0",
      start + "#0 = tanh(sum.a); h = #0 #0; c = #0",
      std::string(100'000, ' '),
  };
  for (const std::string& text : wrong) {
    SCOPED_TRACE(text.substr(0, 100));
    EXPECT_FALSE(message_of("ERR_INVALID_ARGUMENT", [&] { parse_cell(text); }).empty());
  }
  EXPECT_EQ(parse_cell(start + "#0 = tanh(sum.a);" + end).results.size(), 2u);
}

}  // namespace
}  // namespace ostinato::test
