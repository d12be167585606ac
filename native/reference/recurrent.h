// The recurrent layer: any cell, stacked, in one direction or two, over rows of unequal lengths.
// Back-propagation through time walks the same steps in the opposite order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "reference/cells.h"
#include "reference/matrix.h"
#include "reference/projection.h"
#include "reference/recurrent_config.h"
#include "reference/recurrent_dropout.h"
#include "reference/sequences.h"

namespace ostinato::reference {

// One direction of one layer, as it ran. Steps are in processing order.
struct DirectionRun {
  CellWeights weights;
  DirectionDropout dropout;
  Sequences x;                              // [row][step] inputs
  Sequences y;                              // [row][step] outputs
  std::vector<std::vector<States>> before;  // [row][step] states before the step
  std::vector<States> after_last;           // [row] final states
};

struct LayerRun {
  std::vector<DirectionRun> directions;  // forward, reverse
  Sequences y;                           // merged, before dropout
};

// ---- parameters and states between their flat and their structured form ---------------------

// Zeros in the shapes of a cell's parameters.
inline CellWeights empty_weights(const Cell& cell, size_t inputs, size_t units,
                                 size_t projection = 0) {
  CellWeights weights(cell.gates, inputs, units, projection);
  if (cell.elementwise) weights.hh = Matrix(1, units);
  weights.ch.assign(cell.peepholes * units, 0.0);
  for (const CellNormVector& vector : cell.norms) {
    weights.norms[vector.name].assign(vector.blocks * units, 0.0);
  }
  return weights;
}

inline CellWeights read_weights(const RecurrentConfig& config, const RecurrentParams& params,
                                size_t layer, size_t direction) {
  const size_t inputs = layer == 0 ? config.inputs : config.features();
  const Cell& cell = find_cell(config.cell);
  CellWeights weights = empty_weights(cell, inputs, config.units, config.projection);
  weights.cell_clip = config.cell_clip;
  weights.ih.values() = params.at(param_name("weight_ih", layer, direction));
  weights.hh.values() = params.at(param_name("weight_hh", layer, direction));
  if (cell.peepholes > 0) weights.ch = params.at(param_name("weight_ch", layer, direction));
  if (weights.projects())
    weights.hr.values() = params.at(param_name("weight_hr", layer, direction));
  for (const CellNormVector& vector : norm_vectors(config)) {
    weights.norms[vector.name] = params.at(param_name(vector.name, layer, direction));
  }
  if (config.use_bias) {
    weights.bias_ih = params.at(param_name("bias_ih", layer, direction));
    weights.bias_hh = params.at(param_name("bias_hh", layer, direction));
  }
  return weights;
}

inline void write_weights(const RecurrentConfig& config, const CellWeights& weights, size_t layer,
                          size_t direction, RecurrentParams& params) {
  params[param_name("weight_ih", layer, direction)] = weights.ih.values();
  params[param_name("weight_hh", layer, direction)] = weights.hh.values();
  if (!weights.ch.empty()) params[param_name("weight_ch", layer, direction)] = weights.ch;
  if (weights.projects()) params[param_name("weight_hr", layer, direction)] = weights.hr.values();
  for (const CellNormVector& vector : norm_vectors(config)) {
    params[param_name(vector.name, layer, direction)] = weights.norms.at(vector.name);
  }
  if (!config.use_bias) return;
  params[param_name("bias_ih", layer, direction)] = weights.bias_ih;
  params[param_name("bias_hh", layer, direction)] = weights.bias_hh;
}

// Where the state of (layer, direction, row) begins in [D*L, B, S].
inline size_t state_offset(const RecurrentConfig& config, size_t state, size_t batch, size_t layer,
                           size_t direction, size_t row) {
  return ((layer * config.directions() + direction) * batch + row) * config.width(state);
}

// The states of one row of one direction; zeros for those that `named` does not hold.
inline States read_states(const RecurrentConfig& config, const NamedVectors& named, size_t batch,
                          size_t layer, size_t direction, size_t row) {
  States states;
  for (const std::string& name : find_cell(config.cell).states) {
    const size_t offset = state_offset(config, states.size(), batch, layer, direction, row);
    Vector state(config.width(states.size()), 0.0);
    const auto found = named.find(name);
    for (size_t j = 0; found != named.end() && j < state.size(); ++j) {
      state[j] = found->second.at(offset + j);
    }
    states.push_back(state);
  }
  return states;
}

inline void write_states(const RecurrentConfig& config, const States& states, size_t batch,
                         size_t layer, size_t direction, size_t row, NamedVectors& named) {
  const std::vector<std::string>& names = find_cell(config.cell).states;
  for (size_t s = 0; s < names.size(); ++s) {
    const size_t offset = state_offset(config, s, batch, layer, direction, row);
    Vector& all = named[names[s]];
    all.resize(config.state_size(s, batch), 0.0);
    for (size_t j = 0; j < config.width(s); ++j) all.at(offset + j) = states.at(s).at(j);
  }
}

// ---- forward --------------------------------------------------------------------------------

// Runs one direction over rows that are already in processing order.
inline DirectionRun run_direction(const Cell& cell, CellWeights weights, DirectionDropout dropout,
                                  Sequences x, const std::vector<States>& initial) {
  DirectionRun run;
  run.weights = std::move(weights);
  run.dropout = std::move(dropout);
  run.x = std::move(x);
  run.y.resize(run.x.size());
  run.before.resize(run.x.size());
  for (size_t row = 0; row < run.x.size(); ++row) {
    States states = initial.at(row);
    CellWeights row_weights = run.dropout.masked(run.weights, row);
    for (size_t step = 0; step < run.x[row].size(); ++step) {
      run.before[row].push_back(states);
      run.dropout.set_candidate(row_weights, row, step);
      states = run.dropout.zoned(
          states, projected_step(cell, row_weights, run.x[row][step], states), row, step);
      run.y[row].push_back(states[0]);
    }
    run.after_last.push_back(states);
  }
  return run;
}

// Runs all layers, keeping all that happened on the way.
inline std::vector<LayerRun> run_layers(const RecurrentConfig& config,
                                        const RecurrentParams& params,
                                        const RecurrentInput& input) {
  check(config, params, input);
  const Cell& cell = find_cell(config.cell);
  Sequences x = unpad(input.x, config.inputs, input);
  if (config.go_backwards) x = reversed(x);

  std::vector<LayerRun> layers;
  for (size_t layer = 0; layer < config.layers; ++layer) {
    LayerRun run;
    for (size_t direction = 0; direction < config.directions(); ++direction) {
      std::vector<States> initial;
      for (size_t row = 0; row < input.batch; ++row) {
        initial.push_back(read_states(config, input.initial, input.batch, layer, direction, row));
      }
      run.directions.push_back(run_direction(cell, read_weights(config, params, layer, direction),
                                             read_dropout(config, input, layer, direction),
                                             direction == 1 ? reversed(x) : x, initial));
    }
    run.y = run.directions[0].y;
    if (config.bidirectional) {
      const Sequences reverse = reversed(run.directions[1].y);
      for (size_t row = 0; row < input.batch; ++row) {
        for (size_t step = 0; step < run.y[row].size(); ++step) {
          run.y[row][step] = merged(config.merge, run.y[row][step], reverse[row][step]);
        }
      }
    }
    x = run.y;
    if (layer + 1 < config.layers && !input.dropout_masks.empty()) {
      multiply_by(x, unpad(input.dropout_masks[layer], config.features(), input));
    }
    layers.push_back(std::move(run));
  }
  return layers;
}

// The whole layer. Throws std::invalid_argument for sizes that do not fit.
inline RecurrentResult forward(const RecurrentConfig& config, const RecurrentParams& params,
                               const RecurrentInput& input) {
  const std::vector<LayerRun> layers = run_layers(config, params, input);
  RecurrentResult result;
  for (size_t layer = 0; layer < config.layers; ++layer) {
    for (size_t direction = 0; direction < config.directions(); ++direction) {
      for (size_t row = 0; row < input.batch; ++row) {
        write_states(config, layers[layer].directions[direction].after_last[row], input.batch,
                     layer, direction, row, result.final_states);
      }
    }
  }

  const LayerRun& last = layers.back();
  if (config.return_sequences) {
    result.y = pad(last.y, config.features(), input);
    return result;
  }
  for (size_t row = 0; row < input.batch; ++row) {
    Vector y(config.features(), 0.0);
    if (input.length(row) > 0) {
      y = last.directions[0].y[row].back();
      if (config.bidirectional) y = merged(config.merge, y, last.directions[1].y[row].back());
    }
    result.y.insert(result.y.end(), y.begin(), y.end());
  }
  return result;
}

// ---- backward -------------------------------------------------------------------------------

// Back through one direction. dy [row][step] in processing order, d_final [row]. Adds to
// `gradients`; returns dx in processing order and leaves the initial states' gradients in d_final.
inline Sequences run_direction_backward(const Cell& cell, const DirectionRun& run,
                                        const Sequences& dy, std::vector<States>& d_final,
                                        CellWeights& gradients) {
  Sequences dx = zeros_like(run.x);
  for (size_t row = 0; row < run.x.size(); ++row) {
    States& d_states = d_final.at(row);
    CellWeights row_weights = run.dropout.masked(run.weights, row);
    CellWeights row_gradients =
        empty_weights(cell, run.weights.ih.cols(), run.weights.units(), run.weights.hr.rows());
    for (size_t step = run.x[row].size(); step-- > 0;) {
      add(d_states[0], dy.at(row).at(step));
      run.dropout.set_candidate(row_weights, row, step);
      const States d_kept = run.dropout.split_gradient(d_states, row, step);
      StepGradients d = projected_step_backward(cell, row_weights, run.x[row][step],
                                                run.before[row][step], d_states, row_gradients);
      dx[row][step] = std::move(d.x);
      d_states = std::move(d.before);
      for (size_t s = 0; s < d_states.size(); ++s) add(d_states[s], d_kept[s]);
    }
    add(gradients, run.dropout.masked(row_gradients, row));
  }
  return dx;
}

// Gradients of the outputs of each direction of the last layer, in processing order, from those of
// the result.
inline std::vector<Sequences> last_layer_backward(const RecurrentConfig& config,
                                                  const LayerRun& last, const RecurrentInput& input,
                                                  const Vector& dy) {
  std::vector<Sequences> d_directions;
  for (const DirectionRun& run : last.directions) d_directions.push_back(zeros_like(run.y));
  if (dy.empty()) return d_directions;

  expect_size("upstream y", dy.size(), input.batch * config.features());
  for (size_t row = 0; row < input.batch; ++row) {
    if (input.length(row) == 0) continue;
    const double* begin = dy.data() + row * config.features();
    const Vector d(begin, begin + config.features());
    if (!config.bidirectional) {
      d_directions[0][row].back() = d;
      continue;
    }
    const MergeGradients parts = merged_backward(config.merge, last.directions[0].y[row].back(),
                                                 last.directions[1].y[row].back(), d);
    d_directions[0][row].back() = parts.forward;
    d_directions[1][row].back() = parts.reverse;
  }
  return d_directions;
}

// Gradients of the outputs of each direction, in processing order, from those of the merged one.
inline std::vector<Sequences> merge_backward(const RecurrentConfig& config, const LayerRun& layer,
                                             const Sequences& dy) {
  if (!config.bidirectional) return {dy};
  const Sequences& forward_y = layer.directions[0].y;
  const Sequences reverse_y = reversed(layer.directions[1].y);
  Sequences d_forward = zeros_like(forward_y), d_reverse = zeros_like(reverse_y);
  for (size_t row = 0; row < dy.size(); ++row) {
    for (size_t step = 0; step < dy[row].size(); ++step) {
      MergeGradients d =
          merged_backward(config.merge, forward_y[row][step], reverse_y[row][step], dy[row][step]);
      d_forward[row][step] = std::move(d.forward);
      d_reverse[row][step] = std::move(d.reverse);
    }
  }
  return {d_forward, reversed(d_reverse)};
}

// All gradients of a loss whose gradients with respect to the result are `upstream`. Throws
// std::invalid_argument for sizes that do not fit.
inline RecurrentGradients backward(const RecurrentConfig& config, const RecurrentParams& params,
                                   const RecurrentInput& input, const RecurrentUpstream& upstream) {
  const std::vector<LayerRun> layers = run_layers(config, params, input);
  const Cell& cell = find_cell(config.cell);
  for (const auto& [name, d] : upstream.final_states) {
    expect_size(name, d.size(), config.state_size(name, input.batch));
  }
  RecurrentGradients gradients;

  Sequences dy;  // of the current layer's merged output
  if (config.return_sequences) {
    dy = upstream.y.empty() ? zeros_like(layers.back().y)
                            : unpad(upstream.y, config.features(), input);
  }
  for (size_t layer = config.layers; layer-- > 0;) {
    const LayerRun& run = layers[layer];
    const bool selects_step = layer + 1 == config.layers && !config.return_sequences;
    const std::vector<Sequences> d_directions =
        selects_step ? last_layer_backward(config, run, input, upstream.y)
                     : merge_backward(config, run, dy);

    Sequences dx;
    for (size_t direction = 0; direction < config.directions(); ++direction) {
      const DirectionRun& direction_run = run.directions[direction];
      std::vector<States> d_states;
      for (size_t row = 0; row < input.batch; ++row) {
        d_states.push_back(
            read_states(config, upstream.final_states, input.batch, layer, direction, row));
      }
      CellWeights d_weights =
          empty_weights(cell, direction_run.weights.ih.cols(), config.units, config.projection);
      const Sequences d =
          run_direction_backward(cell, direction_run, d_directions[direction], d_states, d_weights);
      write_weights(config, d_weights, layer, direction, gradients.params);
      for (size_t row = 0; row < input.batch; ++row) {
        write_states(config, d_states[row], input.batch, layer, direction, row, gradients.initial);
      }
      if (direction == 0) {
        dx = d;
      } else {
        add(dx, reversed(d));
      }
    }
    dy = std::move(dx);
    if (layer > 0 && !input.dropout_masks.empty()) {
      multiply_by(dy, unpad(input.dropout_masks[layer - 1], config.features(), input));
    }
  }
  if (config.go_backwards) dy = reversed(dy);
  gradients.x = pad(dy, config.inputs, input);
  return gradients;
}

}  // namespace ostinato::reference
