#include "core/reshape.h"

#include <algorithm>
#include <cstring>

#include "core/checks.h"
#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// Numbers of a sample.
int64_t size_of(const ValueShape& shape) {
  return shape.timed ? shape.axis.steps * shape.features : shape.features;
}

// The rows of samples in one of the two shapes.
struct SampleRows {
  const Matrix& rows;
  const Geometry& geometry;
  bool timed;
  int64_t row(int64_t sorted, int64_t t) const { return timed ? geometry.row(sorted, t) : sorted; }
};

// Copies the sample that is sorted row `row` of `from`, in the longest pieces that are contiguous
// in both.
void copy_sample(int64_t row, int64_t size, const SampleRows& from, const SampleRows& to) {
  const int64_t target = from.geometry.partner(row, to.geometry);
  const int64_t in = from.rows.cols, out = to.rows.cols;
  for (int64_t at = 0; at < size;) {
    const int64_t in_col = at % in, out_col = at % out;
    const int64_t count = std::min(in - in_col, out - out_col);
    std::memcpy(to.rows.row(to.row(target, at / out)) + out_col,
                from.rows.row(from.row(row, at / in)) + in_col,
                static_cast<size_t>(count) * sizeof(float));
    at += count;
  }
}

class ReshapeRun : public LayerRun {
 public:
  ReshapeRun(const ValueShape& input, const ValueShape& output) : input_(input), shape_(output) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = shape_.timed ? pass.output->rows() : pass.output->batch();
    workspace.want(&output_, rows, shape_.features, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    copy(pass, {input.floats, *pass.inputs[0], input_.timed},
         {output_, output_geometry(pass), shape_.timed});
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable&, const Value&, const Matrix& dy,
                const Matrix& dx) override {
    if (!dx) return;
    copy(pass, {dy, output_geometry(pass), shape_.timed}, {dx, *pass.inputs[0], input_.timed});
  }

 private:
  // A row a sample is in the order of the input, as the executor expects it of a layer on one axis.
  const Geometry& output_geometry(const Pass& pass) const {
    return shape_.timed ? *pass.output : *pass.inputs[0];
  }
  void copy(const Pass& pass, const SampleRows& from, const SampleRows& to) const {
    const int64_t size = size_of(shape_), batch = pass.samples->batch();
    parallel_for(threads_for(2 * batch * size, pass.threads), batch, 1,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     copy_sample(row, size, from, to);
                   }
                 });
  }

  ValueShape input_, shape_;
  Matrix output_;
};

}  // namespace

Reshape::Reshape(const LayerConfig& config)
    : Layer(config),
      steps_(config.integer("steps", 0) == 0 ? 0 : steps_option(config, "steps")),
      features_(positive_option(config, "features")) {}

ValueShape Reshape::build(const ValueShape& input, ParamTable&) {
  expect_floats(config_, input);
  if (input.timed && input.axis.steps == 0) {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected sequences of a fixed length for layer \"" + config_.name + "\"");
  }
  const ValueShape output{features_, steps_ > 0, false, {0, steps_}};
  if (size_of(output) != size_of(input)) {
    throw Error("ERR_SHAPE_MISMATCH", "Expected " + std::to_string(size_of(output)) +
                                          " numbers a sample for layer \"" + config_.name +
                                          "\" but received " + std::to_string(size_of(input)));
  }
  input_ = input;
  return output;
}

TimeAxis Reshape::output_axis(std::span<const ValueShape> inputs) const {
  if (inputs[0].timed && inputs[0].axis.steps != input_.axis.steps) {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected sequences of one length in all calls of layer \"" + config_.name + "\"");
  }
  return {0, steps_};
}

std::unique_ptr<LayerRun> Reshape::make_run() const {
  return std::make_unique<ReshapeRun>(
      input_, ValueShape{features_, steps_ > 0, false, TimeAxis{0, steps_}});
}

}  // namespace ostinato
