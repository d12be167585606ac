// What every cell states: one step forward and one step backward, for one row of a batch.
// H units, I inputs, G gates, P values of h: H, unless it is projected (projection.h). The backward
// step computes the gates again from the state before the step: slow, but nothing has to be
// remembered between the passes.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

// Parameters of one layer and direction in PyTorch's layout: the rows of a weight are the gates,
// one after another, H rows each. Also the shape of their gradients. Without biases the bias
// vectors are zeros and their gradients are not looked at.
struct CellWeights {
  Matrix ih;       // [G*H, I]
  Matrix hh;       // [G*H, P]
  Matrix hr;       // [P, H] of a projection, or empty
  Vector bias_ih;  // [G*H]
  Vector bias_hh;  // [G*H]
  Vector ch;       // peepholes, H values for each gate that has one
  // Of cells with layer normalisation inside, by name: scales, and the shift of a memory.
  std::map<std::string, Vector> norms;
  // Bound of the cell state, of cells that clip it; not a parameter.
  double cell_clip = std::numeric_limits<double>::infinity();
  // Not a parameter: factors [H] of the candidate in a step, of cells that have one. Empty: ones.
  Vector candidate_mask;

  CellWeights() = default;
  // `projection`: P, or 0 for an h that is not projected.
  CellWeights(size_t gates, size_t inputs, size_t units, size_t projection = 0)
      : ih(gates * units, inputs),
        hh(gates * units, projection > 0 ? projection : units),
        hr(projection, projection > 0 ? units : 0),
        bias_ih(gates * units, 0.0),
        bias_hh(gates * units, 0.0) {}

  bool projects() const { return hr.rows() > 0; }
  size_t units() const { return projects() ? hr.cols() : hh.cols(); }
  double candidate(size_t unit) const {
    return candidate_mask.empty() ? 1.0 : candidate_mask.at(unit);
  }
};

// State vectors of one row, in the order in which the cell names them. The first one is the cell's
// output, [P], the others [H].
using States = std::vector<Vector>;

// Gradients that leave a step.
struct StepGradients {
  Vector x;       // [I]
  States before;  // of the states before the step
};

// A vector that a layer normalisation inside a cell learns: `blocks` times H values.
struct CellNormVector {
  std::string name;
  size_t blocks;
};

struct Cell {
  std::string name;
  size_t gates;                     // G
  std::vector<std::string> states;  // {"h"} or {"h", "c"}

  // States after a step with input x [I].
  States (*step)(const CellWeights& weights, const Vector& x, const States& before);

  // From the gradients of the states after the step, d_after, those of x and of the states before
  // it; the gradients of the parameters are added to `gradients`.
  StepGradients (*step_backward)(const CellWeights& weights, const Vector& x, const States& before,
                                 const States& d_after, CellWeights& gradients);

  size_t peepholes = 0;      // gates that have one
  bool elementwise = false;  // hh is a vector, [1, H]
  // Of a cell with layer normalisation inside: the cell without it, how it is normalised ("gates",
  // "ba"), and what it learns besides.
  std::string plain = {}, norm = {};
  std::vector<CellNormVector> norms = {};
};

inline double sigmoid(double a) { return 1.0 / (1.0 + std::exp(-a)); }

// W_ih x + b_ih: [G*H].
inline Vector input_product(const CellWeights& weights, const Vector& x) {
  return sum(multiply(weights.ih, x), weights.bias_ih);
}

// W_hh h + b_hh: [G*H].
inline Vector recurrent_product(const CellWeights& weights, const Vector& h) {
  return sum(multiply(weights.hh, h), weights.bias_hh);
}

// Takes gradients of the two products of a step (those of the input product d_input [G*H], those
// of the recurrent product d_recurrent [G*H]) to the parameters and to x; returns that of h [H].
inline Vector products_backward(const CellWeights& weights, const Vector& x, const Vector& h,
                                const Vector& d_input, const Vector& d_recurrent,
                                CellWeights& gradients, Vector& dx) {
  add_outer(gradients.ih, d_input, x);
  add_outer(gradients.hh, d_recurrent, h);
  add(gradients.bias_ih, d_input);
  add(gradients.bias_hh, d_recurrent);
  dx = multiply_transposed(weights.ih, d_input);
  return multiply_transposed(weights.hh, d_recurrent);
}

}  // namespace ostinato::reference
