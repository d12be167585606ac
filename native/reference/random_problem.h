// Random inputs, parameters and upstream gradients for tests. The same seed gives the same problem
// with every compiler and standard library. All values are exact in float, so that single-precision
// code can be given the very same numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "reference/recurrent.h"

namespace ostinato::reference {

class RandomSource {
 public:
  explicit RandomSource(uint64_t seed) : engine_(seed) {}

  // In [low, high), rounded to float.
  double uniform(double low, double high) {
    const double unit = static_cast<double>(engine_() >> 11) * 0x1p-53;
    return static_cast<double>(static_cast<float>(low + (high - low) * unit));
  }
  // 0 … count - 1.
  size_t index(size_t count) { return static_cast<size_t>(engine_() % count); }
  bool chance(double probability) { return uniform(0.0, 1.0) < probability; }

  Vector vector(size_t size, double low = -1.0, double high = 1.0) {
    Vector values(size);
    for (double& value : values) value = uniform(low, high);
    return values;
  }
  Matrix matrix(size_t rows, size_t cols, double low = -1.0, double high = 1.0) {
    return Matrix(rows, cols, vector(rows * cols, low, high));
  }
  // Values whose distance from zero is at least `margin`: for functions with a kink there.
  Matrix matrix_off_zero(size_t rows, size_t cols, double margin, double high = 1.0) {
    Matrix result = matrix(rows, cols, margin, high);
    for (double& value : result.values()) value = chance(0.5) ? value : -value;
    return result;
  }
  // Zeros and ones, at least one of them a one.
  Vector mask(size_t size, double keep = 0.6) {
    Vector values(size);
    for (double& value : values) value = chance(keep) ? 1.0 : 0.0;
    if (size > 0) values[index(size)] = 1.0;
    return values;
  }
  std::vector<int32_t> labels(size_t size, size_t classes) {
    std::vector<int32_t> values(size);
    for (int32_t& value : values) value = static_cast<int32_t>(index(classes));
    return values;
  }
  // Rows that are probabilities, each at least 0.2 / cols. Exact in double only.
  Matrix probabilities(size_t rows, size_t cols) {
    Matrix result = matrix(rows, cols, 0.2, 1.0);
    for (size_t r = 0; r < rows; ++r) {
      double total = 0.0;
      for (size_t c = 0; c < cols; ++c) total += result(r, c);
      for (size_t c = 0; c < cols; ++c) result(r, c) /= total;
    }
    return result;
  }
  // Lengths 0 … steps in no order; with three rows or more, one has no steps and one has all.
  std::vector<size_t> lengths(size_t batch, size_t steps) {
    std::vector<size_t> values(batch);
    for (size_t& value : values) value = index(steps + 1);
    if (batch > 0) values[0] = std::max<size_t>(values[0], std::min<size_t>(1, steps));
    if (batch > 1) values[batch - 1] = steps;
    if (batch > 2) values[batch / 2] = 0;
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

// The size of a problem and what it contains.
struct RecurrentProblemOptions {
  size_t batch = 3;
  size_t steps = 4;
  bool ragged = false;   // lengths of RandomSource::lengths; otherwise every row has all steps
  bool initial = false;  // initial states; otherwise zeros
  double dropout = 0.0;  // rate between layers
  // Rates inside the time loop: of the mask on h, zoneout of all states, dropout of candidates.
  double recurrent_dropout = 0.0, zoneout = 0.0, candidate_dropout = 0.0;
};

struct RecurrentProblem {
  RecurrentConfig config;
  RecurrentParams params;
  RecurrentInput input;
  RecurrentUpstream upstream;  // of the outputs and of every final state
};

// The loss whose gradients with respect to outputs and final states are `problem.upstream`: the sum
// of the products of both.
inline double loss(const RecurrentProblem& problem) {
  const RecurrentResult result = forward(problem.config, problem.params, problem.input);
  double total = 0.0;
  for (size_t i = 0; i < problem.upstream.y.size(); ++i) {
    total += problem.upstream.y[i] * result.y.at(i);
  }
  for (const auto& [name, d_state] : problem.upstream.final_states) {
    for (size_t i = 0; i < d_state.size(); ++i) {
      total += d_state[i] * result.final_states.at(name).at(i);
    }
  }
  return total;
}

inline RecurrentGradients backward(const RecurrentProblem& problem) {
  return backward(problem.config, problem.params, problem.input, problem.upstream);
}

// How near one step comes to a point where it has no derivative: the smallest |argument| of a relu
// or distance of a cell state from its bound, infinity for smooth cells.
inline double kink_distance(const std::string& cell, const CellWeights& weights, const Vector& x,
                            const States& before) {
  double distance = std::numeric_limits<double>::infinity();
  const auto arguments = [&](const Vector& a) {
    for (double value : a) distance = std::min(distance, std::abs(value));
  };
  if (cell == kElmanRelu.name) arguments(elman_preactivation(weights, x, before));
  if (cell == kIndRnnRelu.name) arguments(indrnn_preactivation(weights, x, before));
  if (cell == "elman_relu_gates") {
    const Summands a = summands(kElmanGates, weights, x, before[0]);
    arguments(sum(a.input, a.recurrent));
  }
  if (std::isfinite(weights.cell_clip)) {
    CellWeights unbounded = weights;
    unbounded.cell_clip = std::numeric_limits<double>::infinity();
    const States after = find_cell(cell).step(unbounded, x, before);
    for (double c : after[1]) {
      distance = std::min(distance, std::abs(std::abs(c) - weights.cell_clip));
    }
  }
  return distance;
}

// … and how near any step of the problem does. Finite differences need it to be well above their
// step.
inline double kink_distance(const RecurrentProblem& problem) {
  double distance = std::numeric_limits<double>::infinity();
  for (const LayerRun& layer : run_layers(problem.config, problem.params, problem.input)) {
    for (const DirectionRun& run : layer.directions) {
      for (size_t row = 0; row < run.x.size(); ++row) {
        CellWeights weights = run.dropout.masked(run.weights, row);
        for (size_t step = 0; step < run.x[row].size(); ++step) {
          run.dropout.set_candidate(weights, row, step);
          distance = std::min(distance, kink_distance(problem.config.cell, weights,
                                                      run.x[row][step], run.before[row][step]));
        }
      }
    }
  }
  return distance;
}

namespace detail {

inline RecurrentProblem draw(const RecurrentConfig& config, const RecurrentProblemOptions& options,
                             RandomSource& random) {
  const size_t batch = options.batch, steps = options.steps;
  RecurrentProblem problem;
  problem.config = config;
  // Relu units die easily in small networks, and then have no gradient to look at: theirs get
  // weights that lean to the positive, by a half for a whole row, and inputs above zero.
  const bool relu = config.cell == kElmanRelu.name || config.cell == kIndRnnRelu.name ||
                    config.cell == "elman_relu_gates";
  const double bound = 1.0 / std::sqrt(static_cast<double>(config.units));
  for (const ParamShape& shape : param_shapes(config)) {
    const double lean = relu && shape.cols > 1 ? 0.5 / static_cast<double>(shape.cols) : 0.0;
    const bool scale = shape.name.rfind("weight_ln", 0) == 0;
    problem.params[shape.name] =
        scale ? random.vector(shape.rows, 0.5, 1.5)
              : random.vector(shape.rows * shape.cols, lean - bound, lean + bound);
  }

  RecurrentInput& input = problem.input;
  input.batch = batch;
  input.steps = steps;
  input.x = random.vector(batch * steps * config.inputs, relu ? 0.0 : -1.0);
  if (options.ragged) input.lengths = random.lengths(batch, steps);
  const size_t slots = config.directions() * config.layers;
  for (const std::string& name : find_cell(config.cell).states) {
    const size_t size = config.state_size(name, batch);
    if (options.initial) input.initial[name] = random.vector(size, relu ? 0.0 : -1.0);
    problem.upstream.final_states[name] = random.vector(size);
  }
  for (size_t layer = 0; options.dropout > 0.0 && layer + 1 < config.layers; ++layer) {
    Vector mask = random.mask(batch * steps * config.features(), 1.0 - options.dropout);
    for (double& value : mask) value /= 1.0 - options.dropout;
    input.dropout_masks.push_back(mask);
  }
  if (options.recurrent_dropout > 0.0) {
    input.recurrent_mask =
        random.mask(slots * batch * config.hidden(), 1.0 - options.recurrent_dropout);
    for (double& value : input.recurrent_mask) value /= 1.0 - options.recurrent_dropout;
  }
  if (options.candidate_dropout > 0.0) {
    input.candidate_mask =
        random.mask(slots * batch * config.units * steps, 1.0 - options.candidate_dropout);
    for (double& value : input.candidate_mask) value /= 1.0 - options.candidate_dropout;
  }
  for (const std::string& name : find_cell(config.cell).states) {
    if (options.zoneout > 0.0)
      input.zoneout[name] = random.mask(config.state_size(name, batch) * steps, options.zoneout);
  }
  const size_t outputs = config.return_sequences ? batch * steps : batch;
  problem.upstream.y = random.vector(outputs * config.features());
  return problem;
}

}  // namespace detail

// A problem for this layer: parameters uniform in ±1/sqrt(H) as PyTorch draws them, everything else
// in ±1 (relu: see draw). Problems that come within `min_kink_distance` of a kink are drawn again;
// throws std::runtime_error when a thousand of them do, which asks for a smaller problem or
// distance.
inline RecurrentProblem random_recurrent_problem(const RecurrentConfig& config,
                                                 const RecurrentProblemOptions& options,
                                                 uint64_t seed, double min_kink_distance = 0.0) {
  check(config);
  RandomSource random(seed);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    RecurrentProblem problem = detail::draw(config, options, random);
    if (min_kink_distance <= 0.0 || kink_distance(problem) >= min_kink_distance) return problem;
  }
  throw std::runtime_error(
      "Expected a problem away from every kink for \"min_kink_distance\" but received none in 1000 "
      "(number)");
}

}  // namespace ostinato::reference
