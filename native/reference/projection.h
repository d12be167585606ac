// A projected h (Sak, Senior and Beaufays, "Long short-term memory recurrent neural network
// architectures for large scale acoustic modeling", Interspeech 2014), around any cell that reads h
// in its products alone: of a cell that makes m and c of x, h and c, the step makes
//   h' = W_hr m
// Weights without a W_hr are those of the cell itself.
#pragma once

#include "reference/cell.h"
#include "reference/matrix.h"

namespace ostinato::reference {

inline States projected_step(const Cell& cell, const CellWeights& weights, const Vector& x,
                             const States& before) {
  States after = cell.step(weights, x, before);
  if (weights.projects()) after[0] = multiply(weights.hr, after[0]);
  return after;
}

inline StepGradients projected_step_backward(const Cell& cell, const CellWeights& weights,
                                             const Vector& x, const States& before, States d_after,
                                             CellWeights& gradients) {
  if (weights.projects()) {
    const Vector m = cell.step(weights, x, before)[0];
    add_outer(gradients.hr, d_after[0], m);
    d_after[0] = multiply_transposed(weights.hr, d_after[0]);
  }
  return cell.step_backward(weights, x, before, d_after, gradients);
}

}  // namespace ostinato::reference
