// The maths of a cell alone, where something happens to its sums between the products and it.
#pragma once

#include "kernels/recurrent.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// One step of cells of one phase: the sums of gates lie in `gates`, those of recurrent products
// that stay apart in `product`.
template <class Cell>
void cell_apply(const CellApplyArgs& args) noexcept {
  constexpr int kGates = Cell::kInfo.gates;
  constexpr int64_t kSlots = kGates * kV;
  const CellForwardArgs& step = args.step;
  for (int64_t row = 0; row < step.rows; ++row) {
    for (int64_t panel = step.panel_begin; panel < step.panel_end; ++panel) {
      const float* gates = step.gates + row * step.gates_ld + panel * kSlots;
      const float* product = args.product + row * args.product_ld + panel * kSlots;
      Vf sum[kGates];
      for (int g = 0; g < kGates; ++g) {
        const bool split = (Cell::kInfo.split_gates >> g & 1) != 0;
        sum[g] = load((split ? product : gates) + g * kV);
      }
      Cell::template forward<0>(forward_lanes<Cell>(step, row, panel), sum);
    }
  }
}

// Null for cells whose products are not plain.
template <class Cell>
constexpr auto apply_kernel() -> void (*)(const CellApplyArgs&) noexcept {
  constexpr CellInfo kInfo = Cell::kInfo;
  if constexpr (kInfo.phases == 1 && kInfo.vectors == 0 && !kInfo.clips) {
    return cell_apply<Cell>;
  } else {
    return nullptr;
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
