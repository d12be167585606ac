// The recurrent layer in single precision, on every instruction set, against the double-precision
// reference: outputs, final states and all gradients.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "core/executor.h"
#include "reference/random_problem.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

constexpr double kTolerance = 1e-4;

struct Case {
  std::string name;
  reference::RecurrentConfig config;
  reference::RecurrentProblemOptions options;
};

std::ostream& operator<<(std::ostream& out, const Case& it) { return out << it.name; }

const char* merge_name(reference::Merge merge) {
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

LayerConfig layer_of(const reference::RecurrentConfig& config) {
  return layer(config.cell,
               {{"units", static_cast<double>(config.units)},
                {"layers", static_cast<double>(config.layers)},
                {"bidirectional", config.bidirectional},
                {"mergeMode", std::string(merge_name(config.merge))},
                {"goBackwards", config.go_backwards},
                {"useBias", config.use_bias},
                {"returnSequences", config.return_sequences}},
               "rnn");
}

// One execution of a problem by the core.
class CoreRun {
 public:
  CoreRun(const Kernels& kernels, const reference::RecurrentProblem& problem, int threads)
      : problem_(problem),
        inputs_(static_cast<int64_t>(problem.config.inputs)),
        network_(make_network(kernels, {inputs_, true, false}, {layer_of(problem.config)})),
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

  void run() {
    Rows x = pack(problem_.input.x, inputs_, true);
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const auto found = problem_.input.initial.find(executor_.states()[i].info.name);
      if (found == problem_.input.initial.end()) continue;
      initial_.emplace_back(found->second.begin(), found->second.end());
      executor_.set_initial_state(i, initial_.back().data());
    }
    RunOptions options;
    options.threads = threads_;
    options.gradients = true;
    options.input_gradient = true;
    const Value output = executor_.forward(geometry_, floats(x), options);
    const bool timed = problem_.config.return_sequences;
    y = unpack(output.floats, timed);
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const StateInfo& info = executor_.states()[i].info;
      std::vector<float> values(info.slots * geometry_.batch() * info.features);
      executor_.get_final_state(i, values.data());
      final_states[info.name].assign(values.begin(), values.end());
      const reference::Vector& upstream = problem_.upstream.final_states.at(info.name);
      final_gradient_.emplace_back(upstream.begin(), upstream.end());
      executor_.set_final_state_gradient(i, final_gradient_.back().data());
    }
    Rows dy = pack(problem_.upstream.y, static_cast<int64_t>(problem_.config.features()), timed);
    dx = unpack(executor_.backward(dy.view), true);
    for (size_t i = 0; i < executor_.states().size(); ++i) {
      const StateInfo& info = executor_.states()[i].info;
      std::vector<float> values(info.slots * geometry_.batch() * info.features);
      executor_.get_initial_state_gradient(i, values.data());
      initial_gradients[info.name].assign(values.begin(), values.end());
    }
    for (const ParamEntry& entry : network_->params().entries()) {
      gradients[entry.name.substr(4)] =
          vector_of(network_->params().gradients() + entry.offset, entry.size);
    }
  }

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

  const reference::RecurrentProblem& problem_;
  int64_t inputs_;
  std::shared_ptr<Network> network_;
  Executor executor_;
  int threads_;
  Geometry geometry_;
  std::vector<std::vector<float>> initial_, final_gradient_;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, reference::RecurrentConfig config,
                       reference::RecurrentProblemOptions options) {
    for (const reference::Cell& cell : reference::all_cells()) {
      config.cell = cell.name;
      cases.push_back({cell.name + "_" + name, config, options});
    }
  };
  reference::RecurrentConfig config;
  config.inputs = 5;
  config.units = 17;
  const reference::RecurrentProblemOptions dense{3, 4, false, false, 0.0};
  const reference::RecurrentProblemOptions full{5, 6, true, true, 0.0};
  add("plain", config, dense);
  // Units and rows around vector widths and tile heights; single rows and single steps.
  for (const size_t units : {1, 2, 8, 15, 16, 31, 33, 64, 65}) {
    config.units = units;
    add("units_" + std::to_string(units), config, {7, 3, false, true, 0.0});
  }
  config.units = 17;
  for (const size_t batch : {1, 2, 6, 9, 13, 25}) {
    add("rows_" + std::to_string(batch), config, {batch, 3, true, true, 0.0});
  }
  add("one_step", config, {3, 1, false, true, 0.0});
  config.use_bias = false;
  add("no_bias", config, full);
  config.use_bias = true;
  config.go_backwards = true;
  add("go_backwards", config, full);
  add("go_backwards_dense", config, {4, 5, false, true, 0.0});
  config.return_sequences = false;
  add("go_backwards_last", config, full);
  config.go_backwards = false;
  add("last", config, full);
  for (const reference::Merge merge : {reference::Merge::kConcat, reference::Merge::kSum,
                                       reference::Merge::kMul, reference::Merge::kAve}) {
    config.bidirectional = true;
    config.merge = merge;
    config.layers = 2;
    config.return_sequences = true;
    add(std::string("two_layers_") + merge_name(merge), config, full);
    config.return_sequences = false;
    add(std::string("two_layers_last_") + merge_name(merge), config, full);
  }
  config.bidirectional = false;
  config.merge = reference::Merge::kConcat;
  config.return_sequences = true;
  config.layers = 3;
  add("three_layers", config, full);
  config.go_backwards = true;
  add("three_layers_backwards", config, full);
  // Large enough for two threads and both ways of splitting the work.
  config = {};
  config.inputs = 40;
  config.units = 96;
  add("split_rows", config, {32, 12, true, true, 0.0});
  config.units = 150;
  add("split_panels", config, {3, 12, true, true, 0.0});
  return cases;
}

class RecurrentTest : public testing::TestWithParam<Case> {};

TEST_P(RecurrentTest, AgreesWithTheReferenceOnEveryInstructionSet) {
  const Case& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 11);
  const reference::RecurrentResult want = forward(it.config, problem.params, problem.input);
  const reference::RecurrentGradients want_gradients = backward(problem);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    CoreRun got(*kernels, problem, 2);
    got.run();
    EXPECT_LE(relative_error(got.y, want.y), kTolerance) << "output";
    EXPECT_LE(relative_error(got.dx, want_gradients.x), kTolerance) << "gradient of the input";
    for (const auto& [name, values] : want.final_states) {
      EXPECT_LE(relative_error(got.final_states.at(name), values), kTolerance) << "final " << name;
    }
    for (const auto& [name, values] : want_gradients.initial) {
      EXPECT_LE(relative_error(got.initial_gradients.at(name), values), kTolerance)
          << "gradient of initial " << name;
    }
    for (const auto& [name, values] : want_gradients.params) {
      EXPECT_LE(relative_error(got.gradients.at(name), values), kTolerance)
          << "gradient of " << name;
    }
  }
}

TEST_P(RecurrentTest, IsBitwiseEqualForAnyNumberOfThreads) {
  const Case& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 12);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    CoreRun one(*kernels, problem, 1);
    one.run();
    for (const int threads : {2, 7}) {
      SCOPED_TRACE(threads);
      CoreRun other(*kernels, problem, threads);
      other.run();
      EXPECT_EQ(one.y, other.y);
      EXPECT_EQ(one.dx, other.dx);
      EXPECT_EQ(one.final_states, other.final_states);
      EXPECT_EQ(one.initial_gradients, other.initial_gradients);
      EXPECT_EQ(one.gradients, other.gradients);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentTest, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace ostinato::test
