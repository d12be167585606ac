#include "core/depthwise_conv1d.h"

#include <algorithm>
#include <cstring>

#include "core/activation.h"
#include "core/checks.h"
#include "core/gemm.h"
#include "core/init.h"

namespace ostinato {

class DepthwiseConv1dRun : public LayerRun {
 public:
  explicit DepthwiseConv1dRun(const DepthwiseConv1d& layer)
      : layer_(layer), history_(layer.taps_, layer.features_) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.geometry->rows(), features = layer_.features_;
    history_.plan(workspace, pass);
    workspace.want(&output_, rows, features, Lifetime::kSaved);
    argument_ = {};
    if (!pass.gradients) return;
    if (needs_argument(layer_.activation_)) {
      workspace.want(&argument_, rows, features, Lifetime::kSaved);
    }
    workspace.want(&dby_tap_, layer_.taps_.count, features, Lifetime::kScratch);
    workspace.want(&ones_, 1, features, Lifetime::kScratch);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    const Geometry& geometry = *pass.geometry;
    const Matrix& sums = argument_ ? argument_ : output_;
    const float* bias = layer_.use_bias_ ? params.value(layer_.bias_) : nullptr;
    history_.begin(input.floats);
    parallel_for(threads_for(work(sums), pass.threads), sums.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   begin_rows(sums, bias, begin, end);
                   geometry.for_steps(begin, end, [&](int64_t t, int64_t first, int64_t rows) {
                     for (int64_t tap = 0; tap < layer_.taps_.count; ++tap) {
                       const Matrix x = history_.inputs(geometry, t, tap, first);
                       WeightedRowsArgs args{};
                       args.rows = rows;
                       args.cols = layer_.features_;
                       args.x = x.data;
                       args.x_ld = x.ld;
                       args.weight = layer_.tap_weights(tap);
                       args.y = sums.row(geometry.row(first, t));
                       args.y_ld = sums.ld;
                       pass.kernels->add_weighted(args);
                     }
                   });
                 });
    activate(*pass.kernels, pass.threads, layer_.activation_, sums, output_);
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& /*input*/,
                const Matrix& dy, const Matrix& dx) override {
    activate_backward(*pass.kernels, pass.threads, layer_.activation_, argument_, output_, dy, dy);
    add_parameter_gradients(pass, params, dy);
    if (!dx) return;
    history_.gather_gradients(pass, work(dy), dx, [&](int64_t tap, const Matrix& to, int64_t row) {
      WeightedRowsArgs args{};
      args.rows = to.rows;
      args.cols = layer_.features_;
      args.x = dy.row(row);
      args.x_ld = dy.ld;
      args.weight = layer_.tap_weights(tap);
      args.y = to.data;
      args.y_ld = to.ld;
      pass.kernels->add_weighted(args);
    });
  }

  void set_initial_state(const Geometry& geometry, size_t, const float* source) override {
    history_.set_initial(geometry, source);
  }
  void get_final_state(const Geometry& geometry, size_t, float* destination) const override {
    history_.get_final(geometry, destination);
  }
  void set_final_state_gradient(const Geometry& geometry, size_t, const float* source) override {
    history_.set_final_gradient(geometry, source);
  }
  void get_initial_state_gradient(const Geometry& geometry, size_t,
                                  float* destination) const override {
    history_.get_initial_gradient(geometry, destination);
  }

 private:
  int64_t work(const Matrix& rows) const { return rows.rows * rows.cols * layer_.taps_.count; }

  // The sums begin with the bias.
  static void begin_rows(const Matrix& sums, const float* bias, int64_t begin, int64_t end) {
    const auto bytes = static_cast<size_t>(sums.cols) * sizeof(float);
    for (int64_t row = begin; row < end; ++row) {
      if (bias == nullptr) {
        std::memset(sums.row(row), 0, bytes);
      } else {
        std::memcpy(sums.row(row), bias, bytes);
      }
    }
  }

  // Each thread has columns of its own and walks over all rows.
  void add_parameter_gradients(const Pass& pass, const ParamTable& params, const Matrix& dy) {
    const Geometry& geometry = *pass.geometry;
    const int64_t taps = layer_.taps_.count;
    float* dweight = params.gradient(layer_.weight_);
    std::fill_n(ones_.data, ones_.cols, 1.0f);
    parallel_for(threads_for(work(dy), pass.threads), dy.cols, kPad,
                 [&](int64_t begin, int64_t end) {
                   ColumnProductsArgs args{};
                   args.begin = begin;
                   args.end = end;
                   for (int64_t tap = 0; tap < taps; ++tap) {
                     args.sums = dby_tap_.row(tap);
                     std::fill(args.sums + begin, args.sums + end, 0.0f);
                     geometry.for_steps(0, dy.rows, [&](int64_t t, int64_t first, int64_t rows) {
                       const Matrix x = history_.inputs(geometry, t, tap, first);
                       args.rows = rows;
                       args.a = x.data;
                       args.a_ld = x.ld;
                       args.b = dy.row(geometry.row(first, t));
                       args.b_ld = dy.ld;
                       pass.kernels->add_column_products(args);
                     });
                     for (int64_t j = begin; j < end; ++j) dweight[j * taps + tap] += args.sums[j];
                   }
                   if (!layer_.use_bias_) return;
                   args.rows = dy.rows;
                   args.a = ones_.data;
                   args.a_ld = 0;
                   args.b = dy.data;
                   args.b_ld = dy.ld;
                   args.sums = params.gradient(layer_.bias_);
                   pass.kernels->add_column_products(args);
                 });
  }

  const DepthwiseConv1d& layer_;
  CausalHistory history_;
  Matrix output_;
  Matrix argument_;  // of the activation, where its derivative needs it
  Matrix dby_tap_;   // [k, features]
  Matrix ones_;      // [1, features]: the factor of the bias
};

DepthwiseConv1d::DepthwiseConv1d(const LayerConfig& config)
    : Layer(config),
      taps_(taps_option(config)),
      activation_(activation_option(config)),
      use_bias_(config.flag("useBias", true)) {}

ValueShape DepthwiseConv1d::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  expect_steps(config_, input);
  features_ = input.features;
  weight_ = params.add(config_.name + ".weight", {features_, 1, taps_.count}, ParamRole::kKernel);
  if (use_bias_) bias_ = params.add(config_.name + ".bias", {features_}, ParamRole::kBias);
  return input;
}

void DepthwiseConv1d::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  const int64_t taps = taps_.count;
  ostinato::initialize(initializer_option(config_, "kernelInitializer", "glorotUniform"),
                       params.value(weight_), features_, taps, taps,
                       RandomStream(seed, initializer_stream(index, 0)));
  if (!use_bias_) return;
  ostinato::initialize(initializer_option(config_, "biasInitializer", "zeros"), params.value(bias_),
                       1, features_, taps, RandomStream(seed, initializer_stream(index, 1)));
}

void DepthwiseConv1d::pack(const ParamTable& params, const Kernels& /*kernels*/, int /*threads*/) {
  by_tap_.reserve(taps_.count * padded(features_));
  const float* weight = params.value(weight_);
  for (int64_t tap = 0; tap < taps_.count; ++tap) {
    float* to = by_tap_.data() + tap * padded(features_);
    for (int64_t j = 0; j < features_; ++j) to[j] = weight[j * taps_.count + tap];
  }
}

std::vector<StateInfo> DepthwiseConv1d::states() const { return history_states(taps_, features_); }

std::unique_ptr<LayerRun> DepthwiseConv1d::make_run() const {
  return std::make_unique<DepthwiseConv1dRun>(*this);
}

}  // namespace ostinato
