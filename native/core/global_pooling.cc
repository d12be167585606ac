#include "core/global_pooling.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/checks.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// States by their index: what was gathered, and of how many steps.
constexpr size_t kGathered = 0;

// Rows of a state, in batch order, to sorted rows and back.
void sort_rows(const Geometry& geometry, const float* source, const Matrix& to) {
  const auto bytes = static_cast<size_t>(to.cols) * sizeof(float);
  for (int64_t row = 0; row < to.rows; ++row) {
    if (source == nullptr) {
      std::memset(to.row(row), 0, bytes);
    } else {
      std::memcpy(to.row(row), source + geometry.batch_row(row) * to.cols, bytes);
    }
  }
}

void unsort_rows(const Geometry& geometry, const Matrix& from, float* destination) {
  for (int64_t row = 0; row < from.rows; ++row) {
    std::memcpy(destination + geometry.batch_row(row) * from.cols, from.row(row),
                static_cast<size_t>(from.cols) * sizeof(float));
  }
}

class GlobalPoolingRun : public LayerRun {
 public:
  GlobalPoolingRun(bool maximum, int64_t features) : maximum_(maximum), features_(features) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t batch = pass.geometry->batch();
    workspace.want(&output_, batch, features_, Lifetime::kSaved);
    workspace.want(&gathered_, batch, features_, Lifetime::kSaved);
    workspace.want(&start_, batch, features_, Lifetime::kSaved);
    workspace.want(&counted_, batch, 1, Lifetime::kSaved);
    workspace.want(&count_, batch, 1, Lifetime::kSaved);
    if (!pass.gradients) return;
    workspace.want(&dgathered_, batch, features_, Lifetime::kSaved);
    workspace.want(&dcount_, batch, 1, Lifetime::kSaved);
  }

  Value forward(const Pass& pass, const ParamTable&, const Value& input) override {
    const Geometry& geometry = *pass.geometry;
    for_sorted_rows(pass, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float before = counted_.row(row)[0];
        count_.row(row)[0] = before + static_cast<float>(geometry.length(row));
        if (maximum_ && before == 0) {
          std::fill_n(gathered_.row(row), features_, -std::numeric_limits<float>::infinity());
        } else {
          std::memcpy(gathered_.row(row), start_.row(row), bytes());
        }
      }
      for_steps(geometry, begin, end, [&](int64_t packed, int64_t rows) {
        gather(*pass.kernels, begin, rows, input.floats, packed);
      });
      for (int64_t row = begin; row < end; ++row) {
        const float count = count_.row(row)[0];
        if (count == 0) std::fill_n(gathered_.row(row), features_, 0.0f);
        std::memcpy(output_.row(row), gathered_.row(row), bytes());
        if (!maximum_ && count != 0) pass.kernels->scale(output_.row(row), 1.0f / count, features_);
      }
    });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable&, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    for_sorted_rows(pass, [&](int64_t begin, int64_t end) {
      if (maximum_) {
        maximum_backward(pass, input.floats, dy, dx, begin, end);
      } else {
        average_backward(pass, dy, dx, begin, end);
      }
    });
  }

  void set_initial_state(const Geometry& geometry, size_t state, const float* source) override {
    sort_rows(geometry, source, state == kGathered ? start_ : counted_);
  }
  void get_final_state(const Geometry& geometry, size_t state, float* destination) const override {
    unsort_rows(geometry, state == kGathered ? gathered_ : count_, destination);
  }
  void set_final_state_gradient(const Geometry& geometry, size_t state,
                                const float* source) override {
    sort_rows(geometry, source, state == kGathered ? dgathered_ : dcount_);
  }
  void get_initial_state_gradient(const Geometry& geometry, size_t state,
                                  float* destination) const override {
    unsort_rows(geometry, state == kGathered ? dgathered_ : dcount_, destination);
  }

 private:
  size_t bytes() const { return static_cast<size_t>(features_) * sizeof(float); }

  // fn(begin, end) for shares of the sorted rows.
  template <class Fn>
  void for_sorted_rows(const Pass& pass, const Fn& fn) const {
    const Geometry& geometry = *pass.geometry;
    parallel_for(threads_for(2 * geometry.rows() * features_, pass.threads), geometry.batch(), 1,
                 fn);
  }

  // fn(packed row, rows) for each step of the sorted rows [begin, end): those of them that have it.
  template <class Fn>
  static void for_steps(const Geometry& geometry, int64_t begin, int64_t end, const Fn& fn) {
    for (int64_t t = 0; t < geometry.length(begin); ++t) {
      fn(geometry.row(begin, t), std::min(end, geometry.active(t)) - begin);
    }
  }

  // Adds rows of x to what was gathered for the sorted rows from `first` on, or takes the larger.
  void gather(const Kernels& kernels, int64_t first, int64_t rows, const Matrix& x,
              int64_t packed) const {
    if (maximum_) {
      MaximumArgs args = maximum_arguments(first, rows, x.row(packed), x.ld);
      kernels.maximum(args);
      return;
    }
    CombineArgs args{};
    args.kind = Combine::kSum;
    args.rows = rows;
    args.cols = features_;
    args.a = args.y = gathered_.row(first);
    args.a_ld = args.y_ld = gathered_.ld;
    args.b = x.row(packed);
    args.b_ld = x.ld;
    kernels.combine(args);
  }

  MaximumArgs maximum_arguments(int64_t first, int64_t rows, const float* x, int64_t x_ld) const {
    MaximumArgs args{};
    args.rows = rows;
    args.cols = features_;
    args.x = x;
    args.x_ld = x_ld;
    args.y = gathered_.row(first);
    args.y_ld = gathered_.ld;
    return args;
  }

  // A step's gradient is that of the sum, which is that of the sum before, too.
  void average_backward(const Pass& pass, const Matrix& dy, const Matrix& dx, int64_t begin,
                        int64_t end) const {
    const Geometry& geometry = *pass.geometry;
    for (int64_t row = begin; row < end; ++row) {
      const float count = count_.row(row)[0];
      if (count == 0) continue;
      double product = 0;
      for (int64_t j = 0; j < features_; ++j) {
        product += static_cast<double>(dy.row(row)[j]) * output_.row(row)[j];
      }
      dcount_.row(row)[0] -= static_cast<float>(product / count);
      pass.kernels->add_scaled(dgathered_.row(row), dy.row(row), 1.0f / count, features_);
    }
    if (!dx) return;
    for_steps(geometry, begin, end, [&](int64_t packed, int64_t rows) {
      for (int64_t i = 0; i < rows; ++i) {
        std::memcpy(dx.row(packed + i), dgathered_.row(begin + i), bytes());
      }
    });
  }

  // The gradient goes to the first that is the maximum, what was gathered before the steps first of
  // all.
  void maximum_backward(const Pass& pass, const Matrix& x, const Matrix& dy, const Matrix& dx,
                        int64_t begin, int64_t end) const {
    const Geometry& geometry = *pass.geometry;
    const Kernels& kernels = *pass.kernels;
    for (int64_t row = begin; row < end; ++row) {
      if (count_.row(row)[0] == 0) {
        std::memset(dy.row(row), 0, bytes());
      } else {
        kernels.add(dy.row(row), dgathered_.row(row), features_);
      }
      if (counted_.row(row)[0] == 0) {
        std::memset(dgathered_.row(row), 0, bytes());
        continue;
      }
      MaximumArgs args = maximum_arguments(row, 1, start_.row(row), start_.ld);
      args.left = dy.row(row);
      args.dx = dgathered_.row(row);
      kernels.maximum_grad(args);
    }
    if (!dx) return;
    for_steps(geometry, begin, end, [&](int64_t packed, int64_t rows) {
      MaximumArgs args = maximum_arguments(begin, rows, x.row(packed), x.ld);
      args.left = dy.row(begin);
      args.left_ld = dy.ld;
      args.dx = dx.row(packed);
      args.dx_ld = dx.ld;
      kernels.maximum_grad(args);
    });
  }

  const bool maximum_;
  const int64_t features_;
  Matrix output_;
  Matrix start_, gathered_;    // sums or maxima, before and after the steps
  Matrix counted_, count_;     // [B, 1]: of how many steps these are
  Matrix dgathered_, dcount_;  // gradients of the final states, then of the initial ones
};

}  // namespace

GlobalPooling::GlobalPooling(const LayerConfig& config)
    : Layer(config), maximum_(config.type == "globalMaxPooling1d") {}

ValueShape GlobalPooling::build(const ValueShape& input, ParamTable& /*params*/) {
  expect_floats(config_, input);
  expect_steps(config_, input);
  features_ = input.features;
  return {features_, false, false};
}

std::vector<StateInfo> GlobalPooling::states() const {
  return {{maximum_ ? "max" : "sum", 1, features_}, {"count", 1, 1}};
}

std::unique_ptr<LayerRun> GlobalPooling::make_run() const {
  return std::make_unique<GlobalPoolingRun>(maximum_, features_);
}

}  // namespace ostinato
