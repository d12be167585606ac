// One execution of a network: runs of its layers over one workspace.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "core/layer.h"
#include "core/network.h"

namespace ostinato {

// States in the order of Executor::states(), each [slots, B, features] in batch order, or empty for
// zeros.
using StateValues = std::vector<std::vector<float>>;
inline const StateValues kZeroStates;

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

  // Runs the layers over packed input rows (in the order of their axis' geometry); repacks stale
  // weights and re-plans the workspace when a geometry has changed. There is a geometry for each of
  // ModelShape::axes. The output is valid until the next call. Throws Cancelled, and
  // ERR_SHAPE_MISMATCH for another number of geometries. Inputs and outputs are in the network's
  // order.
  void forward(std::span<const Geometry> geometries, std::span<const Value> inputs,
               const RunOptions& options);
  // The same for a network of one time axis.
  void forward(const Geometry& geometry, std::span<const Value> inputs, const RunOptions& options) {
    forward(std::span(&geometry, 1), inputs, options);
  }
  const Value& output(size_t i) const { return values_[network_->outputs()[i]]; }
  // The same for a network of one input: returns its first output.
  Value forward(const Geometry& geometry, const Value& input, const RunOptions& options);

  // After a forward with `gradients`: zeroes and fills the gradients of all parameters from those
  // of the outputs (may be overwritten). Embedding rows that no token touched stay 0. A value that
  // several nodes read has their gradients added up, the last node's first.
  void backward(std::span<const Matrix> dy);
  // Afterwards: the gradient of an input (empty for tokens and unless `input_gradient`).
  const Matrix& input_gradient(size_t i) const { return gradients_[i]; }
  // The same for a network of one output: returns the gradient of the first input.
  Matrix backward(const Matrix& dy);
  // What the layers add to the mean loss beside penalties of weights, after a forward pass in
  // training.
  double activation_penalty() const;

  // After a training step that counts: what its layers have measured becomes part of the model.
  void commit();

  // A buffer for the gradient of an output with its shape, part of the workspace.
  Matrix output_gradient(size_t i = 0) const { return gradients_[network_->outputs()[i]]; }

  // States of all nodes, flattened: index counts through nodes() and their layers' states().
  struct StateSlot {
    size_t node, state;
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

  // Weights of a node that attends; see LayerRun::get_attention.
  void get_attention(size_t node, int64_t query_steps, int64_t key_steps, float* destination);

  const Network& network() const { return *network_; }
  int64_t workspace_bytes() const { return workspace_.bytes(); }

 private:
  // One execution of a layer.
  struct Node {
    std::unique_ptr<LayerRun> run;
    uint64_t seed = 0;            // of its masks: each call of a layer has its own
    std::vector<Value> inputs;    // as the pass at hand has them
    std::vector<Matrix> scratch;  // where a gradient is made that is then added to another's
    std::vector<Matrix> dx;       // of its inputs: scratch, the value's gradient, or nothing
    std::vector<const Geometry*> input_geometries;
    const Geometry* geometry = nullptr;  // of its own axis
    const Geometry* output_geometry = nullptr;
    // Where a node ends a time axis that sorts the samples in another way than the first one does:
    // its output in the first one's order, and in backward its gradient in the node's.
    bool reorders = false;
    Matrix ordered, dy;
    bool own_order = false;  // its layer's `orders_by_own_axis`
    bool reads_states = false;
    // Nobody reads its output, only the states behind it: the output's gradient is zeros.
    bool unread = false;
  };

  void enter(const Node& node);
  void plan(bool input_gradient);
  void plan_order(size_t k);
  int64_t rows_of(size_t value) const;
  void plan_gradients(bool input_gradient);
  void want_block(size_t value);
  void add_scratch(Node& node, const std::vector<size_t>& inputs) const;
  bool must_plan(std::span<const Geometry> geometries, const RunOptions& options) const;
  void set_sources(std::vector<const float*>& sources, const StateValues& values,
                   int64_t batch) const;

  std::shared_ptr<Network> network_;
  std::vector<Node> nodes_;
  std::vector<StateSlot> states_;
  std::vector<const float*> initial_, final_gradient_;  // [states], null: zeros
  Workspace workspace_;
  Pass pass_;
  std::vector<Geometry> geometries_;  // of each time axis
  std::vector<Value> values_;         // the inputs, then the output of each node
  std::vector<Matrix> gradients_;     // gradients_[i] that of values_[i]
  // A gradient lives from the last node that reads its value to the one that gives it; then its
  // block is free for another. In a chain two blocks do for all.
  struct Block {
    int64_t floats = 0;
    bool free = false;
  };
  std::vector<Block> blocks_;
  std::vector<size_t> block_of_;  // [values]; kNoBlock where there is no gradient
  std::vector<float*> block_data_;
  bool input_gradient_ = false, planned_ = false;
};

}  // namespace ostinato
