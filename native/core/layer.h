// The one interface of every layer. A Layer is what a model owns: its shape, its parameters and
// the packed copies of its weights. A LayerRun is one execution of it: pointers into a workspace,
// carried states. Training, a prediction and every session have runs of their own over the same
// layers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/geometry.h"
#include "core/params.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "core/workspace.h"
#include "kernels/kernels.h"

namespace ostinato {

// For measuring the choice of a recurrence: what it is made to do instead of choosing, and what it
// has chosen. Whole passes only; nothing but benchmarks sets one.
struct SplitTrial {
  int threads = 0;  // forced when positive
  bool by_rows = true;
  bool ahead = false;
  int chosen_threads = 0;  // set by a recurrence that chooses
  bool chosen_by_rows = true;
  bool chosen_ahead = false;
};

// What holds for a whole forward or backward pass.
struct Pass {
  const Kernels* kernels = nullptr;
  // Of the call at hand: of its first input with a time axis, else of its output's, else `samples`.
  // A layer on one time axis needs no other.
  const Geometry* geometry = nullptr;
  // Of the first axis: rows of values without a time axis are in its order. Only layers that read
  // values of both kinds, or give another kind of value than they read, may meet both; these find
  // the rows of a sample by Geometry::batch_row of the one and Geometry::sorted_row of the other.
  const Geometry* samples = nullptr;
  std::span<const Geometry* const> inputs;  // of each input's rows
  const Geometry* output = nullptr;         // of the output's rows
  int threads = 1;
  bool training = false;        // dropout active
  bool gradients = false;       // keep what the backward pass needs
  uint64_t seed = 0, step = 0;  // of dropout masks
  const std::atomic<bool>* cancel = nullptr;
  SplitTrial* split_trial = nullptr;

  void check_cancel() const;  // throws Cancelled
  // Of a value on the call's own axis, or without one.
  int64_t rows(const ValueShape& shape) const {
    return shape.timed ? geometry->rows() : geometry->batch();
  }
};

// A state that a layer carries from step to step, e.g. {"h", 4, 256}: [slots, B, features], where
// slot = layer * directions + direction.
struct StateInfo {
  std::string name;
  int64_t slots = 0;
  int64_t features = 0;
};

class LayerRun;

class Layer {
 public:
  explicit Layer(LayerConfig config) : config_(std::move(config)) {}
  virtual ~Layer() = default;

  // Checks the input's shape (throws ERR_SHAPE_MISMATCH), declares parameters, returns the
  // output's. Called once, however many nodes of a graph the layer stands in.
  virtual ValueShape build(const ValueShape& input, ParamTable& params);
  // The same for a layer of several inputs, which overrides this one instead. By default there is
  // one, for `build`; other numbers throw ERR_INVALID_ARGUMENT.
  virtual ValueShape build_from(std::span<const ValueShape> inputs, ParamTable& params);
  // Called for each call of the layer, after `build_from`: the time axis of the output, if it has
  // one, by default that of the first input with one. Throws ERR_SHAPE_MISMATCH for axes that do
  // not go together. Calls of a shared layer may be on different axes.
  virtual TimeAxis output_axis(std::span<const ValueShape> inputs) const;
  // A layer that gives a final state of the layer before it and does not read that one's output:
  // it is told of that layer before `build_from`, at each call. Throws ERR_INVALID_ARGUMENT for a
  // layer without that state.
  virtual bool reads_states() const { return false; }
  virtual void read_states_of(const Layer& /*source*/) {}
  // Whether the rows without steps that it gives are in the order of the call's own axis even where
  // it reads rows in the order of the first axis; the executor brings them into that one.
  virtual bool orders_by_own_axis() const { return false; }
  // Draws initial values; `index` is the layer's place in the model (a stream of random numbers).
  virtual void initialize(ParamTable& params, uint64_t seed, uint64_t index) const;
  // Makes the packed copies for these kernels from the current values: those that a forward pass
  // reads, and those that the backward pass over a geometry does unless they are there already.
  virtual void pack(const ParamTable& params, const Kernels& kernels, int threads);
  virtual void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                             const Geometry& geometry);
  // Called before each backward pass over a graph, once for a layer: clears gradients that the pass
  // over the parameter table leaves alone.
  virtual void begin_backward(const ParamTable& /*params*/) const {}
  virtual std::vector<StateInfo> states() const { return {}; }
  virtual std::unique_ptr<LayerRun> make_run() const = 0;
  // False for a layer that needs the future of a sequence, and so cannot run one step at a time.
  virtual bool streamable() const { return true; }
  // Whether runs have weights of attention: of the steps of the second input for the first one's.
  virtual bool attends() const { return false; }

