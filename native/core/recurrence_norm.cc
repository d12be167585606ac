// Layer normalisation inside the time loop. Since a normalisation needs all units of a row, a step
// has two phases in place of the one call that multiplies and does the cell's maths at once.
// Forward: the recurrent product of a thread's panels; then, of whole rows, the normalisations and
// the maths. Backward: the gradient of h, of a thread's panels; then, of whole rows, the
// derivatives of the maths and of the normalisations. Threads that share out rows need no barrier
// in between.
//
// A row's shares in the gradients of scales and biases are added up from step to step in a row of
// their own, so that nothing but the normalised values is kept for them, and the order of their
// sums depends on neither threads nor segments.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

namespace {

constexpr int kProductPhase = 0;
// What a value costs to normalise, in multiply-adds, for the choice of threads.
constexpr int64_t kNormCost = 8;

void clear(const Matrix& matrix) {
  if (matrix) std::memset(matrix.data, 0, matrix.rows * matrix.ld * sizeof(float));
}

}  // namespace

void Recurrence::plan_norm(Workspace& workspace, const Pass& pass, Lifetime lifetime) {
  norm_ = {};
  if (!normalizes()) return;
  const CellNorm& norm = weights_.norm();
  const int64_t batch = pass.geometry->batch(), units = weights_.units();
  const int64_t columns = info(pass).gates * padded(units);
  const int64_t rows = segments_.buffer_rows();
  // All rows of gates have one leading dimension.
  workspace.want_spread(&norm_.product, batch, columns, Lifetime::kScratch);
  if (norm.memory()) workspace.want(&norm_.memory, pass.gradients ? rows : batch, units, lifetime);
  if (!pass.gradients) return;
  for (int side = 0; side < 2; ++side) {
    if (norm.scale(side) < 0) continue;
    workspace.want_spread(&norm_.normalized[side], rows, columns, Lifetime::kSaved);
    workspace.want_spread(&norm_.dscale[side], batch, columns, Lifetime::kScratch);
    if (weights_.use_bias() && (side == 0 || info(pass).split_gates != 0)) {
      workspace.want_spread(&norm_.dbias[side], batch, columns, Lifetime::kScratch);
    }
  }
  workspace.want(&norm_.rstd, rows, static_cast<int64_t>(norm.gates().size()) + 1,
                 Lifetime::kSaved);
  if (!norm.memory()) return;
  workspace.want(&norm_.memory_normalized, rows, units, Lifetime::kSaved);
  workspace.want(&norm_.dmemory, batch, units, Lifetime::kScratch);
  workspace.want(&norm_.dmemory_scale, batch, units, Lifetime::kScratch);
  if (norm.memory_shift() >= 0) {
    workspace.want(&norm_.dmemory_shift, batch, units, Lifetime::kScratch);
  }
}

int64_t Recurrence::norm_floats(const Pass& pass) const {
  if (!normalizes() || !pass.gradients) return 0;
  const CellNorm& norm = weights_.norm();
  const int64_t ld = padded(weights_.units()), sides = norm.apart() ? 2 : 1;
  return sides * info(pass).gates * ld + (norm.memory() ? 2 * ld : 0) + kPad;
}

Recurrence::Part Recurrence::whole_rows(const Pass& pass, int64_t t, const Part& part) const {
  const int64_t end = std::min(part.row_end, pass.geometry->active(t));
  const Member::Range share = part.member.share(std::max<int64_t>(end - part.row_begin, 0));
  return {part.row_begin + share.begin,
          part.row_begin + share.end,
          0,
          padded(weights_.units()) / pass.kernels->width,
          {}};
}

GateNormPlace Recurrence::norm_place(const Pass& pass, const GateNorm& norm) const {
  return {weights_.units(), info(pass).gates, norm.first, norm.last, gates_.ld, norm_.rstd.ld};
}

GateNormPlace Recurrence::memory_place() const {
  return {weights_.units(), 1, 0, 1, padded(weights_.units()), norm_.rstd.ld};
}

// ---- forward --------------------------------------------------------------------------------

