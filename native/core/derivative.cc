#include "core/derivative.h"

namespace ostinato {

namespace {

class Differentiator {
 public:
  explicit Differentiator(ExpressionGraph& graph) : graph_(graph), gradients_(graph.size(), -1) {}

  std::vector<int> run(const std::vector<Seed>& seeds) {
    for (const Seed& seed : seeds) receive(seed.node, seed.gradient);
    // Operands come before the nodes that use them. Nodes that are added meanwhile are gradients.
    for (int node = static_cast<int>(gradients_.size()) - 1; node >= 0; --node) {
      if (gradients_[node] >= 0 && graph_[node].leaf == Leaf::kNone) pass_on(node);
    }
    return std::move(gradients_);
  }

 private:
  int op(TapeOp op, int a, int b = -1, int c = -1) { return graph_.operation(op, a, b, c); }

  void receive(int node, int gradient) {
    int& sum = gradients_[node];
    sum = sum < 0 ? gradient : op(TapeOp::kAdd, sum, gradient);
  }

  void pass_on(int y) {
    const Expression node = graph_[y];  // a copy: the graph grows
    const int a = node.operands[0], b = node.operands[1];
    const int d = gradients_[y];
    switch (node.op) {
      case TapeOp::kAdd:
        receive(a, d);
        receive(b, d);
        break;
      case TapeOp::kSub:
        receive(a, d);
        receive(b, op(TapeOp::kNeg, d));
        break;
      case TapeOp::kMul:
        receive(a, op(TapeOp::kMul, d, b));
        receive(b, op(TapeOp::kMul, d, a));
        break;
      case TapeOp::kDiv: {
        const int quotient = op(TapeOp::kDiv, d, b);
        receive(a, quotient);
        receive(b, op(TapeOp::kNeg, op(TapeOp::kMul, quotient, y)));
        break;
      }
      case TapeOp::kNeg:
        receive(a, op(TapeOp::kNeg, d));
        break;
      case TapeOp::kSigmoid:
        receive(a, op(TapeOp::kSigmoidGrad, d, y));
        break;
      case TapeOp::kTanh:
        receive(a, op(TapeOp::kTanhGrad, d, y));
        break;
      case TapeOp::kRelu:
        receive(a, op(TapeOp::kReluGrad, d, y));
        break;
      case TapeOp::kExp:
        receive(a, op(TapeOp::kMul, d, y));
        break;
      case TapeOp::kLog:
        receive(a, op(TapeOp::kDiv, d, a));
        break;
      case TapeOp::kSoftplus:
        receive(a, op(TapeOp::kMul, d, op(TapeOp::kSigmoid, a)));
        break;
      case TapeOp::kAbs:
        receive(a, op(TapeOp::kAbsGrad, d, a));
        break;
      case TapeOp::kSqrt:
        receive(a, op(TapeOp::kDiv, op(TapeOp::kMul, d, graph_.constant(0.5f)), y));
        break;
      case TapeOp::kMin:
      case TapeOp::kMax: {
        const bool is_max = node.op == TapeOp::kMax;
        const int first = op(TapeOp::kIfGreater, d, is_max ? a : b, is_max ? b : a);
        receive(a, first);
        receive(b, op(TapeOp::kSub, d, first));
        break;
      }
      default:  // derivatives are not differentiated again
        break;
    }
  }

  ExpressionGraph& graph_;
  std::vector<int> gradients_;
};

}  // namespace

std::vector<int> differentiate(ExpressionGraph& graph, const std::vector<Seed>& seeds) {
  return Differentiator(graph).run(seeds);
}

}  // namespace ostinato
