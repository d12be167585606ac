// The parameters of one direction of one recurrent layer, and their packed copies.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cell_norm.h"
#include "core/cell_program.h"
#include "core/gemm.h"
#include "core/geometry.h"
#include "core/init.h"
#include "core/params.h"
#include "kernels/kernels.h"

namespace ostinato {

// How the initial values are drawn (core/init.h).
struct RecurrentInit {
  Initializer kernel{"glorotUniform"};
  Initializer recurrent{"orthogonal", 1.0};  // of each gate's block, or of a vector
  Initializer bias{"zeros"};
  int64_t unit_bias_gate = -1;  // this gate's input bias begins at 1
  // Chrono initialisation (Tallec & Ollivier, "Can recurrent neural networks warp time?", ICLR
  // 2018) of the input biases, where t_max is not 0: of the gate that keeps the state
  // b = log U(1, t_max - 1), of the one that writes it, if it is another, -b.
  double chrono_t_max = 0;
  int64_t chrono_keep_gate = -1, chrono_write_gate = -1;
};

// Maps between the two orders of gate columns. Public (PyTorch): gate-major, column g * H + u.
// Internal: panel-interleaved, [panel][gate][V], units padded to Hp.
class GateMap {
 public:
  // Columns of gates [first, last) of `gates`, `width` units to a panel.
  GateMap(int64_t units, int64_t width, int first, int last);
  int64_t size() const { return static_cast<int64_t>(map_.size()); }
  // Public column of each internal one; -1 where a unit is padding.
  const int32_t* data() const { return map_.data(); }

 private:
  std::vector<int32_t> map_;
};

class RecurrentWeights {
 public:
  // `cell` indexes the kernels' table of cells. `program`: of a cell that is not one of them, else
  // null. `projection`: P, or 0 for an h that is what the cell puts out.
  RecurrentWeights(int cell, int64_t inputs, int64_t units, bool use_bias,
                   float cell_clip = std::numeric_limits<float>::infinity(),
                   std::shared_ptr<const CellProgram> program = nullptr, int64_t projection = 0,
                   CellNormMode norm = CellNormMode::kNone)
      : cell_(cell),
        inputs_(inputs),
        units_(units),
        use_bias_(use_bias),
        cell_clip_(cell_clip),
        program_(std::move(program)),
        projection_(projection),
        norm_(norm, units) {}

  // Adds weight_ih, weight_hh, weight_ch (peepholes), the vectors of a cell that a user has
  // defined, the parameters of a CellNorm, bias_ih, bias_hh and weight_hr (of a projection [P, H]),
  // as "<prefix><name>_l<layer>[_reverse]". weight_hh is [G H, hidden], of an elementwise cell [H].
  void declare(ParamTable& params, const CellInfo& info, const std::string& prefix,
               const std::string& suffix);
  void initialize(ParamTable& params, const CellInfo& info, const RecurrentInit& init,
                  uint64_t seed, uint64_t stream) const;
  // What a forward pass reads.
  void pack(const ParamTable& params, const Kernels& kernels, int threads);
  // What the backward pass over a geometry reads, unless it has been packed since the parameters
  // have changed.
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry);

  // Whether the backward pass over a geometry reads weights where they lie in the table. Packing
  // pays only where each weight is used by many rows.
  bool recurrent_in_place(const Geometry& geometry) const;
  bool input_in_place(const Geometry& geometry, const Kernels& kernels) const;

  int cell() const { return cell_; }
  const CellInfo& info(const Kernels& kernels) const {
    return program_ != nullptr ? program_->info() : kernels.cells[cell_];
  }
  const CellTape* tape() const { return program_ != nullptr ? &program_->tape() : nullptr; }
  int64_t inputs() const { return inputs_; }
  int64_t units() const { return units_; }
  bool projects() const { return projection_ > 0; }
  // Floats of h: H, or P.
  int64_t hidden() const { return projects() ? projection_ : units_; }
  // Floats of a state; the first one is h.
  int64_t width(size_t state) const { return state == 0 ? hidden() : units_; }
  bool use_bias() const { return use_bias_; }
  float cell_clip() const { return cell_clip_; }
  const CellNorm& norm() const { return norm_; }
  int weight_ih() const { return weight_ih_; }
  int weight_hh() const { return weight_hh_; }
  // The parameter of the cell's vectors (CellInfo::vectors), or -1.
  int cell_vectors() const { return cell_vectors_; }
  int bias_ih() const { return bias_ih_; }
  int bias_hh() const { return bias_hh_; }
  int weight_hr() const { return weight_hr_; }
  const std::vector<int>& vectors() const { return vectors_; }  // of a cell that a user has defined

