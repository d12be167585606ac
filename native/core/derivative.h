// Reverse-mode derivatives of expressions, as expressions of the same graph.
#pragma once

#include <vector>

#include "core/expression.h"

namespace ostinato {

// A node that depends on others, and the node that holds the gradient of the loss with respect to
// it.
struct Seed {
  int node;
  int gradient;
};

// The gradient of the loss with respect to each node that the seeds depend on (-1 for others),
// where the seeds' own come from nowhere else. New expressions go into the graph; equal parts of
// derivatives become one node.
//
// Where an operation has no derivative: relu and abs have 0 at 0; min and max of equal operands,
// and of a NaN, pass the gradient to the second one.
std::vector<int> differentiate(ExpressionGraph& graph, const std::vector<Seed>& seeds);

}  // namespace ostinato
