// The one translation unit of kernels, compiled once per instruction set with -DOSTINATO_ISA=<name>
// and that set's flags. It exports one symbol: ostinato::<name>::table.
//
// Start reading at tile.inl.h: every dense product is made of that tile.
#include "kernels/kernels.h"

#include <type_traits>

// GCC does not see that sums with their own inputs and those without are begun under one condition.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "kernels/activation.inl.h"
#include "kernels/attention.inl.h"
#include "kernels/batch_norm.inl.h"
#include "kernels/cell_apply.inl.h"
#include "kernels/cell_tape.inl.h"
#include "kernels/cells/elman.h"
#include "kernels/cells/gru.h"
#include "kernels/cells/gru_reset_before.h"
#include "kernels/cells/indrnn.h"
#include "kernels/cells/lstm.h"
#include "kernels/cells/lstm_variants.h"
#include "kernels/columns_product.inl.h"
#include "kernels/combine.inl.h"
#include "kernels/dropout.inl.h"
#include "kernels/gate_norm.inl.h"
#include "kernels/gates.inl.h"
#include "kernels/gemm.inl.h"
#include "kernels/gemm_tn.inl.h"
#include "kernels/layer_norm.inl.h"
#include "kernels/loss.inl.h"
#include "kernels/lstm_memory.inl.h"
#include "kernels/optimizer.inl.h"
#include "kernels/pack.inl.h"
#include "kernels/pooling.inl.h"
#include "kernels/recurrent.inl.h"
#include "kernels/rms_norm.inl.h"
#include "kernels/state_dropout.inl.h"
#include "kernels/vector_ops.inl.h"

#define OSTINATO_STRING_EXPANDED(x) #x
#define OSTINATO_STRING(x) OSTINATO_STRING_EXPANDED(x)

namespace ostinato::OSTINATO_ISA {
namespace {

#define CELL(stem, Type) Type::kInfo,
constexpr CellInfo kCells[] = {
#include "kernels/cells/cells.def"
};
#undef CELL

#define CELL(stem, Type) cell_forward<Type>,
constexpr void (*kCellForward[])(const CellForwardArgs&) noexcept = {
#include "kernels/cells/cells.def"
    tape_forward,
};
#undef CELL

#define CELL(stem, Type) cell_backward<Type>,
constexpr void (*kCellBackward[])(const CellBackwardArgs&) noexcept = {
#include "kernels/cells/cells.def"
    tape_backward,
};
#undef CELL

#define CELL(stem, Type) apply_kernel<Type>(),
constexpr void (*kCellApply[])(const CellApplyArgs&) noexcept = {
#include "kernels/cells/cells.def"
    nullptr,
};
#undef CELL

#define CELL(stem, Type) halves<Type>(),
constexpr const CellHalves* kCellHalves[] = {
#include "kernels/cells/cells.def"
    nullptr,
};
#undef CELL

template <class Cell>
constexpr auto dropped_forward() -> void (*)(const CellForwardArgs&) noexcept {
  using Dropped = typename WithCandidateDropout<Cell>::Type;
  if constexpr (std::is_void_v<Dropped>) {
    return nullptr;
  } else {
    return cell_forward<Dropped>;
  }
}
template <class Cell>
constexpr auto dropped_backward() -> void (*)(const CellBackwardArgs&) noexcept {
  using Dropped = typename WithCandidateDropout<Cell>::Type;
  if constexpr (std::is_void_v<Dropped>) {
    return nullptr;
  } else {
    return cell_backward<Dropped>;
  }
}

#define CELL(stem, Type) dropped_forward<Type>(),
constexpr void (*kCellForwardDropped[])(const CellForwardArgs&) noexcept = {
#include "kernels/cells/cells.def"
    nullptr,
};
#undef CELL

#define CELL(stem, Type) dropped_backward<Type>(),
constexpr void (*kCellBackwardDropped[])(const CellBackwardArgs&) noexcept = {
#include "kernels/cells/cells.def"
    nullptr,
};
#undef CELL

}  // namespace

extern const Kernels table;
const Kernels table = {
    .name = OSTINATO_STRING(OSTINATO_ISA),
    .width = kV,
    .gemm_width = kGemmWidth,
    .gemm_rows = kGemmRows,
    .gemm_tn_width = kTnWidth,
    .gemm_tn_rows = kTnRows,
    .gemm_tn_scratch = kGemmTnScratch,
    .streams_steps = kStreamsSteps,
    .pack = pack,
    .gemm = gemm,
    .gemm_tn = gemm_tn,
    .cell_count = static_cast<int>(sizeof(kCells) / sizeof(kCells[0])),
    .cells = kCells,
    .cell_forward = kCellForward,
    .cell_backward = kCellBackward,
    .cell_vector_grad = cell_vector_grad,
    .cell_apply = kCellApply,
    .cell_halves = kCellHalves,
    .cell_forward_dropped = kCellForwardDropped,
    .cell_backward_dropped = kCellBackwardDropped,
    .stream_fence = fence_steps,
    .activation = activation,
    .activation_grad = activation_grad,
    .combine = combine,
    .combine_grad = combine_grad,
    .dropout = dropout,
    .zoneout = zoneout,
    .zoneout_grad = zoneout_grad,
    .add_masked = add_masked,
    .layer_norm = layer_norm,
    .layer_norm_grad = layer_norm_grad,
    .layer_norm_param_grad = layer_norm_param_grad,
    .gate_norm = gate_norm,
    .gate_norm_grad = gate_norm_grad,
    .rms_norm = rms_norm,
    .rms_norm_grad = rms_norm_grad,
    .rms_norm_param_grad = rms_norm_param_grad,
    .glu = glu,
    .glu_grad = glu_grad,
    .highway = highway,
    .highway_grad = highway_grad,
    .maximum = maximum,
    .maximum_grad = maximum_grad,
    .add_weighted = add_weighted,
    .add_column_products = add_column_products,
    .column_moments = column_moments,
    .batch_norm = batch_norm,
    .batch_norm_sums = batch_norm_sums,
    .batch_norm_grad = batch_norm_grad,
    .attention_products = attention_products,
    .attention_sum = attention_sum,
    .attention_add_outer = attention_add_outer,
    .additive_scores = additive_scores,
    .additive_scores_grad = additive_scores_grad,
    .loss = loss,
    .optimize = optimize,
    .add = add,
    .scale = scale,
    .add_scaled = add_scaled,
    .mix = mix,
    .sum_squares = sum_squares,
};

}  // namespace ostinato::OSTINATO_ISA
