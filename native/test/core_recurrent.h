// One execution of a recurrent problem by the core, with all that it gives, in the reference's
// order and precision.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/executor.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"

namespace ostinato::test {

inline const char* merge_name(reference::Merge merge) {
  switch (merge) {
    case reference::Merge::kConcat:
      return "concat";
    case reference::Merge::kSum:
      return "sum";
    case reference::Merge::kMul:
      return "mul";
    case reference::Merge::kAve:
      return "ave";
  }
  return "";
}

inline LayerConfig layer_of(const reference::RecurrentConfig& config, const Options& more) {
  Options options = {{"units", static_cast<double>(config.units)},
                     {"layers", static_cast<double>(config.layers)},
                     {"bidirectional", config.bidirectional},
                     {"mergeMode", std::string(merge_name(config.merge))},
                     {"goBackwards", config.go_backwards},
                     {"useBias", config.use_bias},
                     {"returnSequences", config.return_sequences}};
  if (std::isfinite(config.cell_clip)) options["cellClip"] = config.cell_clip;
  if (config.projection > 0) options["projection"] = static_cast<double>(config.projection);
  options.insert(more.begin(), more.end());
  const reference::Cell& cell = reference::find_cell(config.cell);
  if (!cell.norm.empty()) options["layerNorm"] = cell.norm;
  // With the text of a cell it takes the place of the reference's.
  const std::string type = more.count("cell") > 0 ? "custom"
                           : cell.plain.empty()   ? config.cell
                                                  : cell.plain;
  return layer(type, std::move(options), "rnn");
}

// One execution of a problem by the core.
class CoreRun {
 public:
  // more: further options of the layer.
  CoreRun(const Kernels& kernels, const reference::RecurrentProblem& problem, int threads,
          const Options& more = {})
      : problem_(problem),
        inputs_(static_cast<int64_t>(problem.config.inputs)),
        network_(make_network(kernels, {inputs_, true, false}, {layer_of(problem.config, more)})),
        executor_(network_),
        threads_(threads) {
    for (const ParamEntry& entry : network_->params().entries()) {
      const reference::Vector& values = problem.params.at(entry.name.substr(4));
      std::copy(values.begin(), values.end(), network_->params().values() + entry.offset);
    }
    network_->params().touch();
    const auto batch = static_cast<int64_t>(problem.input.batch);
    std::vector<int32_t> lengths(problem.input.lengths.begin(), problem.input.lengths.end());
    geometry_.assign(batch, static_cast<int64_t>(problem.input.steps),
                     lengths.empty() ? nullptr : lengths.data());
  }

  // All values, anew whenever it is called.
  void run() {
    forward(true);
    final_gradient_.clear();
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const reference::Vector& upstream =
          problem_.upstream.final_states.at(executor_.states()[i].info.name);
      final_gradient_.emplace_back(upstream.begin(), upstream.end());
      executor_.set_final_state_gradient(i, final_gradient_.back().data());
    }
    const bool timed = problem_.config.return_sequences;
    Rows dy = pack(problem_.upstream.y, static_cast<int64_t>(problem_.config.features()), timed);
    dx = unpack(executor_.backward(dy.view), true);
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const StateInfo& info = executor_.states()[i].info;
      std::vector<float> values(info.slots * geometry_.batch() * info.features);
      executor_.get_initial_state_gradient(i, values.data());
      initial_gradients[info.name].assign(values.begin(), values.end());
    }
    // The backward pass leaves the final states as they were: training carries them on after it.
    EXPECT_EQ(read_final_states(), final_states);
    for (const ParamEntry& entry : network_->params().entries()) {
      gradients[entry.name.substr(4)] =
          vector_of(network_->params().gradients() + entry.offset, entry.size);
    }
  }

  // Outputs and final states only.
  void forward(bool with_gradients) {
    initial_.clear();
    x_ = std::make_unique<Rows>(pack(problem_.input.x, inputs_, true));
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const auto found = problem_.input.initial.find(executor_.states()[i].info.name);
      if (found == problem_.input.initial.end()) continue;
      initial_.emplace_back(found->second.begin(), found->second.end());
      executor_.set_initial_state(i, initial_.back().data());
    }
    RunOptions options;
    options.threads = threads_;
    options.split_trial = split_trial;
    options.gradients = with_gradients;
    options.input_gradient = with_gradients;
    options.training = training;
    options.step = step;
    y = unpack(executor_.forward(geometry_, floats(*x_), options).floats,
               problem_.config.return_sequences);
    final_states = read_final_states();
  }

  int64_t workspace_bytes() const { return executor_.workspace_bytes(); }

  bool training = false;  // of the passes to come
  uint64_t step = 0;
  SplitTrial* split_trial = nullptr;
  reference::Vector y, dx;
  reference::NamedVectors final_states, initial_gradients, gradients;

 private:
  // Batch-first values to the core's rows and back.
  template <class Fn>
  void each_row(bool timed, const Fn& fn) const {
    for (int64_t b = 0; b < geometry_.batch(); ++b) {
      const auto row = static_cast<size_t>(geometry_.batch_row(b));
      if (!timed) fn(b, row);
      for (int64_t t = 0; timed && t < geometry_.length(b); ++t) {
        fn(geometry_.row(b, t), row * problem_.input.steps + static_cast<size_t>(t));
      }
    }
  }
  Rows pack(const reference::Vector& values, int64_t cols, bool timed) const {
    Rows rows(timed ? geometry_.rows() : geometry_.batch(), cols);
    each_row(timed, [&](int64_t to, size_t from) {
      for (int64_t j = 0; j < cols; ++j) {
        rows.view.row(to)[j] = static_cast<float>(values.at(from * static_cast<size_t>(cols) + j));
      }
    });
    return rows;
  }
  reference::Vector unpack(const Matrix& rows, bool timed) const {
    const size_t count = problem_.input.batch * (timed ? problem_.input.steps : 1);
    reference::Vector values(count * static_cast<size_t>(rows.cols), 0.0);
    each_row(timed, [&](int64_t from, size_t to) {
      for (int64_t j = 0; j < rows.cols; ++j) {
        values[to * static_cast<size_t>(rows.cols) + j] = rows.row(from)[j];
      }
    });
    return values;
  }

  reference::NamedVectors read_final_states() const {
    reference::NamedVectors states;
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const StateInfo& info = executor_.states()[i].info;
      std::vector<float> values(info.slots * geometry_.batch() * info.features);
      executor_.get_final_state(i, values.data());
      states[info.name].assign(values.begin(), values.end());
    }
    return states;
  }

  const reference::RecurrentProblem& problem_;
  int64_t inputs_;
  std::shared_ptr<Network> network_;
  Executor executor_;
  int threads_;
  Geometry geometry_;
  std::unique_ptr<Rows> x_;  // the backward pass reads it again
  std::vector<std::vector<float>> initial_, final_gradient_;
};

}  // namespace ostinato::test
