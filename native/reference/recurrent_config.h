// What a recurrent layer is and what goes into it and comes out of it.
// Shapes: B rows, T steps, I inputs, H units, G gates, L layers, D directions (1 or 2), P values of
// h: H, unless it is projected, F features of a layer's output: D*P when two directions are
// concatenated, otherwise P. Where a state stands for all, S are its values: P of h, H of others.
#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/cells.h"

namespace ostinato::reference {

// How the outputs of the two directions of a bidirectional layer are joined.
enum class Merge { kConcat, kSum, kMul, kAve };

struct RecurrentConfig {
  std::string cell = "lstm";
  size_t inputs = 1;  // I
  size_t units = 1;   // H
  // P of a projected h, 0: it is not. For cells that read h in their products alone.
  size_t projection = 0;
  size_t layers = 1;  // L
  bool bidirectional = false;
  Merge merge = Merge::kConcat;
  // Every row is read from its last valid step to its first, and the outputs stay in that order,
  // as in Keras. With several layers the input is turned round once, before the first. Not
  // together with `bidirectional`.
  bool go_backwards = false;
  bool use_bias = true;
  bool return_sequences = true;
  double cell_clip = std::numeric_limits<double>::infinity();  // of cells that clip

  size_t directions() const { return bidirectional ? 2 : 1; }
  size_t hidden() const { return projection > 0 ? projection : units; }
  // Values of a state: the first one is h.
  size_t width(size_t state) const { return state == 0 ? hidden() : units; }
  size_t features() const {
    return bidirectional && merge == Merge::kConcat ? 2 * hidden() : hidden();
  }
  // States of all directions and layers for so many rows.
  size_t state_size(size_t state, size_t batch) const {
    return directions() * layers * batch * width(state);
  }
  size_t state_size(const std::string& name, size_t batch) const {
    const std::vector<std::string>& names = find_cell(cell).states;
    return state_size(name == names[0] ? 0 : 1, batch);
  }
};

// Throws std::invalid_argument where options contradict each other.
inline void check(const RecurrentConfig& config) {
  find_cell(config.cell);
  if (config.inputs == 0 || config.units == 0 || config.layers == 0) {
    throw std::invalid_argument(
        "Expected positive sizes for \"inputs\", \"units\" and \"layers\" but received 0 (number)");
  }
  if (config.projection > 0 && config.cell.rfind("lstm", 0) != 0) {
    throw std::invalid_argument("Expected an LSTM for \"projection\" but received \"" +
                                config.cell + "\" (string)");
  }
  if (config.bidirectional && config.go_backwards) {
    throw std::invalid_argument(
        "Expected false for \"go_backwards\" of a bidirectional layer but received true (boolean)");
  }
}

using NamedVectors = std::map<std::string, Vector>;

// Values by PyTorch's names: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, …, _reverse.
using RecurrentParams = NamedVectors;

struct ParamShape {
  std::string name;
  size_t rows;
  size_t cols;  // 1 for biases, whose shape is [rows]
};

// "weight_ih", 1, reverse -> "weight_ih_l1_reverse".
inline std::string param_name(const std::string& kind, size_t layer, size_t direction) {
  return kind + "_l" + std::to_string(layer) + (direction == 1 ? "_reverse" : "");
}

// The vectors of a cell's layer normalisation; without biases it has no shifts.
inline std::vector<CellNormVector> norm_vectors(const RecurrentConfig& config) {
  std::vector<CellNormVector> vectors;
  for (const CellNormVector& vector : find_cell(config.cell).norms) {
    if (config.use_bias || vector.name.rfind("bias", 0) != 0) vectors.push_back(vector);
  }
  return vectors;
}

// The parameters of a layer in PyTorch's order.
inline std::vector<ParamShape> param_shapes(const RecurrentConfig& config) {
  const Cell& cell = find_cell(config.cell);
  const size_t gate_rows = cell.gates * config.units;
  std::vector<ParamShape> shapes;
  for (size_t layer = 0; layer < config.layers; ++layer) {
    const size_t inputs = layer == 0 ? config.inputs : config.features();
    for (size_t direction = 0; direction < config.directions(); ++direction) {
      shapes.push_back({param_name("weight_ih", layer, direction), gate_rows, inputs});
      shapes.push_back({param_name("weight_hh", layer, direction), gate_rows,
                        cell.elementwise ? 1 : config.hidden()});
      if (cell.peepholes > 0) {
        shapes.push_back(
            {param_name("weight_ch", layer, direction), cell.peepholes * config.units, 1});
      }
      for (const CellNormVector& vector : norm_vectors(config)) {
        shapes.push_back(
            {param_name(vector.name, layer, direction), vector.blocks * config.units, 1});
      }
      if (config.use_bias) {
        shapes.push_back({param_name("bias_ih", layer, direction), gate_rows, 1});
        shapes.push_back({param_name("bias_hh", layer, direction), gate_rows, 1});
      }
      if (config.projection > 0) {
        shapes.push_back(
            {param_name("weight_hr", layer, direction), config.projection, config.units});
      }
    }
  }
  return shapes;
}

struct RecurrentInput {
  size_t batch = 0;  // B
  size_t steps = 0;  // T
  Vector x;          // [B, T, I]; what lies beyond a row's length is never read
  // Valid steps of each row, 0 … T; empty: all T.
  std::vector<size_t> lengths;
  // Initial states by name, [D*L, B, S], slot = layer * D + direction; absent: zeros.
  NamedVectors initial;
  // One mask [B, T, F] for the output of each layer but the last, in the order in which the layer
  // puts it out; it multiplies the output, so kept values hold 1 / (1 - rate). Empty: no dropout.
  std::vector<Vector> dropout_masks;
  // Factors of h before the recurrent products, [D*L, B, P], the same for all steps of a row.
  // Empty: ones.
  Vector recurrent_mask;
  // Zoneout by the states' names: how much of the state before a step stays after it, 0 … 1,
  // [D*L, B, T, S] with steps in the order of x; absent: zeros.
  NamedVectors zoneout;
  // Factors of the candidates, [D*L, B, T, H] likewise. Empty: ones.
  Vector candidate_mask;

