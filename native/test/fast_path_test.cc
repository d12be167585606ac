// That the fast path is the one in use: which table is active, and how often its kernels are
// called. Without this, every other test would also pass on a slow detour.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/executor.h"
#include "test/core_problem.h"

namespace ostinato::test {
namespace {

// A table whose kernels count their calls and then do their work.
struct Counting {
  static inline const Kernels* real;
  static inline int packs, products, transposed_products, forward_steps, backward_steps;

  static void reset() {
    packs = products = transposed_products = forward_steps = backward_steps = 0;
  }
  static void pack(const PackArgs& args) noexcept { ++packs, real->pack(args); }
  static void gemm(const GemmArgs& args) noexcept { ++products, real->gemm(args); }
  static void gemm_tn(const GemmTnArgs& args) noexcept {
    ++transposed_products, real->gemm_tn(args);
  }
  template <int kCell>
  static void forward(const CellForwardArgs& args) noexcept {
    ++forward_steps, real->cell_forward[kCell](args);
  }
  template <int kCell>
  static void backward(const CellBackwardArgs& args) noexcept {
    ++backward_steps, real->cell_backward[kCell](args);
  }
};

constexpr int kLstm = 2;

Kernels counting_table(const Kernels& kernels) {
  static void (*forward[16])(const CellForwardArgs&) noexcept;
  static void (*backward[16])(const CellBackwardArgs&) noexcept;
  forward[kLstm] = Counting::forward<kLstm>;
  backward[kLstm] = Counting::backward<kLstm>;
  Counting::real = &kernels;
  Kernels table = kernels;
  table.pack = Counting::pack;
  table.gemm = Counting::gemm;
  table.gemm_tn = Counting::gemm_tn;
  table.cell_forward = forward;
  table.cell_backward = backward;
  return table;
}

TEST(FastPath, TheBestSupportedTableIsActive) {
  if (std::getenv("OSTINATO_ISA") != nullptr) {
    EXPECT_STREQ(active_kernels().name, std::getenv("OSTINATO_ISA"));
    return;
  }
  EXPECT_EQ(&active_kernels(), available_kernels().front());
#if defined(__x86_64__) && defined(OSTINATO_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw")) {
    EXPECT_STREQ(active_kernels().name, "avx512");
  }
#endif
#if defined(__aarch64__)
  EXPECT_STREQ(active_kernels().name, "neon");
#endif
}

class FastPathCalls : public testing::Test {
 protected:
  static constexpr int64_t kBatch = 4, kInputs = 13, kUnits = 24;

  explicit FastPathCalls(int64_t inputs = kInputs)
      : inputs_(inputs),
        table_(counting_table(active_kernels())),
        network_(
            make_network(table_, {inputs, true, false},
                         {layer("lstm", {{"units", double{kUnits}}, {"returnSequences", true}})})),
        executor_(network_) {
    EXPECT_STREQ(table_.cells[kLstm].name, "lstm");
  }

  void run(int64_t steps) {
    Geometry geometry;
    geometry.assign(kBatch, steps, nullptr);
    reference::RandomSource random(1);
    const Rows x(random.matrix(steps * kBatch, inputs_));
    const Rows dy(random.matrix(steps * kBatch, kUnits));
    RunOptions options;
    options.gradients = true;
    options.input_gradient = true;
    Counting::reset();
    executor_.forward(geometry, floats(x), options);
    executor_.backward(dy.view);
  }

  int64_t inputs_;
  Kernels table_;
  std::shared_ptr<Network> network_;
  Executor executor_;
};

TEST_F(FastPathCalls, OneFusedKernelAStepAndAllOtherProductsOutsideTheLoop) {
  for (const int64_t steps : {5, 50}) {
    run(steps);
    EXPECT_EQ(Counting::forward_steps, steps);
    EXPECT_EQ(Counting::backward_steps, steps);
    // The projection of the inputs, and their gradient: one product each for all steps.
    EXPECT_EQ(Counting::products, 2);
    // The gradients of both weights, likewise.
    EXPECT_EQ(Counting::transposed_products, 1);
  }
}

class FastPathCallsOfFewInputs : public FastPathCalls {
 protected:
  FastPathCallsOfFewInputs() : FastPathCalls(kUnits / 2) {}
};

TEST_F(FastPathCallsOfFewInputs, TheStepsProjectThemselves) {
  run(5);
  EXPECT_EQ(Counting::forward_steps, 5);
  EXPECT_EQ(Counting::products, 1);  // the gradient of the inputs
  EXPECT_EQ(Counting::transposed_products, 1);
}

// Blocks of 512 rows or more: products are one for each block, steps remain one call each.
TEST_F(FastPathCalls, LongSequencesAreWorkedOnInBlocks) {
  const int64_t block_steps = std::max<int64_t>(512, (1 << 20) / (4 * 4 * padded(kUnits))) / kBatch;
  run(3 * block_steps);
  EXPECT_EQ(Counting::forward_steps, 3 * block_steps);
  EXPECT_EQ(Counting::backward_steps, 3 * block_steps);
  EXPECT_GE(Counting::products, 2 * 3);
  EXPECT_LE(Counting::products, 2 * 4);
  EXPECT_EQ(Counting::products, 2 * Counting::transposed_products);
}

TEST_F(FastPathCalls, InferencePacksNothingForABackwardPass) {
  Geometry geometry;
  geometry.assign(kBatch, 3, nullptr);
  reference::RandomSource random(1);
  const Rows x(random.matrix(3 * kBatch, inputs_));
  Counting::reset();
  executor_.forward(geometry, floats(x), RunOptions{});
  const int packs = Counting::packs;
  run(3);
  EXPECT_EQ(Counting::packs, packs);  // the other half
}

TEST_F(FastPathCalls, WeightsArePackedAgainOnlyAfterAChange) {
  run(3);
  EXPECT_GT(Counting::packs, 0);
  const int packs = Counting::packs;
  run(3);
  EXPECT_EQ(Counting::packs, 0);
  network_->params().touch();
  run(3);
  EXPECT_EQ(Counting::packs, packs);
}

}  // namespace
}  // namespace ostinato::test
