#include "core/layer.h"

#include "core/activation_layer.h"
#include "core/attention.h"
#include "core/batch_norm.h"
#include "core/conv1d.h"
#include "core/dense.h"
#include "core/depthwise_conv1d.h"
#include "core/dropout.h"
#include "core/embedding.h"
#include "core/error.h"
#include "core/final_state.h"
#include "core/global_pooling.h"
#include "core/glu.h"
#include "core/highway.h"
#include "core/last_step.h"
#include "core/layer_norm.h"
#include "core/merge_layers.h"
#include "core/pooling1d.h"
#include "core/recurrent.h"
#include "core/repeat_vector.h"
#include "core/reshape.h"
#include "core/rms_norm.h"

namespace ostinato {

void Pass::check_cancel() const {
  if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) throw Cancelled();
}

namespace {

[[noreturn]] void no_single_input() {
  throw Error("ERR_INVALID_ARGUMENT", "Expected a layer of one input");
}

}  // namespace

ValueShape Layer::build(const ValueShape& /*input*/, ParamTable& /*params*/) { no_single_input(); }

ValueShape Layer::build_from(std::span<const ValueShape> inputs, ParamTable& params) {
  if (inputs.size() == 1) return build(inputs[0], params);
  throw Error("ERR_INVALID_ARGUMENT", "Expected one input for layer \"" + config_.name +
                                          "\" but received " + std::to_string(inputs.size()));
}

TimeAxis Layer::output_axis(std::span<const ValueShape> inputs) const {
  for (const ValueShape& input : inputs) {
    if (input.timed) return input.axis;
  }
  return {};
}

Value LayerRun::forward(const Pass& /*pass*/, const ParamTable& /*params*/,
                        const Value& /*input*/) {
  no_single_input();
}

void LayerRun::backward(const Pass& /*pass*/, const ParamTable& /*params*/, const Value& /*input*/,
                        const Matrix& /*dy*/, const Matrix& /*dx*/) {
  no_single_input();
}

Value LayerRun::forward_from(const Pass& pass, const ParamTable& params,
                             std::span<const Value> inputs) {
  return forward(pass, params, inputs[0]);
}

void LayerRun::backward_to(const Pass& pass, const ParamTable& params,
                           std::span<const Value> inputs, const Matrix& dy,
                           std::span<const Matrix> dx) {
  backward(pass, params, inputs[0], dy, dx[0]);
}

void Layer::initialize(ParamTable& /*params*/, uint64_t /*seed*/, uint64_t /*index*/) const {}

void Layer::pack(const ParamTable& /*params*/, const Kernels& /*kernels*/, int /*threads*/) {}

void Layer::pack_backward(const ParamTable& /*params*/, const Kernels& /*kernels*/, int /*threads*/,
                          const Geometry& /*geometry*/) {}

std::unique_ptr<Layer> make_layer(const LayerConfig& config) {
  if (config.type == "embedding") return std::make_unique<Embedding>(config);
  if (config.type == "dense") return std::make_unique<Dense>(config);
  if (config.type == "activation") return std::make_unique<ActivationLayer>(config);
  if (config.type == "dropout" || config.type == "spatialDropout1d") {
    return std::make_unique<Dropout>(config);
  }
  if (config.type == "layerNorm") return std::make_unique<LayerNorm>(config);
  if (config.type == "attention") return std::make_unique<Attention>(config);
  if (config.type == "repeatVector") return std::make_unique<RepeatVector>(config);
  if (config.type == "reshape") return std::make_unique<Reshape>(config);
  if (config.type == "averagePooling1d" || config.type == "maxPooling1d") {
    return std::make_unique<Pooling1d>(config);
  }
  if (config.type == "finalState") return std::make_unique<FinalState>(config);
  if (config.type == "lastStep") return std::make_unique<LastStep>(config);
  if (config.type == "conv1d") return std::make_unique<Conv1d>(config);
  if (config.type == "depthwiseConv1d") return std::make_unique<DepthwiseConv1d>(config);
  if (config.type == "batchNorm") return std::make_unique<BatchNorm>(config);
  if (config.type == "rmsNorm") return std::make_unique<RmsNorm>(config);
  if (config.type == "glu") return std::make_unique<Glu>(config);
  if (config.type == "highway") return std::make_unique<Highway>(config);
  if (config.type == "globalAveragePooling1d" || config.type == "globalMaxPooling1d") {
    return std::make_unique<GlobalPooling>(config);
  }
  if (is_merge(config.type)) return make_merge(config);
  if (is_recurrent(config.type)) return make_recurrent(config);
  throw Error("ERR_INVALID_ARGUMENT", "Expected a type of layer for \"type\" of layer \"" +
                                          config.name + "\" but received \"" + config.type +
                                          "\" (string)");
}

}  // namespace ostinato
