// Rows of a thread's own in the time loop: that loops make use of them, and that they change no
// bit of outputs, states and gradients.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test/recurrent_checks.h"

namespace ostinato::test {
namespace {

// A table that counts the steps whose states and gates go past the caches.
class CountingTable {
 public:
  explicit CountingTable(const Kernels& kernels) : table_(kernels) {
    real_ = &kernels;
    steps_ = 0;
    static const auto wrapped = forwards(std::make_integer_sequence<int, kCells>());
    table_.cell_forward = wrapped.data();
  }
  const Kernels& table() const { return table_; }
  int steps() const { return steps_; }

 private:
  static constexpr int kCells = 32;
  using Forward = void (*)(const CellForwardArgs&) noexcept;

  template <int kCell>
  static void forward(const CellForwardArgs& args) noexcept {
    if (args.sequence[0] != nullptr) ++steps_;
    real_->cell_forward[kCell](args);
  }
  template <int... kCell>
  static std::array<Forward, kCells> forwards(std::integer_sequence<int, kCell...>) {
    return {forward<kCell>...};
  }

  static inline const Kernels* real_;
  static inline std::atomic<int> steps_;
  Kernels table_;
};

std::vector<RecurrentCase> own_rows_cases() {
  std::vector<RecurrentCase> cases;
  const auto add = [&](const std::string& name, reference::RecurrentConfig config,
                       reference::RecurrentProblemOptions options) {
    for (const auto& cells : {reference::all_cells(), reference::variant_cells()}) {
      for (const reference::Cell& cell : cells) {
        config.cell = cell.name;
        cases.push_back({cell.name + "_" + name, config, options});
      }
    }
  };
  reference::RecurrentConfig config;
  config.units = 60;
  // Each step projects its own inputs; more rows than a block has, the last block of few steps.
  config.inputs = 16;
  add("stepwise", config, {16, 70, false, true, 0.0});
  add("stepwise_ragged", config, {23, 40, true, true, 0.0});
  config.go_backwards = true;
  add("stepwise_ragged_backwards", config, {23, 40, true, true, 0.0});
  // One product projects the inputs of a block.
  config.inputs = 48;
  add("hoisted_backwards", config, {16, 33, false, false, 0.0});
  config.go_backwards = false;
  add("hoisted_ragged", config, {23, 40, true, true, 0.0});
  return cases;
}

class OwnRowsTest : public testing::TestWithParam<RecurrentCase> {};

TEST_P(OwnRowsTest, ChangeNoBit) {
  const RecurrentCase& it = GetParam();
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(it.config, it.options, 31);
  for (const Kernels* kernels : available_kernels()) {
    if (!kernels->streams_steps) continue;  // they have none
    SCOPED_TRACE(kernels->name);
    CoreRun one(*kernels, problem, 1);
    one.run();
    CoreRun two(*kernels, problem, 2);
    two.run();
    expect_equal(two, one);
    EXPECT_EQ(two.gradients, one.gradients);
    two.forward(false);
    EXPECT_EQ(two.y, one.y);
    EXPECT_EQ(two.final_states, one.final_states);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, OwnRowsTest, testing::ValuesIn(own_rows_cases()),
                         [](const auto& info) { return info.param.name; });

#if !defined(OSTINATO_PARALLEL_SERIAL)
TEST(OwnRows, AreInUseWhereAPanelIsACacheLine) {
  using namespace std::chrono_literals;
  reference::RecurrentConfig config;
  config.cell = "lstm";
  config.inputs = 16;
  config.units = 64;
  const reference::RecurrentProblem problem =
      reference::random_recurrent_problem(config, {16, 32, false, false, 0.0}, 32);
  for (const Kernels* kernels : available_kernels()) {
    SCOPED_TRACE(kernels->name);
    EXPECT_EQ(kernels->streams_steps, kernels->width == 16);
    CountingTable counting(*kernels);
    CoreRun run(counting.table(), problem, 2);
    // A team has one member only for a while, when others use the processors.
    for (int i = 0; i < 100; ++i) {
      run.forward(false);
      if (counting.steps() > 0 || !kernels->streams_steps) break;
      std::this_thread::sleep_for(20ms);
    }
    EXPECT_EQ(counting.steps() > 0, kernels->streams_steps);
  }
}
#endif

}  // namespace
}  // namespace ostinato::test
