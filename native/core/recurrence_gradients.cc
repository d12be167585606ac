// What a recurrence makes of the gradients of a block's gates once they are there: the gradients of
// its inputs, weights and biases, a product each.
#include <cstring>

#include "core/recurrence.h"

namespace ostinato {

// dx: the block's rows.
void Recurrence::input_gradient(const Pass& pass, const ParamTable& params, const Matrix& dx,
                                bool accumulate) const {
  const Matrix gates = gates_of(gates_, block_);
  if (!weights_.input_in_place(*pass.geometry, *pass.kernels)) {
    multiply(*pass.kernels, pass.threads, gates, weights_.input_backward(), nullptr, accumulate,
             dx);
    return;
  }
  const int64_t inputs = weights_.inputs();
  const Matrix rows{params.value(weights_.weight_ih()), info(pass).gates * weights_.units(), inputs,
                    inputs};
  multiply(*pass.kernels, pass.threads, gates,
           MappedRows{rows, weights_.gate_map().data(), gates.cols}, accumulate, dx);
}

// Where the states before each step of the block lie, row by row as the gates.
const float* const* Recurrence::previous_rows(const Geometry& geometry) {
  const int64_t ld = padded(weights_.width(0));
  const float** place = previous_rows_.data();
  const Part all{0, geometry.batch(), 0, 0};
  for (int64_t t = block_.begin; t < block_.end; ++t) {
    for_pieces(geometry, t, all, [&](int64_t first, int64_t rows) {
      const float* row = state_before(geometry, 0, t, first);
      for (int64_t i = 0; i < rows; ++i, row += ld) *place++ = row;
    });
  }
  return previous_rows_.data();
}

// Of the recurrent weights: the rows of the block that have a state before them, and that state, or
// what a mask leaves of it.
TnProduct Recurrence::recurrent_product(const Pass& pass, const ParamTable& params) {
  const Geometry& geometry = *pass.geometry;
  const int64_t hidden = weights_.hidden();
  TnProduct product{{sequence_[0].data, 0, hidden, padded(hidden)},
                    params.gradient(weights_.weight_hh()),
                    hidden};
  if (masked_) {
    product.b = rows_of(masked_, block_.first_row - segment_.first_row, block_.rows);
    return product;
  }
  if (!geometry.dense()) {
    product.b.rows = block_.rows;
    product.b_rows = previous_rows(geometry);
    return product;
  }
  // The states before the steps of a dense batch are the outputs, shifted by one step.
  const bool begins = block_.begin == 0, ends = block_.end == geometry.steps();
  const int64_t begin = block_.begin + (begins && !reverse_ ? 1 : 0);
  const int64_t end = block_.end - (ends && reverse_ ? 1 : 0);
  product.first = (begin - block_.begin) * geometry.batch();
  if (begin < end) {
    product.b = {sequence_row(geometry, 0, step_before(begin), 0), (end - begin) * geometry.batch(),
                 hidden, padded(hidden)};
  }
  return product;
}

// Adds the block's share to the gradients of a cell's learned vectors: sums over its rows.
void Recurrence::vector_gradients(const Pass& pass, const ParamTable& params) {
  const std::vector<int>& vectors = weights_.vectors();
  if (vectors.empty()) return;
  const int64_t units = weights_.units();
  std::memset(bias_sums_, 0, vectors.size() * units * sizeof(float));
  multiply_tn(*pass.kernels, pass.threads, gates_of(vector_gradients_, block_), {},
              weights_.vector_columns().data(), true, bias_sums_, tn_scratch_);
  for (size_t p = 0; p < vectors.size(); ++p) {
    pass.kernels->add(params.gradient(vectors[p]), bias_sums_ + p * units, units);
  }
}

// Adds the block's share to the gradients of weights and biases. x: the block's rows.
void Recurrence::weight_gradients(const Pass& pass, const ParamTable& params, const Matrix& x) {
  const Geometry& geometry = *pass.geometry;
  const Kernels& kernels = *pass.kernels;
  const int64_t units = weights_.units();
  const int64_t bias_size = info(pass).gates * units;
  const bool two_phases = info(pass).phases > 1;
  const Matrix gates = gates_of(gates_, block_),
               recurrent_gates = gates_of(product_gates(), block_);
  const int32_t* map = weights_.gate_map().data();
  const int32_t* recurrent_map = two_phases ? weights_.phase_columns(0).data() : map;
  const TnProduct input{x, params.gradient(weights_.weight_ih()), weights_.inputs()};
  // The first block of a pass writes gradients that nothing is in yet.
  const bool adds = !params.claim_gradient(weights_.weight_ih());
  if (!info(pass).elementwise) params.claim_gradient(weights_.weight_hh());
  // Biases that come after a normalisation have sums of their own.
  float* sums = weights_.use_bias() && !normalizes() ? bias_sums_ : nullptr;
  const auto clear_sums = [&] {
    if (sums != nullptr) std::memset(sums, 0, bias_size * sizeof(float));
  };
  const auto add_sums = [&](int bias) {
    if (sums != nullptr) kernels.add(params.gradient(bias), sums, bias_size);
  };
  clear_sums();
  if (info(pass).vectors > 0) cell_vector_gradients(pass, params);
  if (info(pass).elementwise) {
    multiply_tn(kernels, pass.threads, gates, {input}, map, adds, sums, tn_scratch_);
    add_sums(weights_.bias_ih());
    add_sums(weights_.bias_hh());
    return;
  }
  const TnProduct recurrent = recurrent_product(pass, params);
  if (!recurrent_gates_ && !two_phases) {
    multiply_tn(kernels, pass.threads, gates, {input, recurrent}, map, adds, sums, tn_scratch_);
    add_sums(weights_.bias_ih());
  } else {
    multiply_tn(kernels, pass.threads, gates, {input}, map, adds, sums, tn_scratch_);
    add_sums(weights_.bias_ih());
    if (recurrent_gates_) clear_sums();
    multiply_tn(kernels, pass.threads, recurrent_gates, {recurrent}, recurrent_map, adds,
                recurrent_gates_ ? sums : nullptr, tn_scratch_);
  }
  add_sums(weights_.bias_hh());
  vector_gradients(pass, params);

  const int64_t t = reverse_ ? geometry.steps() - 1 : 0;  // the first in processing order
  if (geometry.dense() && block_.has(t) && !initial_zero_ && !masked_) {
    const Matrix rows{gates_row(product_gates(), geometry, t, 0), geometry.batch(), gates.cols,
                      gates.ld};
    const int64_t hidden = weights_.hidden();
    const Matrix initial{initial_[0].data(), geometry.batch(), hidden, padded(hidden)};
    multiply_tn(kernels, pass.threads, rows, {{initial, recurrent.c, hidden}}, recurrent_map, true,
                nullptr, tn_scratch_);
  }
  if (weights_.projects()) projection_gradient(pass, params);
  if (two_phases) {
    multiply_tn(kernels, pass.threads, gates,
                {{rows_of(operand_, block_.first_row - segment_.first_row, block_.rows),
                  recurrent.c, units}},
                weights_.phase_columns(1).data(), adds, nullptr, tn_scratch_);
  }
}

}  // namespace ostinato
