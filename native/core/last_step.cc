#include "core/last_step.h"

#include <algorithm>
#include <cstring>

#include "core/checks.h"

namespace ostinato {

namespace {

class LastStepRun : public LayerRun {
 public:
  explicit LastStepRun(const ValueShape& shape) : shape_(shape) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    workspace.want(&output_, pass.rows(shape_), shape_.features, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    const Geometry& geometry = *pass.geometry;
    for (int64_t row = 0; row < output_.rows; ++row) {
      const int64_t length = geometry.length(row);
      if (length == 0) {
        std::fill_n(output_.row(row), output_.cols, 0.0f);
      } else {
        std::memcpy(output_.row(row), input.floats.row(geometry.row(row, length - 1)), bytes());
      }
    }
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable&, const Value&, const Matrix& dy,
                const Matrix& dx) override {
    if (!dx) return;
    const Geometry& geometry = *pass.geometry;
    for (int64_t row = 0; row < dx.rows; ++row) std::memset(dx.row(row), 0, bytes());
    for (int64_t row = 0; row < dy.rows; ++row) {
      const int64_t length = geometry.length(row);
      if (length > 0) std::memcpy(dx.row(geometry.row(row, length - 1)), dy.row(row), bytes());
    }
  }

 private:
  size_t bytes() const { return static_cast<size_t>(shape_.features) * sizeof(float); }

  ValueShape shape_;
  Matrix output_;
};

}  // namespace

ValueShape LastStep::build(const ValueShape& input, ParamTable&) {
  expect_floats(config_, input);
  expect_steps(config_, input);
  return output_ = {input.features, false, false};
}

std::unique_ptr<LayerRun> LastStep::make_run() const {
  return std::make_unique<LastStepRun>(output_);
}

}  // namespace ostinato
