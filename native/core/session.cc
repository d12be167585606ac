#include "core/session.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace ostinato {

namespace {

void expect_streamable(const Network& network) {
  for (const std::shared_ptr<Layer>& layer : network.layers()) {
    if (layer->streamable()) continue;
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected layers that can run one step at a time for a session but received \"" +
                    layer->config().name + "\" (" + layer->config().type +
                    "), which needs whole sequences");
  }
}

}  // namespace

Session::Session(std::shared_ptr<Network> network, int64_t streams)
    : network_(network),
      executor_(network),
      streams_(streams),
      geometries_(network->model_shape().axes.size()),
      input_rows_(network->input_count()),
      inputs_(network->input_count()) {
  expect_streamable(*network_);
  for (Geometry& geometry : geometries_) geometry.assign(streams, 1, nullptr);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ValueShape& shape = network_->model_shape().inputs[i];
    inputs_[i].rows = streams;
    if (shape.tokens) continue;
    input_rows_[i].reserve(streams * padded(shape.features));
    inputs_[i].floats = {input_rows_[i].data(), streams, shape.features, padded(shape.features)};
  }
  reset();
}

Session::Session(const Session& other) : Session(other.network_, other.streams_) {
  values_ = other.values_;
}

void Session::reset() {
  values_.resize(states().size());
  for (size_t i = 0; i < values_.size(); ++i) {
    const StateInfo& info = states()[i].info;
    values_[i].assign(info.slots * streams_ * info.features, 0.0f);
  }
}

void Session::step(std::span<const StepValue> inputs, std::span<float* const> outputs,
                   int threads) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Value& input = inputs_[i];
    if (inputs[i].tokens != nullptr) {
      input.tokens = inputs[i].tokens;
      continue;
    }
    const Matrix& rows = input.floats;
    for (int64_t row = 0; row < streams_; ++row) {
      std::memcpy(rows.row(row), inputs[i].floats + row * rows.cols,
                  static_cast<size_t>(rows.cols) * sizeof(float));
    }
  }
  executor_.set_initial_states(values_, streams_);
  RunOptions options;
  options.threads = threads;
  executor_.forward(geometries_, inputs_, options);
  executor_.get_final_states(values_);
  // One step for every row: packed rows, sorted rows and batch rows are the same.
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Matrix& y = executor_.output(i).floats;
    for (int64_t row = 0; row < streams_; ++row) {
      std::memcpy(outputs[i] + row * y.cols, y.row(row),
                  static_cast<size_t>(y.cols) * sizeof(float));
    }
  }
}

}  // namespace ostinato
