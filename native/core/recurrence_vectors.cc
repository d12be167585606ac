// The gradients of recurrent weights that are vectors: IndRNN's, and the peepholes of an LSTM.
#include <algorithm>
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

// Each thread sums the rows of its panels, in the order of steps and rows.
void Recurrence::cell_vector_gradients(const Pass& pass, const ParamTable& params) {
  const Geometry& geometry = *pass.geometry;
  const CellInfo& cell = info(pass);
  const int64_t units = weights_.units(), width = pass.kernels->width;
  const auto add_rows = [&](const CellVector& vector, int64_t t, int64_t first, int64_t last,
                            CellVectorGradArgs args) {
    if (first >= last) return;
    args.rows = last - first;
    args.gate = gates_row(gates_, geometry, t, first) + vector.gate * width;
    args.state = vector.after                   ? computed_row(pass, vector.state, t, first)
                 : vector.state == 0 && masked_ ? masked_row(geometry, t, first)
                                                : state_before(geometry, vector.state, t, first);
    pass.kernels->cell_vector_grad(args);
  };
  for (int v = 0; v < cell.vectors; ++v) {
    const CellVector& vector = cell.vector[v];
    std::memset(cell_vector_sums_, 0, padded(units) * sizeof(float));
    parallel_for(threads_for(block_.rows * units, pass.threads), padded(units) / width, 1,
                 [&](int64_t begin, int64_t end) {
                   CellVectorGradArgs args{};
                   args.panel_begin = begin;
                   args.panel_end = end;
                   args.gate_ld = gates_.ld;
                   args.gate_panel = cell.gates * width;
                   args.state_ld = padded(units);
                   args.sums = cell_vector_sums_;
                   for (int64_t t = block_.begin; t < block_.end; ++t) {
                     const int64_t rows = geometry.active(t);
                     const int64_t going_on = std::min(continuing(geometry, t), rows);
                     add_rows(vector, t, 0, going_on, args);
                     add_rows(vector, t, going_on, rows, args);
                   }
                 });
    float* const gradient = params.gradient(weights_.cell_vectors()) + v * units;
    pass.kernels->add(gradient, cell_vector_sums_, units);
  }
}

}  // namespace ostinato
