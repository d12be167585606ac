#include "core/conv1d.h"

#include <algorithm>
#include <cstring>

#include "core/activation.h"
#include "core/checks.h"
#include "core/init.h"

namespace ostinato {

class Conv1dRun : public LayerRun {
 public:
  explicit Conv1dRun(const Conv1d& layer) : layer_(layer), history_(layer.taps_, layer.inputs_) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.geometry->rows();
    history_.plan(workspace, pass);
    workspace.want(&columns_, rows, layer_.width(),
                   pass.gradients ? Lifetime::kSaved : Lifetime::kScratch);
    workspace.want(&output_, rows, layer_.filters_, Lifetime::kSaved);
    argument_ = {};
    if (!pass.gradients) return;
    if (needs_argument(layer_.activation_)) {
      workspace.want(&argument_, rows, layer_.filters_, Lifetime::kSaved);
    }
    workspace.want(&dcolumns_, rows, layer_.width(), Lifetime::kScratch);
    workspace.want(&dby_tap_, layer_.filters_ * layer_.width(), Lifetime::kScratch);
    workspace.want(&scratch_, multiply_tn_scratch(*pass.kernels, pass.threads), Lifetime::kScratch);
  }

  // The inputs of all taps are laid side by side, so that all steps are one product.
  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    history_.begin(input.floats);
    gather_columns(pass);
    const float* bias = layer_.use_bias_ ? params.value(layer_.bias_) : nullptr;
    const Matrix& product = argument_ ? argument_ : output_;
    multiply(*pass.kernels, pass.threads, columns_, layer_.forward_, bias, false, product);
    activate(*pass.kernels, pass.threads, layer_.activation_, product, output_);
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& /*input*/,
                const Matrix& dy, const Matrix& dx) override {
    const Kernels& kernels = *pass.kernels;
    activate_backward(kernels, pass.threads, layer_.activation_, argument_, output_, dy, dy);
    std::fill_n(dby_tap_, layer_.filters_ * layer_.width(), 0.0f);
    multiply_tn(kernels, pass.threads, dy, {{columns_, dby_tap_, layer_.width()}}, nullptr, true,
                layer_.use_bias_ ? params.gradient(layer_.bias_) : nullptr, scratch_);
    add_weight_gradient(params.gradient(layer_.weight_));
    if (!dx) return;
    multiply(kernels, pass.threads, dy, layer_.backward_, nullptr, false, dcolumns_);
    const int64_t inputs = layer_.inputs_;
    history_.gather_gradients(
        pass, dcolumns_.rows * dcolumns_.cols, dx, [&](int64_t tap, const Matrix& to, int64_t row) {
          for (int64_t i = 0; i < to.rows; ++i) {
            kernels.add(to.row(i), dcolumns_.row(row + i) + tap * inputs, inputs);
          }
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
  void gather_columns(const Pass& pass) const {
    const Geometry& geometry = *pass.geometry;
    const int64_t inputs = layer_.inputs_;
    parallel_for(threads_for(columns_.rows * columns_.cols, pass.threads), columns_.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   geometry.for_steps(begin, end, [&](int64_t t, int64_t first, int64_t rows) {
                     for (int64_t tap = 0; tap < layer_.taps_.count; ++tap) {
                       const Matrix x = history_.inputs(geometry, t, tap, first);
                       for (int64_t i = 0; i < rows; ++i) {
                         std::memcpy(columns_.row(geometry.row(first + i, t)) + tap * inputs,
                                     x.row(i), static_cast<size_t>(inputs) * sizeof(float));
                       }
                     }
                   });
                 });
  }

  // From [filters, k, inputs] to PyTorch's [filters, inputs, k].
  void add_weight_gradient(float* gradient) const {
    const int64_t inputs = layer_.inputs_, taps = layer_.taps_.count;
    for (int64_t filter = 0; filter < layer_.filters_; ++filter) {
      const float* from = dby_tap_ + filter * layer_.width();
      float* to = gradient + filter * layer_.width();
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t i = 0; i < inputs; ++i) to[i * taps + tap] += from[tap * inputs + i];
      }
    }
  }

  const Conv1d& layer_;
  CausalHistory history_;
  Matrix columns_, dcolumns_;  // [N, k inputs]: of each step, the inputs of tap 0, 1, …
  Matrix output_;
  Matrix argument_;           // of the activation, where its derivative needs it
  float* dby_tap_ = nullptr;  // [filters, k, inputs]
  float* scratch_ = nullptr;
};

Conv1d::Conv1d(const LayerConfig& config)
    : Layer(config),
      filters_(positive_option(config, "filters")),
      taps_(taps_option(config)),
      activation_(activation_option(config)),
      use_bias_(config.flag("useBias", true)) {}

ValueShape Conv1d::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  expect_steps(config_, input);
  inputs_ = input.features;
  weight_ =
      params.add(config_.name + ".weight", {filters_, inputs_, taps_.count}, ParamRole::kKernel);
  if (use_bias_) bias_ = params.add(config_.name + ".bias", {filters_}, ParamRole::kBias);
  return {filters_, true, false};
}

void Conv1d::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  ostinato::initialize(initializer_option(config_, "kernelInitializer", "glorotUniform"),
                       params.value(weight_), filters_, width(), width(),
                       RandomStream(seed, initializer_stream(index, 0)));
  if (!use_bias_) return;
  ostinato::initialize(initializer_option(config_, "biasInitializer", "zeros"), params.value(bias_),
                       1, filters_, width(), RandomStream(seed, initializer_stream(index, 1)));
}

void Conv1d::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  by_tap_.reserve(filters_ * width());
  const float* weight = params.value(weight_);
  for (int64_t filter = 0; filter < filters_; ++filter) {
    const float* from = weight + filter * width();
    float* to = by_tap_.data() + filter * width();
    for (int64_t tap = 0; tap < taps_.count; ++tap) {
      for (int64_t i = 0; i < inputs_; ++i) to[tap * inputs_ + i] = from[i * taps_.count + tap];
    }
  }
  forward_.pack(kernels, by_tap_.data(), width(), true, width(), filters_, nullptr, -1, threads);
}

void Conv1d::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                           const Geometry& /*geometry*/) {
  if (backward_version_ == params.version()) return;
  backward_version_ = params.version();
  backward_.pack(kernels, by_tap_.data(), width(), false, filters_, width(), nullptr, -1, threads);
}

std::vector<StateInfo> Conv1d::states() const { return history_states(taps_, inputs_); }

std::unique_ptr<LayerRun> Conv1d::make_run() const { return std::make_unique<Conv1dRun>(*this); }

}  // namespace ostinato
