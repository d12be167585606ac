// A state of a layer as a value of a graph: from [slots, B, features] in batch order to rows
// without steps, [B, slots * features] with a sample's slots side by side, and back.
#pragma once

#include "core/geometry.h"
#include "core/layer.h"
#include "core/tensor.h"

namespace ostinato {

// `order` sorts the samples as the rows are sorted.
void state_to_rows(const Geometry& order, const StateInfo& info, const float* state,
                   const Matrix& rows);
void state_from_rows(const Geometry& order, const StateInfo& info, const Matrix& rows,
                     float* state);

}  // namespace ostinato
