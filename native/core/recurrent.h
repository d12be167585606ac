// The recurrent layer: any cell, stacked, in one direction or both.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/activation_penalty.h"
#include "core/layer.h"
#include "core/loop_dropout.h"
#include "core/merge.h"
#include "core/recurrent_weights.h"

namespace ostinato {

// Whether the type names a cell: the types of recurrent layers are the names of the cells, and
// "custom" for a cell that a user has defined.
bool is_recurrent(const std::string& type);

// Options: units, layers (1), bidirectional (false), mergeMode ("concat"), goBackwards (false; only
// without bidirectional), dropout (0; between the stacked layers), useBias (true), returnSequences
// (false), kernelInitializer, recurrentInitializer, biasInitializer ("chrono" with tMax,
// chronoKeepGate and chronoWriteGate, too), unitBiasGate (-1),
// activationRegularization and temporalActivationRegularization (0; of the outputs of all steps, in
// training: core/activation_penalty.h), variationalDropout (false: dropout with one mask for all
// steps of a sequence), zoneout (0; of all states) or zoneout.<state>, recurrentDropout (0),
// candidateDropout (0; LSTM and GRU): see core/loop_dropout.h; checkpointEvery (absent: never;
// "auto", or a number of steps: see core/recurrence_segments.h), cellClip (absent: no bound; of
// cells that clip), projection (absent: none; 1 to units; of LSTMs), layerNorm (absent: none; not
// with candidateDropout or projection): see core/cell_norm.h; of "custom": cell (the text of
// core/expression.h).
//
// Parameters, PyTorch's: weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k}, each with the
// suffix _reverse for the second direction; for cells with peepholes also weight_ch_l{k}, with a
// projection weight_hr_l{k}, with layerNorm those of core/cell_norm.h. States: the cell's, slot =
// layer * directions + direction; a projected h has as many features as the output of one
// direction.
//
// Inputs: the sequence [B, T, I] and perhaps the initial states, all of them in the order of
// `states()`, each [B, slots * features] with a sample's slots side by side. They take the place of
// those that are set from outside.
//
// goBackwards reverses every row by its own length; the output is in processing order, so its step
// 0 belongs to the last input step, as in Keras. Without returnSequences the output of a direction
// is that of the last step it processed; a row without steps gives zeros.
class Recurrent : public Layer {
 public:
  explicit Recurrent(const LayerConfig& config);
  ValueShape build_from(std::span<const ValueShape> inputs, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry) override;
  std::vector<StateInfo> states() const override;
  std::unique_ptr<LayerRun> make_run() const override;
  bool streamable() const override { return !bidirectional_ && !go_backwards_ && !takes_states_; }
  bool orders_by_own_axis() const override { return true; }

  int64_t units() const { return units_; }
  // Floats of h, the output of one direction: units, or of a projection.
  int64_t hidden() const { return projection_ > 0 ? projection_ : units_; }
  int64_t layers() const { return layers_; }
  int directions() const { return bidirectional_ ? 2 : 1; }
  bool bidirectional() const { return bidirectional_; }
  MergeMode merge_mode() const { return merge_mode_; }
  bool go_backwards() const { return go_backwards_; }
  bool return_sequences() const { return return_sequences_; }
  float dropout() const { return dropout_; }
  bool variational_dropout() const { return variational_dropout_; }
  const ActivationPenalty& activation_penalty() const { return activation_penalty_; }
  // Of the recurrence `slot` = layer * directions + direction.
  LoopDropout loop_dropout(size_t slot) const;
  int64_t checkpoint_every() const { return checkpoint_every_; }
  int64_t output_features() const {
    return bidirectional_ && merge_mode_ == MergeMode::kConcat ? 2 * hidden() : hidden();
  }
  const RecurrentWeights& weights(size_t slot) const { return weights_[slot]; }

 private:
  const CellInfo& info() const;
  // Throws ERR_SHAPE_MISMATCH unless they are the layer's initial states, or none.
  void expect_states(std::span<const ValueShape> given);

  int cell_;
  std::shared_ptr<const CellProgram> program_;  // of a cell that a user has defined, else null
  int64_t units_, layers_;
  bool bidirectional_, go_backwards_, use_bias_, return_sequences_;
  MergeMode merge_mode_;
  float dropout_;
  bool variational_dropout_;
  LoopDropout loop_dropout_;
  ActivationPenalty activation_penalty_;
  int64_t checkpoint_every_;
  float cell_clip_;
  int64_t projection_;  // 0: none
  CellNormMode norm_;
  bool takes_states_ = false;  // its initial states are inputs
  RecurrentInit init_;
  std::vector<RecurrentWeights> weights_;  // [layers * directions]
};

std::unique_ptr<Layer> make_recurrent(const LayerConfig& config);

}  // namespace ostinato