  size_t length(size_t row) const { return lengths.empty() ? steps : lengths.at(row); }
};

struct RecurrentResult {
  // [B, T, F], zero beyond a row's length; or, without return_sequences, [B, F]: what the forward
  // direction put out at the row's last valid step, merged with what the reverse direction put out
  // last, which is at the row's first step. Zeros for a row of no steps.
  Vector y;
  // States by name after each row's last processed step, [D*L, B, S]; the initial state for a row
  // of no steps.
  NamedVectors final_states;
};

// Gradients of a loss with respect to a RecurrentResult, in its shapes; empty or absent: zeros.
struct RecurrentUpstream {
  Vector y;
  NamedVectors final_states;
};

// Gradients of that loss with respect to everything that went in.
struct RecurrentGradients {
  Vector x;                // [B, T, I], zero beyond a row's length
  NamedVectors initial;    // [D*L, B, S], for every state of the cell
  RecurrentParams params;  // by name, in the shapes of the parameters
};

// Throws std::invalid_argument where an input's sizes do not fit.
inline void check(const RecurrentConfig& config, const RecurrentParams& params,
                  const RecurrentInput& input) {
  check(config);
  for (const ParamShape& shape : param_shapes(config)) {
    const auto found = params.find(shape.name);
    expect_size(shape.name, found == params.end() ? 0 : found->second.size(),
                shape.rows * shape.cols);
  }
  expect_size("x", input.x.size(), input.batch * input.steps * config.inputs);
  if (!input.lengths.empty()) expect_size("lengths", input.lengths.size(), input.batch);
  for (size_t row = 0; row < input.batch; ++row) {
    if (input.length(row) > input.steps) {
      throw std::invalid_argument("Expected at most " + std::to_string(input.steps) +
                                  " for \"lengths\" but received " +
                                  std::to_string(input.length(row)) + " (number)");
    }
  }
  for (const auto& [name, state] : input.initial) {
    expect_size(name, state.size(), config.state_size(name, input.batch));
  }
  if (!input.recurrent_mask.empty()) {
    expect_size("recurrent_mask", input.recurrent_mask.size(), config.state_size(0, input.batch));
  }
  if (!input.candidate_mask.empty()) {
    expect_size("candidate_mask", input.candidate_mask.size(),
                config.directions() * config.layers * input.batch * config.units * input.steps);
  }
  for (const auto& [name, kept] : input.zoneout) {
    expect_size(name, kept.size(), config.state_size(name, input.batch) * input.steps);
  }
  if (!input.dropout_masks.empty()) {
    expect_size("dropout_masks", input.dropout_masks.size(), config.layers - 1);
  }
  for (const Vector& mask : input.dropout_masks) {
    expect_size("dropout_masks", mask.size(), input.batch * input.steps * config.features());
  }
}

}  // namespace ostinato::reference
