// What a recurrence with layer normalisation keeps beside its gates. S, G, H, Hp, B as there.
#pragma once

#include "core/tensor.h"

namespace ostinato {

struct NormBuffers {
  Matrix product;              // [B, G Hp]: the recurrent product of one step
  Matrix normalized[2];        // [S, G Hp]: of each side (GateNorm::side), before the scale
  Matrix rstd;                 // [S, normalisations, that of the memory last]
  Matrix memory;               // [S, H], or [B, H] without gradients: normalised, scaled, shifted
  Matrix memory_normalized;    // [S, H]: before that
  Matrix dmemory;              // [B, H]
  Matrix dscale[2], dbias[2];  // [B, G Hp]: shares of each row in the parameters' gradients
  Matrix dmemory_scale, dmemory_shift;  // [B, H]: likewise
};

}  // namespace ostinato
