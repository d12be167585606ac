#include "core/merge.h"

#include <cstring>

#include "core/error.h"
#include "core/gemm.h"
#include "core/parallel.h"

namespace ostinato {

namespace {

CombineArgs combine_args(MergeMode mode, const Matrix& a, const Matrix& b) {
  CombineArgs args{};
  args.kind = mode == MergeMode::kSum   ? Combine::kSum
              : mode == MergeMode::kMul ? Combine::kMul
                                        : Combine::kAve;
  args.rows = a.rows;
  args.cols = a.cols;
  args.a_ld = a.ld;
  args.b_ld = b.ld;
  return args;
}

}  // namespace

MergeMode parse_merge_mode(const std::string& name) {
  if (name == "concat") return MergeMode::kConcat;
  if (name == "sum") return MergeMode::kSum;
  if (name == "mul") return MergeMode::kMul;
  if (name == "ave") return MergeMode::kAve;
  throw Error(
      "ERR_INVALID_ARGUMENT",
      "Expected concat, sum, mul or ave for \"mergeMode\" but received \"" + name + "\" (string)");
}

void merge(const Pass& pass, MergeMode mode, const Matrix& a, const Matrix& b, const Matrix& y) {
  parallel_for(threads_for(2 * a.rows * a.cols, pass.threads), a.rows, 1,
               [&](int64_t begin, int64_t end) {
                 if (mode == MergeMode::kConcat) {
                   for (int64_t row = begin; row < end; ++row) {
                     std::memcpy(y.row(row), a.row(row), a.cols * sizeof(float));
                     std::memcpy(y.row(row) + a.cols, b.row(row), b.cols * sizeof(float));
                   }
                   return;
                 }
                 CombineArgs args = combine_args(mode, a, b);
                 args.rows = end - begin;
                 args.a = a.row(begin);
                 args.b = b.row(begin);
                 args.y = y.row(begin);
                 args.y_ld = y.ld;
                 pass.kernels->combine(args);
               });
}

void merge_backward(const Pass& pass, MergeMode mode, const Matrix& a, const Matrix& b,
                    const Matrix& dy, Matrix& da, Matrix& db) {
  if (mode == MergeMode::kConcat) {
    da = {dy.data, dy.rows, a.cols, dy.ld};
    db = {dy.data + a.cols, dy.rows, b.cols, dy.ld};
    return;
  }
  parallel_for(threads_for(3 * a.rows * a.cols, pass.threads), a.rows, 1,
               [&](int64_t begin, int64_t end) {
                 CombineArgs args = combine_args(mode, a, b);
                 args.rows = end - begin;
                 args.a = a.row(begin);
                 args.b = b.row(begin);
                 args.dy = dy.row(begin);
                 args.dy_ld = dy.ld;
                 args.da = da.row(begin);
                 args.da_ld = da.ld;
                 args.db = db.row(begin);
                 args.db_ld = db.ld;
                 pass.kernels->combine_grad(args);
               });
}

}  // namespace ostinato