GateNormArgs Recurrence::norm_args(const Pass& pass, size_t index, int64_t row, int64_t rows,
                                   bool keep) const {
  const CellNorm& norm = weights_.norm();
  const GateNorm& it = norm.gates()[index];
  const int side = it.side();
  GateNormArgs args{};
  args.place = norm_place(pass, it);
  args.target = NormTarget::kWritten;
  args.epsilon = CellNorm::kEpsilon;
  args.rows = rows;
  args.x = args.y = gates_.row(row);
  args.gamma = norm.packed_scale(side);
  // Biases of both products where the two are added, else each at its product.
  args.bias = side == 0 ? weights_.input_bias() : weights_.recurrent_bias();
  if (keep) {
    args.normalized = norm_.normalized[side].row(row);
    args.rstd = norm_.rstd.row(row) + index;
  }
  return args;
}

void Recurrence::normalize_inputs(const Pass& pass, bool keep) const {
  const std::vector<GateNorm>& norms = weights_.norm().gates();
  const int64_t first = block_.first_row - block_.gate_base;
  for (size_t i = 0; i < norms.size(); ++i) {
    if (norms[i].recurrent) continue;
    const int64_t values = (norms[i].last - norms[i].first) * weights_.units();
    parallel_for(threads_for(kNormCost * block_.rows * values, pass.threads), block_.rows, 1,
                 [&](int64_t begin, int64_t end) {
                   pass.kernels->gate_norm(norm_args(pass, i, first + begin, end - begin, keep));
                 });
  }
}

void Recurrence::normalized_step(const Pass& pass, int64_t t, int phase, const Part& part,
                                 bool keep) const {
  if (phase == kProductPhase) return multiply_state(pass, t, part);
  const Part whole = whole_rows(pass, t, part);
  for_pieces(*pass.geometry, t, whole, [&](int64_t first, int64_t rows) {
    normalize_sums(pass, t, first, rows, keep);
    apply_cell(pass, t, first, rows, keep);
    for (int s = 0; s < info(pass).states; ++s) zone_out(pass, s, t, first, rows, whole);
  });
}

void Recurrence::multiply_state(const Pass& pass, int64_t t, const Part& part) const {
  const Geometry& geometry = *pass.geometry;
  const PackedMatrix& weights = weights_.norm().product();
  const int64_t width = pass.kernels->gemm_width;
  const Member::Range panels = part.member.share((weights.n() + width - 1) / width);
  GemmArgs args{};
  args.n = weights.n();
  args.k = weights.k();
  args.a_ld = padded(weights_.units());
  args.b = weights.data();
  args.c_ld = norm_.product.ld;
  args.panel_begin = panels.begin;
  args.panel_end = panels.end;
  for_pieces(geometry, t, part, [&](int64_t first, int64_t rows) {
    args.m = rows;
    args.a = masked_ ? masked_row(geometry, t, first) : state_before(geometry, 0, t, first);
    args.c = norm_.product.row(first);
    pass.kernels->gemm(args);
  });
}

// What depends on the state, of rows of one step.
void Recurrence::normalize_sums(const Pass& pass, int64_t t, int64_t first, int64_t rows,
                                bool keep) const {
  const std::vector<GateNorm>& norms = weights_.norm().gates();
  float* const product = norm_.product.row(first);
  for (size_t i = 0; i < norms.size(); ++i) {
    if (!norms[i].recurrent) continue;
    GateNormArgs args = norm_args(pass, i, gate_index(*pass.geometry, t, first), rows, keep);
    args.x = product;
    if (norms[i].input) {
      args.target = NormTarget::kJoined;
    } else if ((info(pass).split_gates >> norms[i].first & 1) != 0) {
      args.y = product;  // where the cell looks for it
    } else {
      args.target = NormTarget::kAdded;
    }
    pass.kernels->gate_norm(args);
  }
}

