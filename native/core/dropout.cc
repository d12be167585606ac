#include "core/dropout.h"

#include <cstring>

#include "core/checks.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kDropoutCost = 12;

}  // namespace

void drop_rows(const Pass& pass, uint64_t stream, float rate, bool timed, bool locked,
               const Matrix& x, const Matrix& y) {
  const Geometry& geometry = *pass.geometry;
  DropoutArgs args{};
  args.seed = pass.seed;
  args.stream = stream;
  args.rate = rate;
  args.cols = x.cols;
  args.x_ld = x.ld;
  args.y_ld = y.ld;
  parallel_for(threads_for(kDropoutCost * x.rows * x.cols, pass.threads), x.rows, 1,
               [&](int64_t begin, int64_t end) {
                 DropoutArgs part = args;
                 if (geometry.dense() && !locked) {  // packed rows are numbered t * B + b already
                   part.first_row = begin;
                   part.rows = end - begin;
                   part.x = x.row(begin);
                   part.y = y.row(begin);
                   pass.kernels->dropout(part);
                   return;
                 }
                 int64_t t = timed ? geometry.step_of(begin) : 0;
                 for (int64_t row = begin; row < end; ++row) {
                   while (timed && row >= geometry.offset(t + 1)) ++t;
                   const int64_t sorted = timed ? row - geometry.offset(t) : row;
                   part.first_row =
                       (locked ? 0 : t * geometry.batch()) + geometry.batch_row(sorted);
                   part.rows = 1;
                   part.x = x.row(row);
                   part.y = y.row(row);
                   pass.kernels->dropout(part);
                 }
               });
}

class DropoutRun : public LayerRun {
 public:
  explicit DropoutRun(const Dropout& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    if (!drops(pass)) return;
    workspace.want(&output_, pass.rows(layer_.shape_), layer_.shape_.features, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    if (!drops(pass)) return input;
    drop(pass, input.floats, output_);
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable&, const Value&, const Matrix& dy,
                const Matrix& dx) override {
    if (!dx) return;
    if (drops(pass)) {
      drop(pass, dy, dx);
    } else {
      for (int64_t row = 0; row < dy.rows; ++row) {
        std::memcpy(dx.row(row), dy.row(row), static_cast<size_t>(dy.cols) * sizeof(float));
      }
    }
  }

 private:
  bool drops(const Pass& pass) const { return pass.training && layer_.rate_ > 0; }
  void drop(const Pass& pass, const Matrix& x, const Matrix& y) const {
    drop_rows(pass, dropout_stream(pass.step, layer_.index()), layer_.rate_, layer_.shape_.timed,
              layer_.locked_, x, y);
  }

  const Dropout& layer_;
  Matrix output_;
};

Dropout::Dropout(const LayerConfig& config)
    : Layer(config),
      rate_(static_cast<float>(range_option(config, "rate", 0.5, 0.0, 1.0))),
      locked_(config.type == "spatialDropout1d") {}

ValueShape Dropout::build(const ValueShape& input, ParamTable&) {
  expect_floats(config_, input);
  if (locked_) expect_steps(config_, input);
  return shape_ = input;
}

std::unique_ptr<LayerRun> Dropout::make_run() const { return std::make_unique<DropoutRun>(*this); }

}  // namespace ostinato