  const LayerConfig& config() const { return config_; }
  // The layer's place in the model: tells apart its random numbers. Set by the network.
  uint64_t index() const { return index_; }
  void set_index(uint64_t index) { index_ = index; }

 protected:
  LayerConfig config_;
  uint64_t index_ = 0;
};

class LayerRun {
 public:
  virtual ~LayerRun() = default;

  // Declares memory for the pass's geometry; `input` has its final shape but no memory yet.
  // Returns where the output will be (its pointers are set once the workspace is realised).
  virtual void plan(Workspace& workspace, const Pass& pass) = 0;
  // Reads input, returns the output (memory of the run, or of an earlier one).
  virtual Value forward(const Pass& pass, const ParamTable& params, const Value& input);
  // Adds to the gradients of the parameters; when dx.data is not null, writes the input's gradient.
  // `dy` may be overwritten. Called once after forward, with the same pass.
  virtual void backward(const Pass& pass, const ParamTable& params, const Value& input,
                        const Matrix& dy, const Matrix& dx);
  // The same for a layer of several inputs, which overrides these two instead. No dx is dy or
  // another dx, so they may be written in any order; those without data are not wanted. Values that
  // several layers read are added up by the executor: a layer always writes.
  virtual Value forward_from(const Pass& pass, const ParamTable& params,
                             std::span<const Value> inputs);
  virtual void backward_to(const Pass& pass, const ParamTable& params,
                           std::span<const Value> inputs, const Matrix& dy,
                           std::span<const Matrix> dx);

  // For the run of a layer that reads states: the run that has them, and the geometry of its calls.
  virtual void attach(LayerRun& /*source*/, const Geometry& /*geometry*/) {}

  // What the last forward pass, in training, adds to the mean loss; its gradient is added to `dy`.
  virtual double penalty() const { return 0; }
  // Called after a training step that counts (not after one that was cancelled or diverged), with
  // the pass of that step: a layer that measures its inputs takes over what it has measured.
  virtual void commit(const Pass&, const ParamTable&) {}

  // States, if the layer has any, in batch order: initial before forward, final after it,
  // [slots, B, features] without padding. `state` indexes Layer::states().
  // A null source means zeros.
  virtual void set_initial_state(const Geometry&, size_t /*state*/, const float* /*source*/) {}
  virtual void get_final_state(const Geometry&, size_t /*state*/, float* /*destination*/) const {}
  // For a layer that attends: the weights of the last forward pass in batch order,
  // [B, query_steps, key_steps], with one query step if the first input has none. The destination
  // has room for the longest sequences, and holds zeros, which stay beyond a sample's lengths.
  virtual void get_attention(const Pass&, int64_t /*query_steps*/, int64_t /*key_steps*/,
                             float* /*destination*/) const {}

  // Gradients of the loss with respect to the final states (before backward; null: zeros) and to
  // the initial states (after it).
  virtual void set_final_state_gradient(const Geometry&, size_t, const float*) {}
  // Adds to what `set_final_state_gradient` has set; before backward.
  virtual void add_final_state_gradient(const Geometry&, size_t, const float*) {}
  virtual void get_initial_state_gradient(const Geometry&, size_t, float*) const {}
};

// Makes a layer by its type; throws ERR_INVALID_ARGUMENT for an unknown one.
std::unique_ptr<Layer> make_layer(const LayerConfig& config);

}  // namespace ostinato
