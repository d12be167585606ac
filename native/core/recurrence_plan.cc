// The buffers of a recurrence, by the shape of a pass.
#include <algorithm>

#include "core/recurrence.h"

namespace ostinato {

namespace {

// What the gates of a block may take, and the rows below which products over a block would lose
// speed.
constexpr int64_t kBlockBytes = int64_t{1} << 20;
constexpr int64_t kBlockRows = 512;

}  // namespace

int64_t Recurrence::most_block_rows() const {
  return std::max(kBlockRows, kBlockBytes / (gates_.ld * static_cast<int64_t>(sizeof(float))));
}

void Recurrence::plan(Workspace& workspace, const Pass& pass, bool keep_outputs) {
  const CellInfo& cell = info(pass);
  const int64_t batch = pass.geometry->batch();
  const int64_t units = weights_.units();
  const int64_t columns = cell.gates * padded(units);
  const Lifetime lifetime = pass.gradients ? Lifetime::kSaved : Lifetime::kScratch;
  const int64_t gate_buffers = splits(pass) ? 2 : 1;
  const int64_t unit_buffers = cell.states - 1 + (cell.phases > 1 ? 1 : 0);
  segments_.plan(
      *pass.geometry, reverse_, checkpoint_every_, pass.gradients,
      {columns, gate_buffers * columns + unit_buffers * padded(units) + padded(weights_.hidden()) +
                    dropout_floats(pass) + projection_floats() + norm_floats(pass)});
  const int64_t rows = segments_.buffer_rows();

  workspace.want_spread(&gates_, rows, columns, lifetime);
  if (splits(pass) && pass.gradients) {
    workspace.want_spread(&recurrent_gates_, rows, columns, Lifetime::kSaved);
  } else {
    recurrent_gates_ = {};
  }
  operand_ = {};
  if (cell.phases > 1) workspace.want(&operand_, pass.gradients ? rows : batch, units, lifetime);
  sequence_is_running_ = !pass.gradients;
  for (int s = 0; s < cell.states; ++s) {
    const bool all_steps = s == 0 || pass.gradients;
    windowed_[s] = segments_.cut() && (s == 0 ? !keep_outputs : pass.gradients);
    workspace.want(&sequence_[s],
                   !all_steps     ? batch
                   : windowed_[s] ? rows
                                  : pass.geometry->rows(),
                   weights_.width(s), Lifetime::kSaved);
  }
  plan_checkpoints(workspace, pass);
  plan_dropout(workspace, pass, lifetime);
  plan_projection(workspace, pass, lifetime);
  plan_norm(workspace, pass, lifetime);
  plan_own_rows(workspace, pass);
  if (!pass.gradients) return;
  // Also for a dense batch: a ragged one that comes after it allocates nothing.
  previous_rows_.resize(std::max(batch, most_block_rows()));
  workspace.want(&tn_scratch_, multiply_tn_scratch(*pass.kernels, pass.threads),
                 Lifetime::kScratch);
  const int64_t vectors = static_cast<int64_t>(weights_.vectors().size());
  workspace.want(&bias_sums_, std::max<int64_t>(cell.gates, vectors) * units, Lifetime::kScratch);
  if (vectors > 0) {
    workspace.want_spread(&vector_gradients_, rows, vectors * padded(units), Lifetime::kScratch);
  }
  if (cell.vectors > 0) workspace.want(&cell_vector_sums_, padded(units), Lifetime::kScratch);
}

}  // namespace ostinato
