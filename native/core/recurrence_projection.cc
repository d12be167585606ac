// A projected h (Sak, Senior & Beaufays, "Long short-term memory recurrent neural network
// architectures for large scale acoustic modeling", Interspeech 2014), around the cells, which know
// nothing of it: h = m W_hr^T, where m is what a cell puts out as its h.
//
// A cell writes m into a buffer of its own, and a phase after it makes h of that, for all that
// follows: the next step's product, the layer above, the final state. On the way back the gradient
// of h is made first, in a phase before the cell's, by the kernels' call that only finishes; then
// that of m, the one thing that goes into the cell in its place. Both gradients wait for all units
// of a row, as the next product does, hence the phases.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// A product for some rows and for panels of theirs that are whole panels of `b`.
GemmArgs product_with(const PackedMatrix& b, const Kernels& kernels, int64_t panel_begin,
                      int64_t panel_end) {
  const int64_t together = kernels.gemm_width / kernels.width;
  GemmArgs args{};
  args.n = b.n();
  args.k = b.k();
  args.b = b.data();
  args.panel_begin = (panel_begin + together - 1) / together;
  args.panel_end = (panel_end + together - 1) / together;
  return args;
}

}  // namespace

void Recurrence::plan_projection(Workspace& workspace, const Pass& pass, Lifetime lifetime) {
  unprojected_ = unprojected_gradient_ = hidden_gradient_ = {};
  if (!weights_.projects()) return;
  const int64_t batch = pass.geometry->batch(), rows = segments_.buffer_rows();
  workspace.want(&unprojected_, pass.gradients ? rows : batch, weights_.units(), lifetime);
  if (!pass.gradients) return;
  workspace.want(&unprojected_gradient_, batch, weights_.units(), Lifetime::kScratch);
  workspace.want(&hidden_gradient_, rows, weights_.hidden(), Lifetime::kScratch);
}

void Recurrence::project_step(const Pass& pass, int64_t t, const Part& part) const {
  const Geometry& geometry = *pass.geometry;
  GemmArgs args =
      product_with(weights_.projection_forward(), *pass.kernels, part.panel_begin, part.panel_end);
  args.a_ld = unprojected_.ld;
  args.c_ld = padded(weights_.hidden());
  for_pieces(geometry, t, part, [&](int64_t first, int64_t rows) {
    args.m = rows;
    args.a = unprojected_row(pass, t, first);
    args.c = computed_row(pass, 0, t, first);
    pass.kernels->gemm(args);
    zone_out(pass, 0, t, first, rows, part);
  });
}

void Recurrence::hidden_backward_step(const Pass& pass, int64_t t, const Part& part) const {
  const Geometry& geometry = *pass.geometry;
  const int64_t ld = padded(weights_.hidden());
  const int64_t column = part.panel_begin * pass.kernels->width;
  const size_t bytes = (part.panel_end * pass.kernels->width - column) * sizeof(float);
  for_backward_pieces(geometry, t, part, [&](int64_t first, int64_t rows, bool followed) {
    CellBackwardArgs args = backward_args(pass, t, first, rows, followed);
    args.gates = nullptr;
    args.panel_begin = part.panel_begin;
    args.panel_end = part.panel_end;
    if (product_gradient_ && followed) collect_masked_product(pass, first, part, args);
    // What goes past the step, and so far nothing does, stays in the gradient of the state.
    float* const gradient = hidden_gradient_row(geometry, t, first);
    float* const past = args.dstate[0];
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(gradient + row * ld + column, past + row * ld + column, bytes);
      std::memset(past + row * ld + column, 0, bytes);
    }
    args.dstate[0] = gradient;
    args.dstate_ld = ld;
    backward_kernel(pass)(args);
    if (computed_[0]) zone_gradient(pass, 0, t, first, rows, part, gradient, past);
  });
}

void Recurrence::unproject_gradient(const Pass& pass, int64_t t, int64_t first, const Part& part,
                                    CellBackwardArgs& args) const {
  GemmArgs product =
      product_with(weights_.projection_backward(), *pass.kernels, part.panel_begin, part.panel_end);
  product.m = args.rows;
  product.a = hidden_gradient_row(*pass.geometry, t, first);
  product.a_ld = hidden_gradient_.ld;
  product.c = unprojected_gradient_.row(first);
  product.c_ld = unprojected_gradient_.ld;
  pass.kernels->gemm(product);
  args.following = nullptr;
  args.dy = nullptr;
  args.dstate[0] = unprojected_gradient_.row(first);
  args.previous[0] = args.next[0] = unprojected_row(pass, t, first);
}

// Adds the block's share: the sum of dh^T m over its rows.
void Recurrence::projection_gradient(const Pass& pass, const ParamTable& params) const {
  const int64_t first = block_.first_row - segment_.first_row;
  multiply_tn(*pass.kernels, pass.threads, rows_of(hidden_gradient_, first, block_.rows),
              {{rows_of(unprojected_, first, block_.rows), params.gradient(weights_.weight_hr()),
                weights_.units()}},
              nullptr, true, nullptr, tn_scratch_);
}

}  // namespace ostinato