void Recurrence::apply_cell(const Pass& pass, int64_t t, int64_t first, int64_t rows,
                            bool keep) const {
  CellApplyArgs args{forward_args(pass, t, first, rows, 0), norm_.product.row(first),
                     norm_.product.ld};
  args.step.panel_end = padded(weights_.units()) / pass.kernels->width;
  args.step.training = keep;
  if (!weights_.norm().memory()) return pass.kernels->cell_apply[weights_.cell()](args);
  pass.kernels->cell_halves[weights_.cell()]->apply(args);
  put_out_memory(pass, t, first, args.step, keep);
}

// The output of rows whose memory is there.
void Recurrence::put_out_memory(const Pass& pass, int64_t t, int64_t first,
                                const CellForwardArgs& step, bool keep) const {
  const CellNorm& norm = weights_.norm();
  const int64_t row = gate_index(*pass.geometry, t, first);
  GateNormArgs args{};
  args.place = memory_place();
  args.target = NormTarget::kWritten;
  args.epsilon = CellNorm::kEpsilon;
  args.rows = step.rows;
  args.x = step.next[1];
  args.gamma = norm.packed_memory_scale();
  args.bias = norm.packed_memory_shift();
  args.y = norm_.memory.row(pass.gradients ? row : first);
  if (keep) {
    args.normalized = norm_.memory_normalized.row(row);
    args.rstd = norm_.rstd.row(row) + norm.gates().size();
  }
  pass.kernels->gate_norm(args);
  CellOutputArgs output{};
  output.rows = step.rows;
  output.panels = step.panel_end;
  output.gates = step.gates;
  output.gates_ld = step.gates_ld;
  output.memory = args.y;
  output.h = step.next[0];
  output.ld = args.place.ld;
  pass.kernels->cell_halves[weights_.cell()]->output(output);
}

// ---- backward -------------------------------------------------------------------------------

void Recurrence::clear_norm_sums() const {
  for (const Matrix& sums : {norm_.dscale[0], norm_.dscale[1], norm_.dbias[0], norm_.dbias[1],
                             norm_.dmemory_scale, norm_.dmemory_shift}) {
    clear(sums);
  }
}

void Recurrence::normalized_backward_step(const Pass& pass, int64_t t, int phase,
                                          const Part& part) const {
  const bool gathers = phase == kProductPhase;
  const Part own = gathers ? part : whole_rows(pass, t, part);
  for_backward_pieces(*pass.geometry, t, own, [&](int64_t first, int64_t rows, bool followed) {
    CellBackwardArgs args = backward_args(pass, t, first, rows, followed);
    args.panel_begin = own.panel_begin;
    args.panel_end = own.panel_end;
    if (gathers) {
      args.gates = nullptr;
      if (product_gradient_ && followed) collect_masked_product(pass, first, own, args);
      backward_kernel(pass)(args);
      return;
    }
    args.following = nullptr;
    args.dy = nullptr;
    if (dropout_.zones()) {
      backward_dropped(pass, t, first, own, args);
    } else {
      cell_gradient(pass, t, first, args);
    }
    norm_gradient(pass, t, first, rows);
  });
}

void Recurrence::cell_gradient(const Pass& pass, int64_t t, int64_t first,
                               const CellBackwardArgs& args) const {
  if (weights_.norm().memory()) return memory_gradient(pass, t, first, args);
  backward_kernel(pass)(args);
}

void Recurrence::memory_gradient(const Pass& pass, int64_t t, int64_t first,
                                 const CellBackwardArgs& args) const {
  const CellNorm& norm = weights_.norm();
  const CellHalves& halves = *pass.kernels->cell_halves[weights_.cell()];
  const int64_t row = gate_index(*pass.geometry, t, first);
  float* const dmemory = norm_.dmemory.row(first);
  CellOutputArgs output{};
  output.rows = args.rows;
  output.panels = args.panel_end;
  output.gates = args.gates;
  output.gates_ld = args.gates_ld;
  output.memory = norm_.memory.row(row);
  output.dh = args.dstate[0];
  output.dmemory = dmemory;
  output.ld = args.dstate_ld;
  halves.output_grad(output);
  GateNormGradArgs back{};
  back.place = memory_place();
  back.rows = args.rows;
  back.gamma = norm.packed_memory_scale();
  back.normalized = norm_.memory_normalized.row(row);
  back.rstd = norm_.rstd.row(row) + norm.gates().size();
  back.dy = back.dx = dmemory;
  back.dscale = norm_.dmemory_scale.row(first);
  if (norm_.dmemory_shift) back.dbias = norm_.dmemory_shift.row(first);
  pass.kernels->gate_norm_grad(back);
  pass.kernels->add(args.dstate[1], dmemory, args.rows * args.dstate_ld);
  halves.backward(args);
}

