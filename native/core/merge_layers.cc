#include "core/merge_layers.h"

#include <cstring>

#include "core/checks.h"
#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

enum class Kind : uint8_t { kAdd, kMultiply, kConcat };

// to = a combined with b, rows begin … end - 1. `to` may be a or b.
void combine(const Pass& pass, Combine kind, const Matrix& a, const Matrix& b, const Matrix& to,
             int64_t begin, int64_t end) {
  CombineArgs args{};
  args.kind = kind;
  args.rows = end - begin;
  args.cols = to.cols;
  args.a = a.row(begin);
  args.a_ld = a.ld;
  args.b = b.row(begin);
  args.b_ld = b.ld;
  args.y = to.row(begin);
  args.y_ld = to.ld;
  pass.kernels->combine(args);
}

// Columns from `from_col` on become columns from `to_col` on.
void copy_columns(const Matrix& from, int64_t from_col, const Matrix& to, int64_t to_col,
                  int64_t cols, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    std::memcpy(to.row(row) + to_col, from.row(row) + from_col,
                static_cast<size_t>(cols) * sizeof(float));
  }
}

class MergeRun : public LayerRun {
 public:
  MergeRun(Kind kind, const ValueShape& shape) : kind_(kind), shape_(shape) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    workspace.want(&output_, pass.rows(shape_), shape_.features, Lifetime::kSaved);
  }

  Value forward_from(const Pass& pass, const ParamTable&, std::span<const Value> inputs) override {
    for_rows(pass, inputs.size(), [&](int64_t begin, int64_t end) {
      if (kind_ == Kind::kConcat) {
        int64_t column = 0;
        for (const Value& input : inputs) {
          copy_columns(input.floats, 0, output_, column, input.floats.cols, begin, end);
          column += input.floats.cols;
        }
        return;
      }
      const Combine how = kind_ == Kind::kAdd ? Combine::kSum : Combine::kMul;
      combine(pass, how, inputs[0].floats, inputs[1].floats, output_, begin, end);
      for (size_t i = 2; i < inputs.size(); ++i) {
        combine(pass, how, output_, inputs[i].floats, output_, begin, end);
      }
    });
    return {output_, nullptr, output_.rows};
  }

  void backward_to(const Pass& pass, const ParamTable&, std::span<const Value> inputs,
                   const Matrix& dy, std::span<const Matrix> dx) override {
    for_rows(pass, inputs.size(), [&](int64_t begin, int64_t end) {
      int64_t column = 0;
      for (size_t i = 0; i < inputs.size(); ++i) {
        const int64_t cols = inputs[i].floats.cols;
        if (dx[i]) {
          copy_columns(dy, column, dx[i], 0, cols, begin, end);
          for (size_t k = 0; kind_ == Kind::kMultiply && k < inputs.size(); ++k) {
            if (k != i) {
              combine(pass, Combine::kMul, dx[i], inputs[k].floats, dx[i], begin, end);
            }
          }
        }
        if (kind_ == Kind::kConcat) column += cols;
      }
    });
  }

 private:
  template <class Fn>
  void for_rows(const Pass& pass, size_t inputs, const Fn& fn) const {
    const int64_t work = static_cast<int64_t>(2 * inputs) * output_.rows * output_.cols;
    parallel_for(threads_for(work, pass.threads), output_.rows, 1, fn);
  }

  Kind kind_;
  ValueShape shape_;
  Matrix output_;
};

class Merge : public Layer {
 public:
  explicit Merge(const LayerConfig& config)
      : Layer(config),
        kind_(config.type == "add"        ? Kind::kAdd
              : config.type == "multiply" ? Kind::kMultiply
                                          : Kind::kConcat) {}

  ValueShape build_from(std::span<const ValueShape> inputs, ParamTable&) override {
    if (inputs.size() < 2) {
      throw Error("ERR_INVALID_ARGUMENT", "Expected two or more inputs for layer \"" +
                                              config_.name + "\" but received " +
                                              std::to_string(inputs.size()));
    }
    shape_ = {0, inputs[0].timed, false};
    for (const ValueShape& input : inputs) {
      expect_floats(config_, input);
      if (input.timed != shape_.timed) mismatch("all sequences or no sequences");
      if (kind_ != Kind::kConcat && input.features != inputs[0].features) {
        mismatch("inputs of equal features");
      }
      shape_.features = kind_ == Kind::kConcat ? shape_.features + input.features : input.features;
    }
    return shape_;
  }

  TimeAxis output_axis(std::span<const ValueShape> inputs) const override {
    for (const ValueShape& input : inputs) {
      if (input.timed && !(input.axis == inputs[0].axis)) mismatch("sequences on one time axis");
    }
    return inputs[0].axis;
  }

  std::unique_ptr<LayerRun> make_run() const override {
    return std::make_unique<MergeRun>(kind_, shape_);
  }

 private:
  [[noreturn]] void mismatch(const std::string& expected) const {
    throw Error("ERR_SHAPE_MISMATCH",
                "Expected " + expected + " for layer \"" + config_.name + "\"");
  }

  Kind kind_;
  ValueShape shape_;
};

}  // namespace

bool is_merge(const std::string& type) {
  return type == "add" || type == "multiply" || type == "concat";
}

std::unique_ptr<Layer> make_merge(const LayerConfig& config) {
  return std::make_unique<Merge>(config);
}

}  // namespace ostinato
