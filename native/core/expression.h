// The maths of a cell as a graph of expressions, and the text in which models carry it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/init.h"
#include "kernels/kernels.h"

namespace ostinato {

enum class Leaf : uint8_t {
  kNone,       // an operation
  kSum,        // of a gate: input and recurrent product with both biases
  kInput,      // … its input product with that bias alone
  kRecurrent,  // … its recurrent product with that bias alone
  kState,      // before the step
  kParam,      // a learned vector
  kGradient,   // of a state after the step
  kConstant,
};

// What a node is; equal expressions are one node.
struct Expression {
  Leaf leaf = Leaf::kNone;
  TapeOp op = TapeOp::kMove;  // of an operation
  int index = 0;              // of a gate, state or vector
  float value = 0;            // of a constant
  int operands[3] = {-1, -1, -1};

  auto key() const {
    return std::tuple(leaf, op, index, value, operands[0], operands[1], operands[2]);
  }
};

// A node's operands come before it.
class ExpressionGraph {
 public:
  int leaf(Leaf leaf, int index);
  int constant(float value);
  // Trivial ones (x + 0, x * 1, of two constants) become what they are equal to.
  int operation(TapeOp op, int a, int b = -1, int c = -1);

  const Expression& operator[](int node) const { return nodes_[node]; }
  int size() const { return static_cast<int>(nodes_.size()); }
  bool is_constant(int node) const { return nodes_[node].leaf == Leaf::kConstant; }
  bool is_constant(int node, float value) const {
    return is_constant(node) && nodes_[node].value == value;
  }

 private:
  int add(const Expression& node);
  int simpler(TapeOp op, int a, int b);  // -1: none

  std::vector<Expression> nodes_;
  std::map<decltype(Expression{}.key()), int> known_;
};

// A learned vector [H] of a cell and how it begins.
struct CellParam {
  std::string name;
  Initializer initializer;
};

// A cell as its text states it: statements that end in ";",
//   cell <name>; gates <name> …; states h <name> …; params <name>:<initializer>[:<number>] …;
//   #0 = sigmoid(sum.z); #1 = mul(#0, state.h); …; h = #7;
// An operand is sum.<gate>, input.<gate>, recurrent.<gate>, state.<state>, param.<vector>, an
// earlier #n, or a number. Operations: add sub mul div min max (two operands), neg sigmoid tanh
// relu exp log softplus abs sqrt (one).
struct CellDefinition {
  std::string name;
  std::vector<std::string> gates, states;
  std::vector<CellParam> params;
  ExpressionGraph graph;
  std::vector<int> results;  // of each state after the step

  // Bit g: the two products of gate g are used apart.
  uint32_t split_gates = 0;
};

// Throws ERR_INVALID_ARGUMENT for anything but such a text: it may come from a file.
CellDefinition parse_cell(const std::string& text);

}  // namespace ostinato
