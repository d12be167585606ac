// One execution of a network: runs of its layers over one workspace.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/layer.h"
#include "core/network.h"

namespace ostinato {

// States in the order of Executor::states(), each [slots, B, features] in batch order, or empty for
// zeros.
using StateValues = std::vector<std::vector<float>>;

struct RunOptions {
  int threads = 1;
  bool training = false;        // dropout on
  bool gradients = false;       // backward will follow
  bool input_gradient = false;  // backward also gives the gradient of a float input
  uint64_t step = 0;            // of dropout masks
  const std::atomic<bool>* cancel = nullptr;
  SplitTrial* split_trial = nullptr;  // of recurrent layers; null: they choose
};

class Executor {
 public:
  explicit Executor(std::shared_ptr<Network> network);

  // Runs the layers over packed input rows (Geometry's order); repacks stale weights and re-plans
  // the workspace when the geometry has changed. The output is valid until the next call.
  // Throws Cancelled.
  Value forward(const Geometry& geometry, const Value& input, const RunOptions& options);

  // After a forward with `gradients`: zeroes and fills the gradients of all parameters from dy,
  // the gradient of the output (may be overwritten). Embedding rows that no token touched stay 0.
  // Returns the gradient of the input (empty unless `input_gradient`).
  Matrix backward(const Matrix& dy);
  // What the layers add to the mean loss beside penalties of weights, after a forward pass in
  // training.
  double activation_penalty() const;

  // After a training step that counts: what its layers have measured becomes part of the model.
  void commit();

  // A buffer for dy with the output's shape, part of the workspace.
  Matrix output_gradient() const { return gradients_.back(); }

  // States of all layers, flattened: index counts through layers() and their states().
  struct StateSlot {
    size_t layer, state;
    StateInfo info;
  };
  const std::vector<StateSlot>& states() const { return states_; }
  // Batch order, [slots, B, features]; null means zeros. Set before forward (the gradient: before
  // backward), which reads the source, so that it must live until then, and
  // forgets it: without a call they are zeros.
  void set_initial_state(size_t index, const float* source) { initial_[index] = source; }
  void get_final_state(size_t index, float* destination) const;
  void set_final_state_gradient(size_t index, const float* source) {
    final_gradient_[index] = source;
  }
  void get_initial_state_gradient(size_t index, float* destination) const;
  // All of them at once, for `batch` rows. An empty list stands for zeros everywhere. Throws
  // ERR_SHAPE_MISMATCH when a state's size is not slots * batch * features.
  void set_initial_states(const StateValues& values, int64_t batch);
  void set_final_state_gradients(const StateValues& values, int64_t batch);
  void get_final_states(StateValues& values) const;

  const Network& network() const { return *network_; }
  int64_t workspace_bytes() const { return workspace_.bytes(); }

 private:
  void plan(bool input_gradient);
  bool must_plan(const Geometry& geometry, const RunOptions& options) const;
  void set_sources(std::vector<const float*>& sources, const StateValues& values,
                   int64_t batch) const;

  std::shared_ptr<Network> network_;
  std::vector<std::unique_ptr<LayerRun>> runs_;
  std::vector<StateSlot> states_;
  std::vector<const float*> initial_, final_gradient_;  // [states], null: zeros
  Workspace workspace_;
  Pass pass_;
  Geometry geometry_;
  std::vector<Value> values_;      // values_[i] is the input of layer i
  std::vector<Matrix> gradients_;  // gradients_[i] that of values_[i]
  // A layer's backward pass reads one gradient and writes another, so two blocks do for all.
  float* gradient_blocks_[2] = {nullptr, nullptr};
  bool input_gradient_ = false, planned_ = false;
};

}  // namespace ostinato
