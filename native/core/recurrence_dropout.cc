// Dropout inside the time loop, around the cells: passes over the states of a step before and after
// the kernels, which know nothing of them.
//
// Zoneout keeps what the cell computed in a buffer of its own, where the backward step finds it,
// and mixes it with the state before. On the way back the gradient of the mixed state is made
// first, by the kernels' call that only finishes; one part goes into the cell, the other past it.
//
// The candidate's mask alone is the cells' own business: factors that are drawn for a block of
// steps before it, and read by kernels of their own.
//
// A mask on h is a masked copy of h for the product. On the way back the product's gradient is
// collected apart from that of h itself, and added to it through the mask. A cell that multiplies h
// unit by unit itself has no other gradient of h than that, so it goes through the mask in place.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// What a draw costs, in multiply-adds, for the choice of threads.
constexpr int64_t kDrawCost = 12;

}  // namespace

void Recurrence::plan_dropout(Workspace& workspace, const Pass& pass, Lifetime lifetime) {
  const int64_t batch = pass.geometry->batch(), units = weights_.units();
  const int64_t rows = segments_.buffer_rows();
  for (int s = 0; s < kMaxStates; ++s) {
    computed_[s] = kept_[s] = {};
    if (!zones(pass, s)) continue;
    workspace.want(&computed_[s], pass.gradients ? rows : batch, weights_.width(s), lifetime);
    if (pass.gradients && s >= first_cell_state()) {
      workspace.want(&kept_[s], batch, units, Lifetime::kScratch);
    }
  }
  candidate_mask_ = mask_ = masked_ = product_gradient_ = {};
  if (dropout_.drops_candidate(pass)) workspace.want(&candidate_mask_, rows, units, lifetime);
  if (!dropout_.masks(pass)) return;
  workspace.want(&mask_, batch, units, Lifetime::kSaved);
  workspace.want(&masked_, rows, weights_.hidden(), lifetime);
  if (pass.gradients && !info(pass).elementwise) {
    workspace.want(&product_gradient_, batch, weights_.hidden(), Lifetime::kSaved);
  }
}

int64_t Recurrence::dropout_floats(const Pass& pass) const {
  int64_t floats = dropout_.masks(pass) ? padded(weights_.hidden()) : 0;
  if (dropout_.drops_candidate(pass)) floats += padded(weights_.units());
  for (int s = 0; s < kMaxStates; ++s) floats += zones(pass, s) ? padded(weights_.width(s)) : 0;
  return floats;
}

void Recurrence::draw_factors(const Pass& pass, float rate, int64_t number, float* row) const {
  DropoutArgs args{};
  args.seed = pass.seed;
  args.stream = dropout_.stream(pass);
  args.rate = rate;
  args.first_row = number;
  args.rows = 1;
  args.cols = args.x_ld = args.y_ld = weights_.units();
  args.x = args.y = row;
  std::fill_n(row, args.cols, 1.0f);
  std::fill(row + args.cols, row + padded(args.cols), 0.0f);
  pass.kernels->dropout(args);
}

void Recurrence::draw_mask(const Pass& pass) const {
  if (!dropout_.masks(pass)) return;
  for (int64_t b = 0; b < mask_.rows; ++b) {
    draw_factors(pass, dropout_.recurrent, LoopDropout::mask_row(pass.geometry->batch_row(b)),
                 mask_.row(b));
  }
}

void Recurrence::draw_candidate_masks(const Pass& pass, const Segment& steps) const {
  if (!candidate_mask_) return;
  const Geometry& geometry = *pass.geometry;
  parallel_for(threads_for(kDrawCost * steps.rows * weights_.units(), pass.threads),
               steps.end - steps.begin, 1, [&](int64_t begin, int64_t end) {
                 for (int64_t t = steps.begin + begin; t < steps.begin + end; ++t) {
                   for (int64_t b = 0; b < geometry.active(t); ++b) {
                     draw_factors(pass, dropout_.candidate,
                                  LoopDropout::candidate_row(geometry, t, b),
                                  candidate_row(geometry, t, b));
                   }
                 }
               });
}

void Recurrence::mask_step(const Pass& pass, int64_t t, const Part& part) const {
  const Geometry& geometry = *pass.geometry;
  const int64_t column = part.panel_begin * pass.kernels->width;
  CombineArgs args{};
  args.kind = Combine::kMul;
  args.cols = part.panel_end * pass.kernels->width - column;
  args.a_ld = mask_.ld;
  args.b_ld = args.y_ld = padded(weights_.hidden());
  for_pieces(geometry, t, part, [&](int64_t first, int64_t rows) {
    args.rows = rows;
    args.a = mask_.row(first) + column;
    args.b = state_before(geometry, 0, t, first) + column;
    args.y = masked_row(geometry, t, first) + column;
    pass.kernels->combine(args);
  });
}

