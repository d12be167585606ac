#include "core/session.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace ostinato {

namespace {

void expect_streamable(const Network& network) {
  if (network.input_count() != 1 || network.outputs().size() != 1) {
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected a model of one input and one output for a session");
  }
  for (const std::unique_ptr<Layer>& layer : network.layers()) {
    if (layer->streamable()) continue;
    throw Error("ERR_INVALID_ARGUMENT",
                "Expected layers that can run one step at a time for a session but received \"" +
                    layer->config().name + "\" (" + layer->config().type +
                    "), which needs whole sequences");
  }
}

}  // namespace

Session::Session(std::shared_ptr<Network> network, int64_t streams)
    : network_(network), executor_(network), streams_(streams) {
  expect_streamable(*network_);
  geometry_.assign(streams, 1, nullptr);
  input_.reserve(streams * padded(network_->input_shape().features));
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

void Session::step(const int32_t* tokens, const float* floats, float* output, int threads) {
  const ValueShape& shape = network_->input_shape();
  Value input;
  input.rows = streams_;
  if (shape.tokens) {
    input.tokens = tokens;
  } else {
    input.floats = {input_.data(), streams_, shape.features, padded(shape.features)};
    for (int64_t row = 0; row < streams_; ++row) {
      std::memcpy(input.floats.row(row), floats + row * shape.features,
                  static_cast<size_t>(shape.features) * sizeof(float));
    }
  }
  executor_.set_initial_states(values_, streams_);
  RunOptions options;
  options.threads = threads;
  const Matrix y = executor_.forward(geometry_, input, options).floats;
  executor_.get_final_states(values_);
  // One step for every row: packed rows, sorted rows and batch rows are the same.
  for (int64_t row = 0; row < streams_; ++row) {
    std::memcpy(output + row * y.cols, y.row(row), static_cast<size_t>(y.cols) * sizeof(float));
  }
}

}  // namespace ostinato
