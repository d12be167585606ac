#include "core/rms_norm.h"

#include <algorithm>

#include "core/checks.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kRmsNormCost = 6;

}  // namespace

class RmsNormRun : public LayerRun {
 public:
  explicit RmsNormRun(const RmsNorm& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.rows(layer_.shape_);
    workspace.want(&output_, rows, layer_.shape_.features, Lifetime::kSaved);
    workspace.want(&rstd_, rows, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    const Matrix& x = input.floats;
    parallel_for(threads_for(kRmsNormCost * x.rows * x.cols, pass.threads), x.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   RmsNormArgs args{};
                   args.rows = end - begin;
                   args.cols = x.cols;
                   args.epsilon = layer_.epsilon_;
                   args.x = x.row(begin);
                   args.x_ld = x.ld;
                   args.gamma = params.value(layer_.weight_);
                   args.y = output_.row(begin);
                   args.y_ld = output_.ld;
                   args.rstd = rstd_ + begin;
                   pass.kernels->rms_norm(args);
                 });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    const Matrix& x = input.floats;
    const int threads = threads_for(kRmsNormCost * x.rows * x.cols, pass.threads);
    parallel_for(threads, x.cols, kPad, [&](int64_t begin, int64_t end) {
      RmsNormParamGradArgs args{};
      args.rows = x.rows;
      args.begin = begin;
      args.end = end;
      args.x = x.data;
      args.x_ld = x.ld;
      args.rstd = rstd_;
      args.dy = dy.data;
      args.dy_ld = dy.ld;
      args.dgamma = params.gradient(layer_.weight_);
      pass.kernels->rms_norm_param_grad(args);
    });
    if (!dx) return;
    parallel_for(threads, x.rows, 1, [&](int64_t begin, int64_t end) {
      RmsNormGradArgs args{};
      args.rows = end - begin;
      args.cols = x.cols;
      args.x = x.row(begin);
      args.x_ld = x.ld;
      args.gamma = params.value(layer_.weight_);
      args.rstd = rstd_ + begin;
      args.dy = dy.row(begin);
      args.dy_ld = dy.ld;
      args.dx = dx.row(begin);
      args.dx_ld = dx.ld;
      pass.kernels->rms_norm_grad(args);
    });
  }

 private:
  const RmsNorm& layer_;
  Matrix output_;
  float* rstd_ = nullptr;  // [rows]: 1 / root of the mean square
};

RmsNorm::RmsNorm(const LayerConfig& config)
    : Layer(config),
      epsilon_(static_cast<float>(range_option(config, "epsilon", 1e-6, 0.0, 1.0))) {}

ValueShape RmsNorm::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  weight_ = params.add(config_.name + ".weight", {input.features}, ParamRole::kNorm);
  return shape_ = input;
}

void RmsNorm::initialize(ParamTable& params, uint64_t /*seed*/, uint64_t /*index*/) const {
  std::fill_n(params.value(weight_), shape_.features, 1.0f);
}

std::unique_ptr<LayerRun> RmsNorm::make_run() const { return std::make_unique<RmsNormRun>(*this); }

}  // namespace ostinato
