#include "core/attention.h"

#include "core/attention_run.h"
#include "core/checks.h"
#include "core/error.h"
#include "core/init.h"

namespace ostinato {

namespace {

AttentionScore score_option(const LayerConfig& config) {
  const std::string name = config.text("score", "");
  if (name == "dot") return AttentionScore::kDot;
  if (name == "general") return AttentionScore::kGeneral;
  if (name == "additive") return AttentionScore::kAdditive;
  throw Error("ERR_INVALID_ARGUMENT",
              "Expected dot, general or additive for \"score\" of layer \"" + config.name +
                  "\" but received \"" + name + "\" (string)");
}

}  // namespace

Attention::Attention(const LayerConfig& config) : Layer(config), score_(score_option(config)) {
  if (score_ != AttentionScore::kAdditive) return;
  units_ = positive_option(config, "units");
  use_bias_ = config.flag("useBias", true);
}

ValueShape Attention::build_from(std::span<const ValueShape> inputs, ParamTable& params) {
  if (inputs.size() < 2 || inputs.size() > 3) {
    throw Error("ERR_INVALID_ARGUMENT", "Expected queries, keys and perhaps values for layer \"" +
                                            config_.name + "\" but received " +
                                            std::to_string(inputs.size()) + " inputs");
  }
  for (const ValueShape& input : inputs) expect_floats(config_, input);
  for (const ValueShape& input : inputs.subspan(1)) expect_steps(config_, input);
  query_ = inputs[0];
  key_ = inputs[1];
  value_ = inputs.back();
  own_values_ = inputs.size() == 3;
  if (score_ == AttentionScore::kDot && query_.features != key_.features) {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected queries and keys of equal features for layer \"" + config_.name + "\"");
  }
  if (score_ != AttentionScore::kAdditive) units_ = key_.features;
  if (score_ != AttentionScore::kDot) {
    weight_query_ =
        params.add(config_.name + ".weight_query", {units_, query_.features}, ParamRole::kKernel);
  }
  if (score_ == AttentionScore::kAdditive) {
    weight_key_ =
        params.add(config_.name + ".weight_key", {units_, key_.features}, ParamRole::kKernel);
    weight_score_ = params.add(config_.name + ".weight_score", {units_}, ParamRole::kKernel);
    if (use_bias_) bias_ = params.add(config_.name + ".bias", {units_}, ParamRole::kBias);
  }
  return {value_.features, query_.timed, false};
}

TimeAxis Attention::output_axis(std::span<const ValueShape> inputs) const {
  if (!(inputs.back().axis == inputs[1].axis)) {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected keys and values on one time axis for layer \"" + config_.name + "\"");
  }
  return inputs[0].axis;
}

void Attention::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  const Initializer kernel = initializer_option(config_, "kernelInitializer", "glorotUniform");
  const auto draw = [&](int weight, int64_t rows, int64_t cols, uint64_t which) {
    if (weight < 0) return;
    ostinato::initialize(kernel, params.value(weight), rows, cols, cols,
                         RandomStream(seed, initializer_stream(index, which)));
  };
  draw(weight_query_, units_, query_.features, 0);
  draw(weight_key_, units_, key_.features, 1);
  draw(weight_score_, 1, units_, 2);
}

void Attention::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  const auto pack = [&](PackedMatrix& to, int weight, int64_t inputs) {
    if (weight < 0) return;
    to.pack(kernels, params.value(weight), inputs, true, inputs, units_, nullptr, -1, threads);
  };
  pack(query_forward_, weight_query_, query_.features);
  pack(key_forward_, weight_key_, key_.features);
}

void Attention::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                              const Geometry& /*geometry*/) {
  if (backward_version_ == params.version()) return;
  backward_version_ = params.version();
  const auto pack = [&](PackedMatrix& to, int weight, int64_t inputs) {
    if (weight < 0) return;
    to.pack(kernels, params.value(weight), inputs, false, units_, inputs, nullptr, -1, threads);
  };
  pack(query_backward_, weight_query_, query_.features);
  pack(key_backward_, weight_key_, key_.features);
}

std::unique_ptr<LayerRun> Attention::make_run() const {
  return std::make_unique<AttentionRun>(*this);
}

}  // namespace ostinato