// Takes the gradients of pre-activations to those of the products.
void Recurrence::norm_gradient(const Pass& pass, int64_t t, int64_t first, int64_t rows) const {
  const Geometry& geometry = *pass.geometry;
  const CellNorm& norm = weights_.norm();
  const int64_t row = gate_index(geometry, t, first);
  float* const gates = gates_.row(row);
  float* const products = recurrent_gates_ ? recurrent_gates_.row(row) : nullptr;
  const auto take = [&](size_t index) {
    const GateNorm& it = norm.gates()[index];
    const int side = it.side();
    const bool split = (info(pass).split_gates >> it.first & 1) != 0;
    GateNormGradArgs args{};
    args.place = norm_place(pass, it);
    args.rows = rows;
    args.gamma = norm.packed_scale(side);
    args.normalized = norm_.normalized[side].row(row);
    args.rstd = norm_.rstd.row(row) + index;
    args.dscale = norm_.dscale[side].row(first);
    // The bias of a sum counts once.
    if (norm_.dbias[side] && (it.input || split)) args.dbias = norm_.dbias[side].row(first);
    args.dx = it.input ? gates : products;
    args.dy = it.input || !split ? gates : products;
    if (it.input && it.recurrent) args.dx_too = products;
    pass.kernels->gate_norm_grad(args);
  };
  // Recurrent parts first: they may read what the others overwrite.
  for (const bool input : {false, true}) {
    for (size_t i = 0; i < norm.gates().size(); ++i) {
      if (norm.gates()[i].input == input) take(i);
    }
  }
}

void Recurrence::norm_parameter_gradients(const Pass& pass, const ParamTable& params) const {
  if (!normalizes()) return;
  const CellNorm& norm = weights_.norm();
  const CellInfo& cell = info(pass);
  const int64_t units = weights_.units(), size = cell.gates * units;
  const auto sum_rows = [&](const Matrix& rows, const int32_t* map) {
    std::memset(bias_sums_, 0, size * sizeof(float));
    multiply_tn(*pass.kernels, pass.threads, rows, {}, map, true, bias_sums_, tn_scratch_);
  };
  const int32_t* const map = weights_.gate_map().data();
  for (int side = 0; side < 2; ++side) {
    if (norm.scale(side) < 0) continue;
    sum_rows(norm_.dscale[side], map);
    const int64_t begin = side == 0 ? 0 : norm.first_apart() * units;
    pass.kernels->add(params.gradient(norm.scale(side)), bias_sums_ + begin, size - begin);
  }
  const auto add_blocks = [&](int bias, bool split) {
    for (int gate = 0; gate < cell.gates; ++gate) {
      if (((cell.split_gates >> gate & 1) != 0) != split) continue;
      pass.kernels->add(params.gradient(bias) + gate * units, bias_sums_ + gate * units, units);
    }
  };
  if (weights_.use_bias()) {
    sum_rows(norm_.dbias[0], map);
    pass.kernels->add(params.gradient(weights_.bias_ih()), bias_sums_, size);
    add_blocks(weights_.bias_hh(), false);
    if (cell.split_gates != 0) {
      sum_rows(norm_.dbias[1], map);
      add_blocks(weights_.bias_hh(), true);
    }
  }
  if (!norm.memory()) return;
  sum_rows(norm_.dmemory_scale, nullptr);
  pass.kernels->add(params.gradient(norm.memory_scale()), bias_sums_, units);
  if (norm.memory_shift() < 0) return;
  sum_rows(norm_.dmemory_shift, nullptr);
  pass.kernels->add(params.gradient(norm.memory_shift()), bias_sums_, units);
}

}  // namespace ostinato
