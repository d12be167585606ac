#include "core/layer_norm.h"

#include <algorithm>

#include "core/checks.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kLayerNormCost = 8;

}  // namespace

class LayerNormRun : public LayerRun {
 public:
  explicit LayerNormRun(const LayerNorm& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.rows(layer_.shape_);
    workspace.want(&output_, rows, layer_.shape_.features, Lifetime::kSaved);
    workspace.want(&mean_, rows, Lifetime::kSaved);
    workspace.want(&rstd_, rows, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    const Matrix& x = input.floats;
    parallel_for(threads_for(kLayerNormCost * x.rows * x.cols, pass.threads), x.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   LayerNormArgs args{};
                   args.rows = end - begin;
                   args.cols = x.cols;
                   args.epsilon = layer_.epsilon_;
                   args.x = x.row(begin);
                   args.x_ld = x.ld;
                   args.gamma = params.value(layer_.weight_);
                   args.beta = params.value(layer_.bias_);
                   args.y = output_.row(begin);
                   args.y_ld = output_.ld;
                   args.mean = mean_ + begin;
                   args.rstd = rstd_ + begin;
                   pass.kernels->layer_norm(args);
                 });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    const Matrix& x = input.floats;
    const int threads = threads_for(kLayerNormCost * x.rows * x.cols, pass.threads);
    parallel_for(threads, x.cols, kPad, [&](int64_t begin, int64_t end) {
      LayerNormParamGradArgs args{};
      args.rows = x.rows;
      args.begin = begin;
      args.end = end;
      args.x = x.data;
      args.x_ld = x.ld;
      args.mean = mean_;
      args.rstd = rstd_;
      args.dy = dy.data;
      args.dy_ld = dy.ld;
      args.dgamma = params.gradient(layer_.weight_);
      args.dbeta = params.gradient(layer_.bias_);
      pass.kernels->layer_norm_param_grad(args);
    });
    if (!dx) return;
    parallel_for(threads, x.rows, 1, [&](int64_t begin, int64_t end) {
      LayerNormGradArgs args{};
      args.rows = end - begin;
      args.cols = x.cols;
      args.x = x.row(begin);
      args.x_ld = x.ld;
      args.gamma = params.value(layer_.weight_);
      args.mean = mean_ + begin;
      args.rstd = rstd_ + begin;
      args.dy = dy.row(begin);
      args.dy_ld = dy.ld;
      args.dx = dx.row(begin);
      args.dx_ld = dx.ld;
      pass.kernels->layer_norm_grad(args);
    });
  }

 private:
  const LayerNorm& layer_;
  Matrix output_;
  float* mean_ = nullptr;  // [rows]
  float* rstd_ = nullptr;  // [rows]: 1 / standard deviation
};

LayerNorm::LayerNorm(const LayerConfig& config)
    : Layer(config),
      epsilon_(static_cast<float>(range_option(config, "epsilon", 1e-5, 0.0, 1.0))) {}

ValueShape LayerNorm::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  weight_ = params.add(config_.name + ".weight", {input.features}, ParamRole::kNorm);
  bias_ = params.add(config_.name + ".bias", {input.features}, ParamRole::kNorm);
  return shape_ = input;
}

void LayerNorm::initialize(ParamTable& params, uint64_t /*seed*/, uint64_t /*index*/) const {
  std::fill_n(params.value(weight_), shape_.features, 1.0f);
  std::fill_n(params.value(bias_), shape_.features, 0.0f);
}

std::unique_ptr<LayerRun> LayerNorm::make_run() const {
  return std::make_unique<LayerNormRun>(*this);
}

}  // namespace ostinato
