#include "core/expression.h"

#include <cmath>
#include <limits>

namespace ostinato {

int ExpressionGraph::add(const Expression& node) {
  const auto [at, inserted] = known_.try_emplace(node.key(), size());
  if (inserted) nodes_.push_back(node);
  return at->second;
}

int ExpressionGraph::leaf(Leaf leaf, int index) {
  Expression node;
  node.leaf = leaf;
  node.index = index;
  return add(node);
}

int ExpressionGraph::constant(float value) {
  Expression node;
  node.leaf = Leaf::kConstant;
  node.value = value == 0 ? 0.0f : value;  // one zero, without a sign
  return add(node);
}

int ExpressionGraph::simpler(TapeOp op, int a, int b) {
  const auto is_neg = [&](int node) {
    return nodes_[node].leaf == Leaf::kNone && nodes_[node].op == TapeOp::kNeg;
  };
  if (op == TapeOp::kNeg) {
    if (is_constant(a)) return constant(-nodes_[a].value);
    return is_neg(a) ? nodes_[a].operands[0] : -1;
  }
  if (b < 0) return -1;
  if (is_constant(a) && is_constant(b)) {
    const float x = nodes_[a].value, y = nodes_[b].value;
    const float result = op == TapeOp::kAdd   ? x + y
                         : op == TapeOp::kSub ? x - y
                         : op == TapeOp::kMul ? x * y
                         : op == TapeOp::kDiv ? x / y
                                              : std::numeric_limits<float>::quiet_NaN();
    return std::isfinite(result) ? constant(result) : -1;
  }
  if (op == TapeOp::kAdd) {
    if (is_constant(a, 0)) return b;
    if (is_constant(b, 0)) return a;
    if (is_neg(b)) return operation(TapeOp::kSub, a, nodes_[b].operands[0]);
    if (is_neg(a)) return operation(TapeOp::kSub, b, nodes_[a].operands[0]);
  }
  if (op == TapeOp::kSub) {
    if (is_constant(a, 0)) return operation(TapeOp::kNeg, b);
    if (is_constant(b, 0)) return a;
    if (is_neg(b)) return operation(TapeOp::kAdd, a, nodes_[b].operands[0]);
  }
  if (op == TapeOp::kMul) {
    if (is_constant(a, 1)) return b;
    if (is_constant(b, 1)) return a;
    if (is_constant(a, -1)) return operation(TapeOp::kNeg, b);
    if (is_constant(b, -1)) return operation(TapeOp::kNeg, a);
  }
  if (op == TapeOp::kDiv && is_constant(b, 1)) return a;
  return -1;
}

int ExpressionGraph::operation(TapeOp op, int a, int b, int c) {
  if (c < 0) {
    const int known = simpler(op, a, b);
    if (known >= 0) return known;
  }
  const bool commutes = op == TapeOp::kAdd || op == TapeOp::kMul;
  Expression node;
  node.op = op;
  node.operands[0] = commutes && a > b ? b : a;
  node.operands[1] = commutes && a > b ? a : b;
  node.operands[2] = c;
  return add(node);
}

}  // namespace ostinato
