#include "core/activation.h"

#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

// What an element costs, in multiply-adds, for the choice of threads.
constexpr int64_t kActivationCost = 16;

}  // namespace

Activation activation_option(const LayerConfig& config) {
  const std::string name = config.text("activation", "linear");
  if (name == "linear") return Activation::kLinear;
  if (name == "tanh") return Activation::kTanh;
  if (name == "relu") return Activation::kRelu;
  if (name == "sigmoid") return Activation::kSigmoid;
  if (name == "softmax") return Activation::kSoftmax;
  if (name == "gelu") return Activation::kGelu;
  if (name == "silu") return Activation::kSilu;
  throw Error("ERR_INVALID_ARGUMENT",
              "Expected linear, tanh, relu, sigmoid, softmax, gelu or silu for \"activation\" of "
              "layer \"" +
                  config.name + "\" but received \"" + name + "\" (string)");
}

void activate(const Kernels& kernels, int threads, Activation kind, const Matrix& x,
              const Matrix& y) {
  if (kind == Activation::kLinear && x.data == y.data) return;
  parallel_for(
      threads_for(kActivationCost * x.rows * x.cols, threads), x.rows, 1,
      [&](int64_t begin, int64_t end) {
        kernels.activation({kind, end - begin, x.cols, x.row(begin), x.ld, y.row(begin), y.ld});
      });
}

void activate_backward(const Kernels& kernels, int threads, Activation kind, const Matrix& x,
                       const Matrix& y, const Matrix& dy, const Matrix& dx) {
  if (kind == Activation::kLinear && dx.data == dy.data) return;
  parallel_for(threads_for(kActivationCost * y.rows * y.cols, threads), y.rows, 1,
               [&](int64_t begin, int64_t end) {
                 ActivationGradArgs args{};
                 args.kind = kind;
                 args.rows = end - begin;
                 args.cols = y.cols;
                 args.x = x ? x.row(begin) : nullptr;
                 args.x_ld = x.ld;
                 args.y = y.row(begin);
                 args.y_ld = y.ld;
                 args.dy = dy.row(begin);
                 args.dy_ld = dy.ld;
                 args.dx = dx.row(begin);
                 args.dx_ld = dx.ld;
                 kernels.activation_grad(args);
               });
}

}  // namespace ostinato