// call(args, i) for the rows first + i of step t, as many at once as have neighbouring draws.
template <class Call>
void Recurrence::for_zoneout(const Pass& pass, int state, int64_t t, int64_t first, int64_t rows,
                             const Part& part, const Call& call) const {
  const Geometry& geometry = *pass.geometry;
  const int64_t blocks = (weights_.units() + 3) / 4;
  ZoneoutArgs args{};
  args.seed = pass.seed;
  args.stream = dropout_.stream(pass);
  args.rate = dropout_.zoneout[state];
  args.expected = !pass.training;
  args.row_blocks = LoopDropout::kMasks * blocks;
  args.begin = part.panel_begin * pass.kernels->width;
  args.end = part.panel_end * pass.kernels->width;
  args.ld = padded(weights_.width(state));
  args.rows = args.expected || geometry.dense() ? rows : 1;
  for (int64_t i = 0; i < rows; i += args.rows) {
    args.first_block = LoopDropout::zoneout_row(geometry, state, t, first + i) * blocks;
    call(args, i);
  }
}

void Recurrence::zone_out(const Pass& pass, int state, int64_t t, int64_t first, int64_t rows,
                          const Part& part) const {
  if (!computed_[state]) return;
  const Geometry& geometry = *pass.geometry;
  for_zoneout(pass, state, t, first, rows, part, [&](ZoneoutArgs& args, int64_t i) {
    args.x = computed_row(pass, state, t, first + i);
    args.previous = state_before(geometry, state, t, first) + i * args.ld;
    args.y = state_after(geometry, state, t, first + i);
    pass.kernels->zoneout(args);
  });
}

void Recurrence::zone_gradient(const Pass& pass, int state, int64_t t, int64_t first, int64_t rows,
                               const Part& part, float* gradient, float* kept) const {
  for_zoneout(pass, state, t, first, rows, part, [&](const ZoneoutArgs& place, int64_t i) {
    pass.kernels->zoneout_grad({place, gradient + i * place.ld, kept + i * place.ld});
  });
}

void Recurrence::collect_masked_product(const Pass& pass, int64_t first, const Part& part,
                                        CellBackwardArgs& args) const {
  CellBackwardArgs product = args;
  product.gates = nullptr;
  product.dy = nullptr;
  product.dstate[0] = product_gradient_.row(first);
  product.dstate_ld = product_gradient_.ld;
  backward_kernel(pass)(product);
  unmask_gradient(pass, first, args.rows, part);
  args.following = nullptr;
}

void Recurrence::backward_dropped(const Pass& pass, int64_t t, int64_t first, const Part& part,
                                  CellBackwardArgs args) const {
  // What there is to be done for a projected h has been done, or is none of the cell's business.
  const int first_state = first_cell_state();
  if (args.phase == 0) {
    if (product_gradient_ && args.following != nullptr)
      collect_masked_product(pass, first, part, args);
    if (computed_[0] && first_state == 0) {
      CellBackwardArgs sum = args;
      sum.gates = nullptr;
      backward_kernel(pass)(sum);
      args.following = nullptr;
      args.dy = nullptr;
    }
    for (int s = first_state; s < info(pass).states; ++s) {
      if (!computed_[s]) continue;
      zone_gradient(pass, s, t, first, args.rows, part, args.dstate[s], kept_[s].row(first));
    }
  } else if (product_gradient_) {
    // The operand was made of what the mask leaves of h.
    args.previous[0] = masked_row(*pass.geometry, t, first);
    args.dstate[0] = product_gradient_.row(first);
  }
  cell_gradient(pass, t, first, args);
  if (args.phase + 1 < info(pass).phases) return;
  const int64_t column = part.panel_begin * pass.kernels->width;
  const int64_t columns = part.panel_end * pass.kernels->width - column;
  if (masked_ && !product_gradient_) {
    CombineArgs mask{};
    mask.kind = Combine::kMul;
    mask.rows = args.rows;
    mask.cols = columns;
    mask.a_ld = mask.b_ld = mask.y_ld = padded(weights_.units());
    mask.a = mask_.row(first) + column;
    mask.y = dstate_[0].data() + first * mask.y_ld + column;
    mask.b = mask.y;
    pass.kernels->combine(mask);
  }
  for (int s = first_state; s < info(pass).states; ++s) {
    if (!computed_[s]) continue;
    for (int64_t row = first; row < first + args.rows; ++row) {
      pass.kernels->add(dstate_[s].data() + row * padded(weights_.units()) + column,
                        kept_[s].row(row) + column, columns);
    }
  }
}

void Recurrence::clear_product_gradient() const {
  if (product_gradient_) {
    std::memset(product_gradient_.data, 0,
                product_gradient_.rows * product_gradient_.ld * sizeof(float));
  }
}

void Recurrence::unmask_gradient(const Pass& pass, int64_t first, int64_t rows,
                                 const Part& part) const {
  const int64_t column = part.panel_begin * pass.kernels->width;
  MaskedRowsArgs args{};
  args.rows = rows;
  args.cols = part.panel_end * pass.kernels->width - column;
  args.ld = padded(weights_.hidden());
  args.mask = mask_.row(first) + column;
  args.mask_ld = mask_.ld;
  args.x = product_gradient_.row(first) + column;
  args.y = dstate_[0].data() + first * args.ld + column;
  pass.kernels->add_masked(args);
}

}  // namespace ostinato
