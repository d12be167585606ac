#include "core/predictor.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace ostinato {

namespace {

// Copies rows in the geometry's order to batch order: [B, steps, features], zeros beyond a row's
// length, when `timed`, else [B, features].
void unpack(const Geometry& geometry, bool timed, const Matrix& rows, int64_t steps, float* out) {
  const size_t bytes = static_cast<size_t>(rows.cols) * sizeof(float);
  const int64_t span = timed ? steps * rows.cols : rows.cols;  // floats of a batch row
  if (timed) std::fill_n(out, geometry.batch() * span, 0.0f);
  for (int64_t sorted = 0; sorted < geometry.batch(); ++sorted) {
    float* to = out + geometry.batch_row(sorted) * span;
    if (!timed) {
      std::memcpy(to, rows.row(sorted), bytes);
      continue;
    }
    for (int64_t t = 0; t < geometry.length(sorted); ++t) {
      std::memcpy(to + t * rows.cols, rows.row(geometry.row(sorted, t)), bytes);
    }
  }
}

// The gradient of the output that stands in the place of dense targets, zeros where there are none.
void copy_rows(const Matrix& from, const Matrix& to) {
  for (int64_t row = 0; row < to.rows; ++row) {
    if (from) {
      std::memcpy(to.row(row), from.row(row), static_cast<size_t>(to.cols) * sizeof(float));
    } else {
      std::fill_n(to.row(row), to.cols, 0.0f);
    }
  }
}

void expect_steps(const Geometry& geometry, bool timed, int64_t steps) {
  if (!timed || geometry.steps() <= steps) return;
  throw Error("ERR_SHAPE_MISMATCH", "Expected samples of at most " + std::to_string(steps) +
                                        " steps but received " + std::to_string(geometry.steps()));
}

}  // namespace

Predictor::Predictor(std::shared_ptr<Network> network) : executor_(std::move(network)) {}

void Predictor::predict(const Dataset& data, const int32_t* samples, int64_t count, int64_t steps,
                        const StateValues& initial_states, int threads,
                        const std::atomic<bool>* cancel, std::span<float* const> outputs,
                        StateValues* final_states) {
  const ModelShape& shape = executor_.network().model_shape();
  batch_.assemble_inputs(data, samples, count, shape, threads);
  executor_.set_initial_states(initial_states, count);
  RunOptions options;
  options.threads = threads;
  options.cancel = cancel;
  for (const ValueShape& output : shape.outputs) {
    expect_steps(batch_.geometry_of(shape, output), output.timed, data.padded_steps(output, steps));
  }
  executor_.forward(batch_.geometries(), batch_.inputs(), options);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueShape& output = shape.outputs[i];
    unpack(batch_.geometry_of(shape, output), output.timed, executor_.output(i).floats,
           data.padded_steps(output, steps), outputs[i]);
  }
  if (final_states != nullptr) executor_.get_final_states(*final_states);
}

std::vector<std::vector<float>> Predictor::attention(const Dataset& data, int64_t count,
                                                     int64_t steps) {
  const Network& network = executor_.network();
  const ModelShape& shape = network.model_shape();
  std::vector<std::vector<float>> weights;
  for (const size_t node : network.attention_nodes()) {
    int64_t sizes[2];
    for (size_t i = 0; i < 2; ++i) {
      const ValueShape& value = network.shapes()[network.nodes()[node].inputs[i]];
      sizes[i] = data.padded_steps(value, steps);
      expect_steps(batch_.geometry_of(shape, value), value.timed, sizes[i]);
    }
    weights.emplace_back(count * sizes[0] * sizes[1]);
    executor_.get_attention(node, sizes[0], sizes[1], weights.back().data());
  }
  return weights;
}

LossValue Predictor::evaluate(const Dataset& data, const int32_t* samples, int64_t count,
                              Losses& losses, bool carry_state, int threads,
                              const std::atomic<bool>* cancel) {
  batch_.assemble(data, samples, count, executor_.network().model_shape(), threads);
  executor_.set_initial_states(carry_state ? carried_ : kZeroStates, count);
  RunOptions options;
  options.threads = threads;
  options.cancel = cancel;
  executor_.forward(batch_.geometries(), batch_.inputs(), options);
  const LossValue value = losses.evaluate(executor_, batch_, false, threads);
  if (carry_state) executor_.get_final_states(carried_);
  return value;
}

Predictor::Gradients Predictor::gradients(const Dataset& data, const int32_t* samples,
                                          int64_t count, int64_t steps, Losses* losses,
                                          const StateValues& initial_states,
                                          const StateValues& state_gradients, int threads,
                                          const std::atomic<bool>* cancel) {
  const ModelShape& shape = executor_.network().model_shape();
  batch_.assemble(data, samples, count, shape, threads);
  for (const ValueShape& input : shape.inputs) {
    expect_steps(batch_.geometry_of(shape, input), input.timed, data.padded_steps(input, steps));
  }
  executor_.set_initial_states(initial_states, count);
  RunOptions options;
  options.threads = threads;
  options.gradients = true;
  options.input_gradient = std::any_of(shape.inputs.begin(), shape.inputs.end(),
                                       [](const ValueShape& input) { return !input.tokens; });
  options.cancel = cancel;
  executor_.forward(batch_.geometries(), batch_.inputs(), options);
  Gradients result;
  const auto floats_of = [&](const ValueShape& value) {
    return count * data.padded_steps(value, steps) * value.features;
  };
  std::vector<Matrix> dy;
  for (size_t i = 0; i < shape.outputs.size(); ++i) {
    const ValueShape& output = shape.outputs[i];
    result.outputs.emplace_back(floats_of(output));
    unpack(batch_.geometry_of(shape, output), output.timed, executor_.output(i).floats,
           data.padded_steps(output, steps), result.outputs.back().data());
    dy.push_back(executor_.output_gradient(i));
    if (losses == nullptr) copy_rows(batch_.targets(i).dense, dy.back());
  }
  executor_.get_final_states(result.final_states);
  if (losses != nullptr) result.loss = losses->evaluate(executor_, batch_, true, threads);
  executor_.set_final_state_gradients(state_gradients, count);
  executor_.backward(dy);
  for (size_t i = 0; i < shape.inputs.size(); ++i) {
    const ValueShape& input = shape.inputs[i];
    result.inputs.emplace_back(input.tokens ? 0 : floats_of(input));
    if (input.tokens) continue;
    unpack(batch_.geometry_of(shape, input), input.timed, executor_.input_gradient(i),
           data.padded_steps(input, steps), result.inputs.back().data());
  }
  for (size_t i = 0; i < states().size(); ++i) {
    const StateInfo& info = states()[i].info;
    result.initial_states.emplace_back(info.slots * count * info.features);
    executor_.get_initial_state_gradient(i, result.initial_states.back().data());
  }
  return result;
}

}  // namespace ostinato
