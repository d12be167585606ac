#include "core/pooling1d.h"

#include <algorithm>
#include <cstring>

#include "core/checks.h"
#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

class Pooling1dRun : public LayerRun {
 public:
  Pooling1dRun(bool maximum, int64_t size, int64_t stride, int64_t features)
      : maximum_(maximum), size_(size), stride_(stride), features_(features) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    workspace.want(&output_, pass.output->rows(), features_, Lifetime::kSaved);
    if (pass.gradients && maximum_) {
      workspace.want(&share_, pass.output->batch(), features_, Lifetime::kScratch);
    }
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    const Geometry& from = *pass.inputs[0];
    const Geometry& to = *pass.output;
    for_samples(pass, [&](int64_t row, int64_t source) {
      for (int64_t t = 0; t < to.length(row); ++t) {
        float* y = output_.row(to.row(row, t));
        const auto x = [&](int64_t k) {
          return input.floats.row(from.row(source, t * stride_ + k));
        };
        std::memcpy(y, x(0), bytes());
        for (int64_t k = 1; k < size_; ++k) {
          if (maximum_) {
            pass.kernels->maximum(maximum_arguments(x(k), y));
          } else {
            pass.kernels->add(y, x(k), features_);
          }
        }
        if (!maximum_) pass.kernels->scale(y, 1.0f / static_cast<float>(size_), features_);
      }
    });
    return {output_, nullptr, output_.rows};
  }

  // Windows may overlap, so each adds its part.
  void backward(const Pass& pass, const ParamTable&, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    if (!dx) return;
    const Geometry& from = *pass.inputs[0];
    const Geometry& to = *pass.output;
    for_samples(pass, [&](int64_t row, int64_t source) {
      for (int64_t t = 0; t < from.length(source); ++t) {
        std::memset(dx.row(from.row(source, t)), 0, bytes());
      }
      for (int64_t t = 0; t < to.length(row); ++t) {
        const int64_t at = to.row(row, t);
        for (int64_t k = 0; k < size_; ++k) {
          const int64_t step = from.row(source, t * stride_ + k);
          if (maximum_) {
            MaximumArgs args = maximum_arguments(input.floats.row(step), output_.row(at));
            args.left = dy.row(at);
            args.dx = share_.row(row);
            pass.kernels->maximum_grad(args);
            pass.kernels->add(dx.row(step), share_.row(row), features_);
          } else {
            pass.kernels->add_scaled(dx.row(step), dy.row(at), 1.0f / static_cast<float>(size_),
                                     features_);
          }
        }
      }
    });
  }

 private:
  size_t bytes() const { return static_cast<size_t>(features_) * sizeof(float); }

  MaximumArgs maximum_arguments(const float* x, float* y) const {
    MaximumArgs args{};
    args.rows = 1;
    args.cols = features_;
    args.x = x;
    args.y = y;
    return args;
  }

  // fn(sorted row of the output, that of the input) for each sample.
  template <class Fn>
  void for_samples(const Pass& pass, const Fn& fn) const {
    const Geometry& from = *pass.inputs[0];
    const int64_t work = 2 * (from.rows() + output_.rows * size_) * features_;
    parallel_for(threads_for(work, pass.threads), from.batch(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        fn(row, pass.output->partner(row, from));
      }
    });
  }

  const bool maximum_;
  const int64_t size_, stride_, features_;
  Matrix output_;
  Matrix share_;  // [B]: of a window's gradient, what goes to one step
};

}  // namespace

Pooling1d::Pooling1d(const LayerConfig& config)
    : Layer(config),
      maximum_(config.type == "maxPooling1d"),
      size_(config.options.count("poolSize") ? steps_option(config, "poolSize") : 2),
      stride_(config.options.count("strides") ? steps_option(config, "strides") : size_) {}

ValueShape Pooling1d::build(const ValueShape& input, ParamTable& /*params*/) {
  expect_floats(config_, input);
  expect_steps(config_, input);
  features_ = input.features;
  return {features_, true, false};
}

TimeAxis Pooling1d::output_axis(std::span<const ValueShape> inputs) const {
  const TimeAxis& from = inputs[0].axis;
  const TimeAxis to = from.windows(size_, stride_);
  if (from.steps > 0 && to.steps == 0) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected at least " + std::to_string(size_) +
                                          " steps for layer \"" + config_.name +
                                          "\" but received " + std::to_string(from.steps));
  }
  if (std::max(to.window, to.stride) > kMaxSteps) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected windows of at most " + std::to_string(kMaxSteps) +
                                          " steps of the data for layer \"" + config_.name + "\"");
  }
  return to;
}

std::unique_ptr<LayerRun> Pooling1d::make_run() const {
  return std::make_unique<Pooling1dRun>(maximum_, size_, stride_, features_);
}

}  // namespace ostinato
