#include "core/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "core/checks.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kBatchNormCost = 6;

}  // namespace

class BatchNormRun : public LayerRun {
 public:
  explicit BatchNormRun(const BatchNorm& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t features = layer_.shape_.features;
    workspace.want(&output_, pass.rows(layer_.shape_), features, Lifetime::kSaved);
    for (float** of : {&mean_, &variance_, &rstd_, &scale_}) {
      workspace.want(of, features, Lifetime::kSaved);
    }
    if (!pass.gradients) return;
    for (float** of : {&sum_dy_, &sum_products_, &mean_dy_, &slope_}) {
      workspace.want(of, features, Lifetime::kScratch);
    }
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    const Matrix& x = input.floats;
    const float* gamma = params.value(layer_.weight_);
    if (of_batch(pass)) {
      measure(pass, x);
    } else {
      std::copy_n(params.value(layer_.running_mean_), x.cols, mean_);
      std::copy_n(params.value(layer_.running_var_), x.cols, variance_);
    }
    for (int64_t j = 0; j < x.cols; ++j) {
      rstd_[j] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(variance_[j]) +
                                                    static_cast<double>(layer_.epsilon_)));
      scale_[j] = gamma[j] * rstd_[j];
    }
    parallel_for(threads_for(kBatchNormCost * x.rows * x.cols, pass.threads), x.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   BatchNormArgs args = arguments(x, begin, end);
                   args.shift = params.value(layer_.bias_);
                   args.y = output_.row(begin);
                   args.y_ld = output_.ld;
                   pass.kernels->batch_norm(args);
                 });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    const Matrix& x = input.floats;
    const int threads = threads_for(kBatchNormCost * x.rows * x.cols, pass.threads);
    parallel_for(threads, x.cols, kPad, [&](int64_t begin, int64_t end) {
      BatchNormArgs args = arguments(x, 0, x.rows);
      args.begin = begin;
      args.end = end;
      args.dy = dy.data;
      args.dy_ld = dy.ld;
      args.sum_dy = sum_dy_;
      args.sum_products = sum_products_;
      pass.kernels->batch_norm_sums(args);
    });
    // A batch's own mean and variance pass the gradient on to all rows; running ones do not.
    const float share = of_batch(pass) ? 1.0f / static_cast<float>(x.rows) : 0.0f;
    float* dgamma = params.gradient(layer_.weight_);
    float* dbeta = params.gradient(layer_.bias_);
    for (int64_t j = 0; j < x.cols; ++j) {
      dgamma[j] += sum_products_[j] * rstd_[j];
      dbeta[j] += sum_dy_[j];
      mean_dy_[j] = sum_dy_[j] * share;
      slope_[j] = sum_products_[j] * rstd_[j] * rstd_[j] * share;
    }
    if (!dx) return;
    parallel_for(threads, x.rows, 1, [&](int64_t begin, int64_t end) {
      BatchNormArgs args = arguments(x, begin, end);
      args.dy = dy.row(begin);
      args.dy_ld = dy.ld;
      args.mean_dy = mean_dy_;
      args.slope = slope_;
      args.dx = dx.row(begin);
      args.dx_ld = dx.ld;
      pass.kernels->batch_norm_grad(args);
    });
  }

  void commit(const Pass& pass, const ParamTable& params) override {
    if (!of_batch(pass)) return;
    const auto rows = static_cast<float>(output_.rows);
    const float unbiased = rows > 1 ? rows / (rows - 1) : 1.0f;
    float* mean = params.value(layer_.running_mean_);
    float* variance = params.value(layer_.running_var_);
    for (int64_t j = 0; j < layer_.shape_.features; ++j) {
      mean[j] += (1.0f - layer_.momentum_) * (mean_[j] - mean[j]);
      variance[j] += (1.0f - layer_.momentum_) * (variance_[j] * unbiased - variance[j]);
    }
  }

 private:
  // A batch without rows has no statistics.
  bool of_batch(const Pass& pass) const { return pass.training && output_.rows > 0; }

  void measure(const Pass& pass, const Matrix& x) const {
    parallel_for(threads_for(kBatchNormCost * x.rows * x.cols, pass.threads), x.cols, kPad,
                 [&](int64_t begin, int64_t end) {
                   ColumnMomentsArgs args{};
                   args.rows = x.rows;
                   args.begin = begin;
                   args.end = end;
                   args.x = x.data;
                   args.x_ld = x.ld;
                   args.mean = mean_;
                   args.variance = variance_;
                   pass.kernels->column_moments(args);
                 });
  }

  BatchNormArgs arguments(const Matrix& x, int64_t begin, int64_t end) const {
    BatchNormArgs args{};
    args.rows = end - begin;
    args.cols = x.cols;
    args.x = x.row(begin);
    args.x_ld = x.ld;
    args.mean = mean_;
    args.scale = scale_;
    return args;
  }

  const BatchNorm& layer_;
  Matrix output_;
  // [features]: of the batch or running; 1 / deviation, and that times the weight.
  float *mean_ = nullptr, *variance_ = nullptr, *rstd_ = nullptr, *scale_ = nullptr;
  float *sum_dy_ = nullptr, *sum_products_ = nullptr, *mean_dy_ = nullptr, *slope_ = nullptr;
};

BatchNorm::BatchNorm(const LayerConfig& config)
    : Layer(config),
      epsilon_(static_cast<float>(range_option(config, "epsilon", 1e-5, 0.0, 1.0))),
      momentum_(static_cast<float>(range_option(config, "momentum", 0.99, 0.0, 1.0))) {}

ValueShape BatchNorm::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  const auto add = [&](const char* name, ParamRole role) {
    return params.add(config_.name + "." + name, {input.features}, role);
  };
  weight_ = add("weight", ParamRole::kNorm);
  bias_ = add("bias", ParamRole::kNorm);
  running_mean_ = add("running_mean", ParamRole::kStatistic);
  running_var_ = add("running_var", ParamRole::kStatistic);
  return shape_ = input;
}

void BatchNorm::initialize(ParamTable& params, uint64_t /*seed*/, uint64_t /*index*/) const {
  for (const int of : {bias_, running_mean_}) {
    std::fill_n(params.value(of), shape_.features, 0.0f);
  }
  for (const int of : {weight_, running_var_}) {
    std::fill_n(params.value(of), shape_.features, 1.0f);
  }
}

std::unique_ptr<LayerRun> BatchNorm::make_run() const {
  return std::make_unique<BatchNormRun>(*this);
}

}  // namespace ostinato
