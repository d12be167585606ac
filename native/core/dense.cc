#include "core/dense.h"

#include "core/activation.h"
#include "core/checks.h"
#include "core/init.h"

namespace ostinato {

class DenseRun : public LayerRun {
 public:
  explicit DenseRun(const Dense& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.rows(layer_.output_);
    workspace.want(&output_, rows, layer_.units_, Lifetime::kSaved);
    argument_ = {};
    if (!pass.gradients) return;
    if (needs_argument(layer_.activation_)) {
      workspace.want(&argument_, rows, layer_.units_, Lifetime::kSaved);
    }
    workspace.want(&scratch_, multiply_tn_scratch(*pass.kernels, pass.threads), Lifetime::kScratch);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    const float* bias = layer_.use_bias_ ? params.value(layer_.bias_) : nullptr;
    const Matrix& product = argument_ ? argument_ : output_;
    multiply(*pass.kernels, pass.threads, input.floats, layer_.forward_, bias, false, product);
    activate(*pass.kernels, pass.threads, layer_.activation_, product, output_);
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    const Kernels& kernels = *pass.kernels;
    activate_backward(kernels, pass.threads, layer_.activation_, argument_, output_, dy, dy);
    multiply_tn(kernels, pass.threads, dy,
                {{input.floats, params.gradient(layer_.weight_), layer_.input_.features}}, nullptr,
                true, layer_.use_bias_ ? params.gradient(layer_.bias_) : nullptr, scratch_);
    if (dx) multiply(kernels, pass.threads, dy, layer_.backward_, nullptr, false, dx);
  }

 private:
  const Dense& layer_;
  Matrix output_;
  Matrix argument_;  // of the activation, where its derivative needs it
  float* scratch_ = nullptr;
};

Dense::Dense(const LayerConfig& config)
    : Layer(config),
      units_(positive_option(config, "units")),
      activation_(activation_option(config)),
      use_bias_(config.flag("useBias", true)) {}

ValueShape Dense::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  input_ = input;
  output_ = {units_, input.timed, false};
  weight_ = params.add(config_.name + ".weight", {units_, input.features}, ParamRole::kKernel);
  if (use_bias_) bias_ = params.add(config_.name + ".bias", {units_}, ParamRole::kBias);
  return output_;
}

void Dense::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  ostinato::initialize(initializer_option(config_, "kernelInitializer", "glorotUniform"),
                       params.value(weight_), units_, input_.features, input_.features,
                       RandomStream(seed, initializer_stream(index, 0)));
  if (!use_bias_) return;
  ostinato::initialize(initializer_option(config_, "biasInitializer", "zeros"), params.value(bias_),
                       1, units_, input_.features,
                       RandomStream(seed, initializer_stream(index, 1)));
}

void Dense::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  const float* weight = params.value(weight_);
  const int64_t inputs = input_.features;
  forward_.pack(kernels, weight, inputs, true, inputs, units_, nullptr, -1, threads);
}

void Dense::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                          const Geometry& /*geometry*/) {
  if (backward_version_ == params.version()) return;
  backward_version_ = params.version();
  const int64_t inputs = input_.features;
  backward_.pack(kernels, params.value(weight_), inputs, false, units_, inputs, nullptr, -1,
                 threads);
}

std::unique_ptr<LayerRun> Dense::make_run() const { return std::make_unique<DenseRun>(*this); }

}  // namespace ostinato
