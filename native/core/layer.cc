#include "core/layer.h"

#include "core/activation_layer.h"
#include "core/batch_norm.h"
#include "core/conv1d.h"
#include "core/dense.h"
#include "core/depthwise_conv1d.h"
#include "core/dropout.h"
#include "core/embedding.h"
#include "core/error.h"
#include "core/global_pooling.h"
#include "core/glu.h"
#include "core/highway.h"
#include "core/last_step.h"
#include "core/layer_norm.h"
#include "core/recurrent.h"
#include "core/rms_norm.h"

namespace ostinato {

void Pass::check_cancel() const {
  if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) throw Cancelled();
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
  if (is_recurrent(config.type)) return make_recurrent(config);
  throw Error("ERR_INVALID_ARGUMENT", "Expected a type of layer for \"type\" of layer \"" +
                                          config.name + "\" but received \"" + config.type +
                                          "\" (string)");
}

}  // namespace ostinato
