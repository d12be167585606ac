#include "core/activation_layer.h"

#include "core/activation.h"
#include "core/checks.h"

namespace ostinato {

namespace {

class ActivationRun : public LayerRun {
 public:
  ActivationRun(Activation kind, const ValueShape& shape) : kind_(kind), shape_(shape) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    workspace.want(&output_, pass.rows(shape_), shape_.features, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    activate(*pass.kernels, pass.threads, kind_, input.floats, output_);
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable&, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    if (!dx) return;
    activate_backward(*pass.kernels, pass.threads, kind_, input.floats, output_, dy, dx);
  }

 private:
  Activation kind_;
  ValueShape shape_;
  Matrix output_;
};

}  // namespace

ActivationLayer::ActivationLayer(const LayerConfig& config)
    : Layer(config), kind_(activation_option(config)) {}

ValueShape ActivationLayer::build(const ValueShape& input, ParamTable&) {
  expect_floats(config_, input);
  return shape_ = input;
}

std::unique_ptr<LayerRun> ActivationLayer::make_run() const {
  return std::make_unique<ActivationRun>(kind_, shape_);
}

}  // namespace ostinato
