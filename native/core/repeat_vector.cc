#include "core/repeat_vector.h"

#include <cstring>

#include "core/checks.h"
#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

class RepeatVectorRun : public LayerRun {
 public:
  explicit RepeatVectorRun(int64_t features) : features_(features) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    workspace.want(&output_, pass.output->rows(), features_, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    const Geometry& geometry = *pass.output;
    for_samples(pass, [&](int64_t row, int64_t source) {
      for (int64_t t = 0; t < geometry.steps(); ++t) {
        std::memcpy(output_.row(geometry.row(row, t)), input.floats.row(source), bytes());
      }
    });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable&, const Value&, const Matrix& dy,
                const Matrix& dx) override {
    if (!dx) return;
    const Geometry& geometry = *pass.output;
    for_samples(pass, [&](int64_t row, int64_t source) {
      std::memcpy(dx.row(source), dy.row(geometry.row(row, 0)), bytes());
      for (int64_t t = 1; t < geometry.steps(); ++t) {
        pass.kernels->add(dx.row(source), dy.row(geometry.row(row, t)), features_);
      }
    });
  }

 private:
  size_t bytes() const { return static_cast<size_t>(features_) * sizeof(float); }

  // fn(sorted row of the output, row of the input) for each sample.
  template <class Fn>
  void for_samples(const Pass& pass, const Fn& fn) const {
    parallel_for(threads_for(2 * output_.rows * features_, pass.threads), pass.output->batch(), 1,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     fn(row, pass.output->partner(row, *pass.samples));
                   }
                 });
  }

  int64_t features_;
  Matrix output_;
};

}  // namespace

RepeatVector::RepeatVector(const LayerConfig& config)
    : Layer(config), steps_(steps_option(config, "n")) {}

ValueShape RepeatVector::build(const ValueShape& input, ParamTable&) {
  expect_floats(config_, input);
  if (input.timed) {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected an input without a time axis for layer \"" + config_.name + "\"");
  }
  return output_ = {input.features, true, false};
}

TimeAxis RepeatVector::output_axis(std::span<const ValueShape>) const { return {0, steps_}; }

std::unique_ptr<LayerRun> RepeatVector::make_run() const {
  return std::make_unique<RepeatVectorRun>(output_.features);
}

}  // namespace ostinato
