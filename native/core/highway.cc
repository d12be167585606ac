#include "core/highway.h"

#include <algorithm>

#include "core/activation.h"
#include "core/checks.h"
#include "core/init.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element of the mixture costs, in multiply-adds, for the choice of threads.
constexpr int64_t kMixtureCost = 6;

}  // namespace

class HighwayRun : public LayerRun {
 public:
  explicit HighwayRun(const Highway& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.rows(layer_.shape_), cols = layer_.shape_.features;
    workspace.want(&output_, rows, cols, Lifetime::kSaved);
    workspace.want(&h_, rows, cols, Lifetime::kSaved);
    workspace.want(&t_, rows, cols, Lifetime::kSaved);
    argument_ = {};
    if (!pass.gradients) return;
    if (needs_argument(layer_.activation_)) {
      workspace.want(&argument_, rows, cols, Lifetime::kSaved);
    }
    workspace.want(&dh_, rows, cols, Lifetime::kScratch);
    workspace.want(&dt_, rows, cols, Lifetime::kScratch);
    workspace.want(&scratch_, multiply_tn_scratch(*pass.kernels, pass.threads), Lifetime::kScratch);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    const Kernels& kernels = *pass.kernels;
    const Matrix& x = input.floats;
    const Matrix& product = argument_ ? argument_ : h_;
    multiply(kernels, pass.threads, x, layer_.h_.forward, params.value(layer_.h_.bias), false,
             product);
    activate(kernels, pass.threads, layer_.activation_, product, h_);
    multiply(kernels, pass.threads, x, layer_.t_.forward, params.value(layer_.t_.bias), false, t_);
    activate(kernels, pass.threads, Activation::kSigmoid, t_, t_);
    parallel_for(threads_for(kMixtureCost * x.rows * x.cols, pass.threads), x.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   HighwayArgs args = arguments(x, begin, end);
                   args.y = output_.row(begin);
                   args.y_ld = output_.ld;
                   kernels.highway(args);
                 });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    const Kernels& kernels = *pass.kernels;
    const Matrix& x = input.floats;
    parallel_for(threads_for(kMixtureCost * x.rows * x.cols, pass.threads), x.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   HighwayArgs args = arguments(x, begin, end);
                   args.dy = dy.row(begin);
                   args.dy_ld = dy.ld;
                   args.dh = dh_.row(begin);
                   args.da = dt_.row(begin);
                   args.d_ld = dh_.ld;
                   args.dx = dx ? dx.row(begin) : nullptr;
                   args.dx_ld = dx.ld;
                   kernels.highway_grad(args);
                 });
    activate_backward(kernels, pass.threads, layer_.activation_, argument_, h_, dh_, dh_);
    project_back(pass, params, layer_.h_, x, dh_, dx);
    project_back(pass, params, layer_.t_, x, dt_, dx);
  }

 private:
  HighwayArgs arguments(const Matrix& x, int64_t begin, int64_t end) const {
    HighwayArgs args{};
    args.rows = end - begin;
    args.cols = x.cols;
    args.x = x.row(begin);
    args.x_ld = x.ld;
    args.h = h_.row(begin);
    args.t = t_.row(begin);
    args.ld = h_.ld;
    return args;
  }

  // Adds to the gradients of a projection and of its input, from that of its result.
  void project_back(const Pass& pass, const ParamTable& params, const Highway::Projection& of,
                    const Matrix& x, const Matrix& da, const Matrix& dx) {
    multiply_tn(*pass.kernels, pass.threads, da, {{x, params.gradient(of.weight), x.cols}}, nullptr,
                true, params.gradient(of.bias), scratch_);
    if (dx) multiply(*pass.kernels, pass.threads, da, of.backward, nullptr, true, dx);
  }

  const Highway& layer_;
  Matrix output_, h_, t_;
  Matrix argument_;  // of h's activation, where its derivative needs it
  Matrix dh_, dt_;   // gradients of the arguments of both
  float* scratch_ = nullptr;
};

Highway::Highway(const LayerConfig& config)
    : Layer(config),
      activation_(activation_option(config)),
      transform_bias_(static_cast<float>(config.number("transformBias", 0.0))) {}

ValueShape Highway::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  shape_ = input;
  const auto declare = [&](Projection& projection, const char* name) {
    const std::string prefix = config_.name + "." + name;
    projection.weight =
        params.add(prefix + ".weight", {input.features, input.features}, ParamRole::kKernel);
    projection.bias = params.add(prefix + ".bias", {input.features}, ParamRole::kBias);
  };
  declare(h_, "h");
  declare(t_, "t");
  return shape_;
}

void Highway::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  const int64_t n = shape_.features;
  const auto draw = [&](const Initializer& how, int parameter, int64_t rows, uint64_t stream) {
    ostinato::initialize(how, params.value(parameter), rows, n, n,
                         RandomStream(seed, initializer_stream(index, stream)));
  };
  const Initializer kernel = initializer_option(config_, "kernelInitializer", "glorotUniform");
  draw(kernel, h_.weight, n, 0);
  draw(initializer_option(config_, "biasInitializer", "zeros"), h_.bias, 1, 1);
  draw(kernel, t_.weight, n, 2);
  std::fill_n(params.value(t_.bias), n, transform_bias_);
}

void Highway::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  const int64_t n = shape_.features;
  for (Projection* of : {&h_, &t_}) {
    of->forward.pack(kernels, params.value(of->weight), n, true, n, n, nullptr, -1, threads);
  }
}

void Highway::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                            const Geometry& /*geometry*/) {
  if (backward_version_ == params.version()) return;
  backward_version_ = params.version();
  const int64_t n = shape_.features;
  for (Projection* of : {&h_, &t_}) {
    of->backward.pack(kernels, params.value(of->weight), n, false, n, n, nullptr, -1, threads);
  }
}

std::unique_ptr<LayerRun> Highway::make_run() const { return std::make_unique<HighwayRun>(*this); }

}  // namespace ostinato
