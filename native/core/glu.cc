#include "core/glu.h"

#include "core/checks.h"
#include "core/error.h"
#include "core/init.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kGluCost = 16;

}  // namespace

class GluRun : public LayerRun {
 public:
  explicit GluRun(const Glu& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override {
    const int64_t rows = pass.rows(layer_.output_);
    workspace.want(&output_, rows, layer_.units_, Lifetime::kSaved);
    if (!layer_.projects_) return;
    workspace.want(&halves_, rows, 2 * layer_.units_, Lifetime::kSaved);
    if (!pass.gradients) return;
    workspace.want(&dhalves_, rows, 2 * layer_.units_, Lifetime::kScratch);
    workspace.want(&scratch_, multiply_tn_scratch(*pass.kernels, pass.threads), Lifetime::kScratch);
  }

  Value forward(const Pass& pass, const ParamTable& params, const Value& input) override {
    if (layer_.projects_) {
      const float* bias = layer_.use_bias_ ? params.value(layer_.bias_) : nullptr;
      multiply(*pass.kernels, pass.threads, input.floats, layer_.forward_, bias, false, halves_);
    }
    const Matrix& u = halves(input);
    parallel_for(threads_for(kGluCost * u.rows * u.cols, pass.threads), u.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   GluArgs args = arguments(u, begin, end);
                   args.y = output_.row(begin);
                   args.y_ld = output_.ld;
                   pass.kernels->glu(args);
                 });
    return {output_, nullptr, output_.rows};
  }

  void backward(const Pass& pass, const ParamTable& params, const Value& input, const Matrix& dy,
                const Matrix& dx) override {
    const Kernels& kernels = *pass.kernels;
    const Matrix& u = halves(input);
    const Matrix& du = layer_.projects_ ? dhalves_ : dx;
    if (!du) return;
    parallel_for(threads_for(kGluCost * u.rows * u.cols, pass.threads), u.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   GluArgs args = arguments(u, begin, end);
                   args.dy = dy.row(begin);
                   args.dy_ld = dy.ld;
                   args.da = du.row(begin);
                   args.db = du.row(begin) + layer_.units_;
                   args.d_ld = du.ld;
                   kernels.glu_grad(args);
                 });
    if (!layer_.projects_) return;
    multiply_tn(kernels, pass.threads, du,
                {{input.floats, params.gradient(layer_.weight_), layer_.input_.features}}, nullptr,
                true, layer_.use_bias_ ? params.gradient(layer_.bias_) : nullptr, scratch_);
    if (dx) multiply(kernels, pass.threads, du, layer_.backward_, nullptr, false, dx);
  }

 private:
  const Matrix& halves(const Value& input) const {
    return layer_.projects_ ? halves_ : input.floats;
  }
  GluArgs arguments(const Matrix& u, int64_t begin, int64_t end) const {
    GluArgs args{};
    args.rows = end - begin;
    args.cols = layer_.units_;
    args.a = u.row(begin);
    args.b = u.row(begin) + layer_.units_;
    args.ld = u.ld;
    return args;
  }

  const Glu& layer_;
  Matrix output_;
  Matrix halves_, dhalves_;  // [rows, 2 units]: a beside b, and their gradients
  float* scratch_ = nullptr;
};

Glu::Glu(const LayerConfig& config)
    : Layer(config),
      projects_(config.options.count("units") > 0),
      units_(projects_ ? positive_option(config, "units") : 0),
      use_bias_(projects_ && config.flag("useBias", true)) {}

ValueShape Glu::build(const ValueShape& input, ParamTable& params) {
  expect_floats(config_, input);
  input_ = input;
  if (!projects_) {
    if (input.features % 2 != 0) {
      throw Error("ERR_SHAPE_MISMATCH",
                  "Expected an even number of features for the input of layer \"" + config_.name +
                      "\" (glu) without units but received " + std::to_string(input.features));
    }
    units_ = input.features / 2;
  } else {
    weight_ =
        params.add(config_.name + ".weight", {2 * units_, input.features}, ParamRole::kKernel);
    if (use_bias_) bias_ = params.add(config_.name + ".bias", {2 * units_}, ParamRole::kBias);
  }
  return output_ = {units_, input.timed, false};
}

void Glu::initialize(ParamTable& params, uint64_t seed, uint64_t index) const {
  if (!projects_) return;
  ostinato::initialize(initializer_option(config_, "kernelInitializer", "glorotUniform"),
                       params.value(weight_), 2 * units_, input_.features, input_.features,
                       RandomStream(seed, initializer_stream(index, 0)));
  if (!use_bias_) return;
  ostinato::initialize(initializer_option(config_, "biasInitializer", "zeros"), params.value(bias_),
                       1, 2 * units_, input_.features,
                       RandomStream(seed, initializer_stream(index, 1)));
}

void Glu::pack(const ParamTable& params, const Kernels& kernels, int threads) {
  if (!projects_) return;
  const int64_t inputs = input_.features;
  forward_.pack(kernels, params.value(weight_), inputs, true, inputs, 2 * units_, nullptr, -1,
                threads);
}

void Glu::pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                        const Geometry& /*geometry*/) {
  if (!projects_ || backward_version_ == params.version()) return;
  backward_version_ = params.version();
  const int64_t inputs = input_.features;
  backward_.pack(kernels, params.value(weight_), inputs, false, 2 * units_, inputs, nullptr, -1,
                 threads);
}

std::unique_ptr<LayerRun> Glu::make_run() const { return std::make_unique<GluRun>(*this); }

}  // namespace ostinato