  // Valid after `pack`, those for the backward pass after `pack_backward`.
  const PackedMatrix& input_forward() const { return input_forward_; }    // [I, G Hp]
  const PackedMatrix& input_backward() const { return input_backward_; }  // [G Hp, I]
  // [panel][I][gates of the phase][V], as the recurrent weights; only where it may pay that each
  // step projects its inputs: where they are few, beside weights that stay in a cache.
  bool has_input_panels() const {
    return !norm_.on() && 2 * inputs_ <= units_ &&
           (inputs_ + units_) * gate_map().size() <= kStepwiseFloats;
  }
  const float* input_panels(int phase) const { return input_panels_[phase].data(); }
  const float* input_bias() const { return use_bias_ ? input_bias_.data() : nullptr; }
  const float* recurrent_bias() const { return use_bias_ ? recurrent_bias_.data() : nullptr; }
  const float* recurrent_forward(int phase) const { return recurrent_forward_[phase].data(); }
  const float* recurrent_backward(int phase) const { return recurrent_backward_[phase].data(); }
  // Of a projection: both with columns of zeros where rows are padded.
  const PackedMatrix& projection_forward() const { return projection_forward_; }    // [H, Pp]
  const PackedMatrix& projection_backward() const { return projection_backward_; }  // [P, Hp]
  // The cell's vectors [panel][vector][V].
  const float* packed_cell_vectors() const { return packed_cell_vectors_.data(); }
  // Those of a cell that a user has defined [vector][Hp].
  const float* packed_vectors() const { return packed_vectors_.data(); }
  // Of the columns of packed vectors; -1 where a unit is padding.
  const std::vector<int32_t>& vector_columns() const { return vector_columns_; }
  const GateMap& gate_map() const { return gate_maps_.back(); }  // all gates
  // Of a phase's gates only, but over all internal columns: the others are -1.
  const std::vector<int32_t>& phase_columns(int phase) const { return phase_columns_[phase]; }

 private:
  // Floats of a layer's weights that stay in a second-level cache from step to step.
  static constexpr int64_t kStepwiseFloats = 256 * 1024;

  void initialize_chrono(float* bias, const RecurrentInit& init, const RandomStream& random) const;
  void make_maps(const Kernels& kernels);
  void pack_input_panels(const float* weight, const Kernels& kernels, int phase, int threads);
  void pack_recurrent_forward(const float* weight, const Kernels& kernels, int phase, int threads);
  void pack_recurrent_backward(const float* weight, const Kernels& kernels, int phase, int threads);
  void pack_biases(const ParamTable& params, const Kernels& kernels);
  void pack_projection_forward(const float* weight, const Kernels& kernels, int threads);
  void pack_cell_vectors(const float* vectors, const Kernels& kernels);
  void pack_vectors(const ParamTable& params);

  int cell_;
  int64_t inputs_, units_;
  bool use_bias_;
  float cell_clip_;
  std::shared_ptr<const CellProgram> program_;
  int64_t projection_;
  CellNorm norm_;
  int weight_ih_ = -1, weight_hh_ = -1, cell_vectors_ = -1, bias_ih_ = -1, bias_hh_ = -1;
  int weight_hr_ = -1;
  std::vector<int> vectors_;

  std::vector<GateMap> gate_maps_;  // of each phase, then of all gates
  std::vector<int32_t> phase_columns_[kMaxPhases];
  PackedMatrix input_forward_, input_backward_;
  PackedMatrix projection_forward_, projection_backward_;
  uint64_t input_backward_version_ = 0, recurrent_backward_version_ = 0;
  uint64_t projection_backward_version_ = 0;
  AlignedBuffer input_bias_, recurrent_bias_, packed_cell_vectors_, packed_vectors_;
  std::vector<int32_t> vector_columns_;
  std::vector<int32_t> projection_columns_;  // of the padded row of a projected h; -1: padding
  AlignedBuffer input_panels_[kMaxPhases];
  AlignedBuffer recurrent_forward_[kMaxPhases], recurrent_backward_[kMaxPhases];
};

}  // namespace ostinato
