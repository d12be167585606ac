// Layer normalisation inside a recurrent cell (J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer
// normalization", arXiv:1607.06450): what is normalised together, and the parameters of that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/config.h"
#include "core/gemm.h"
#include "core/params.h"
#include "kernels/kernels.h"

namespace ostinato {

// kGates: the pre-activation of each gate, input and recurrent product together. kBa: each product,
// all gates of it together, and the memory before the output. Where a gate keeps its recurrent
// product apart (CellInfo::split_gates), that is normalised apart in both.
enum class CellNormMode : uint8_t { kNone, kGates, kBa };

// The option "layerNorm": "gates", "ba", or absent. Throws ERR_INVALID_ARGUMENT for anything else,
// and where the cell cannot be normalised in that way.
CellNormMode cell_norm_option(const LayerConfig& config, const Kernels& kernels, int cell);

// One normalisation: of the units of gates [first, last) together.
struct GateNorm {
  int first, last;
  bool input, recurrent;  // of which product, or of the sum of both
  // Which parameter scales it: 0 where the inputs are in it, 1 where they are not.
  int side() const { return input ? 0 : 1; }
};

class CellNorm {
 public:
  static constexpr float kEpsilon = 1e-5f;

  CellNorm(CellNormMode mode, int64_t units) : mode_(mode), units_(units) {}

  // Adds, as "<prefix><name>_l<layer>[_reverse]": with kGates weight_ln [G H] and, where products
  // stay apart, weight_ln_hh, H for each such gate; with kBa weight_ln_ih and weight_ln_hh [G H]
  // and, of a cell with a memory, weight_ln_c and, unless there are no biases, bias_ln_c [H].
  void declare(ParamTable& params, const CellInfo& info, bool use_bias, const std::string& prefix,
               const std::string& suffix);
  void initialize(ParamTable& params) const;
  // map: of all gates, as GateMap.
  void pack(const ParamTable& params, const Kernels& kernels, const float* weight_hh,
            const int32_t* map, int64_t size, int threads);

  bool on() const { return mode_ != CellNormMode::kNone; }
  const std::vector<GateNorm>& gates() const { return gates_; }
  // Whether the gradients of the two products differ.
  bool apart() const { return scales_[1] >= 0; }
  bool memory() const { return memory_scale_ >= 0; }

  // Parameters, or -1.
  int scale(int side) const { return scales_[side]; }
  int memory_scale() const { return memory_scale_; }
  int memory_shift() const { return memory_shift_; }
  // The first gate that scale(1) is of.
  int first_apart() const { return first_apart_; }

  // Valid after `pack`: the recurrent weights [H, G Hp], scales [panel][gate][V], of the memory
  // [Hp]; null without a shift.
  const PackedMatrix& product() const { return product_; }
  const float* packed_scale(int side) const { return packed_scales_[side].data(); }
  const float* packed_memory_scale() const { return packed_memory_scale_.data(); }
  const float* packed_memory_shift() const { return packed_memory_shift_.data(); }

 private:
  CellNormMode mode_;
  int64_t units_;
  std::vector<GateNorm> gates_;
  int first_apart_ = 0;
  int scales_[2] = {-1, -1}, memory_scale_ = -1, memory_shift_ = -1;
  PackedMatrix product_;
  AlignedBuffer packed_scales_[2], packed_memory_scale_, packed_memory_shift_;
};

}  // namespace ostinato
