// Training and streaming allocate nothing once they have seen their largest shape: every operator
// new of this program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/session.h"
#include "test/defined_cells.h"
#include "test/training_problem.h"

namespace {

std::atomic<int64_t> allocations{0};

void* allocate(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The forms that the standard library's other forms call in the end. Never inlined: a compiler that
// sees free() beside a new expression takes the pair for a mistake.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  return allocate(bytes, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace ostinato::test {
namespace {

// A team of std::threads allocates when it starts; that back end is for tools, not for speed.
#if defined(OSTINATO_PARALLEL_THREADS)
constexpr int kThreads[] = {1};
#else
constexpr int kThreads[] = {1, 2};
#endif

template <class Fn>
int64_t allocations_of(const Fn& fn) {
  const int64_t before = allocations.load();
  fn();
  return allocations.load() - before;
}

TEST(Allocations, AreCounted) {
  // Called by name, since compilers may leave out a new-expression whose result nobody needs.
  EXPECT_EQ(allocations_of([] { ::operator delete(::operator new(4)); }), 1);
  EXPECT_GE(allocations_of([] { AlignedBuffer().reserve(100); }), 1);
}

TEST(Allocations, NoneInSteadyStateTraining) {
  for (const Kernels* kernels : available_kernels()) {
    for (const int threads : kThreads) {
      Dataset full = language_data(16, 24), ragged = language_data(16, 24);
      reference::RandomSource random(3);
      for (int32_t& length : ragged.length) length = static_cast<int32_t>(random.index(25));
      const std::vector<int32_t> samples = all_samples(full);
      OptimizerConfig optimizer;
      optimizer.clip_norm = 1;
      Trainer trainer(language_model(*kernels, 64, 0.2), language_loss(), optimizer);
      const auto step = [&](const Dataset& data, bool carry) {
        trainer.step(data, samples.data(), 16, 0.01, carry, false, threads, nullptr);
      };
      for (int i = 0; i < 2; ++i) step(full, true);
      EXPECT_EQ(allocations_of([&] {
                  for (int i = 0; i < 4; ++i) step(full, true);
                }),
                0)
          << kernels->name << ", the same shape, " << threads << " threads";
      EXPECT_EQ(allocations_of([&] {
                  for (int i = 0; i < 4; ++i) step(i % 2 ? full : ragged, i % 3 == 0);
                }),
                0)
          << kernels->name << ", smaller shapes, " << threads << " threads";
    }
  }
}

TEST(Allocations, NoneInSteadyStateTrainingOfAGraph) {
  Dataset full = language_data(16, 24);
  full.more_targets = {full};
  Dataset ragged = full;
  for (size_t i = 0; i < ragged.length.size(); ++i) ragged.length[i] = static_cast<int32_t>(i);
  const std::vector<int32_t> samples = all_samples(full);
  NetworkConfig config;
  config.inputs = {{1, true, true}};
  config.layers = {layer("embedding", {{"inputDim", double{kVocabulary}}, {"units", 8.0}}),
                   layer("lstm", {{"units", 8.0}, {"returnSequences", true}}), layer("add", {}),
                   layer("dense", {{"units", double{kVocabulary}}})};
  config.nodes = {{0, {0}}, {1, {1}}, {2, {1, 2}}, {3, {3}}, {3, {2}}};
  config.outputs = {4, 5};
  Trainer trainer(std::make_shared<Network>(config, *available_kernels().back()),
                  std::vector<LossConfig>{language_loss(), language_loss()}, {});
  const auto step = [&](const Dataset& data) {
    trainer.step(data, samples.data(), 16, 0.01, false, false, 1, nullptr);
  };
  for (int i = 0; i < 2; ++i) step(full);
  EXPECT_EQ(allocations_of([&] {
              for (int i = 0; i < 4; ++i) step(i % 2 ? full : ragged);
            }),
            0);
}

TEST(Allocations, NoneWithAccumulationAveragesAndAScheduleFreeMethod) {
  const Dataset data = language_data(16, 24);
  const std::vector<int32_t> samples = all_samples(data);
  for (const int threads : kThreads) {
    OptimizerConfig optimizer;
    optimizer.kind = OptimizerKind::kScheduleFreeAdam;
    optimizer.accumulate = 2;
    optimizer.averaging = Averaging::kExponential;
    Trainer trainer(language_model(*available_kernels().back(), 64), language_loss(), optimizer);
    const auto step = [&] {
      trainer.step(data, samples.data(), 16, 0.01, false, false, threads, nullptr);
    };
    for (int i = 0; i < 2; ++i) step();
    EXPECT_EQ(allocations_of([&] {
                for (int i = 0; i < 4; ++i) step();
              }),
              0)
        << threads << " threads";
  }
}

TEST(Allocations, NoneInOtherKindsOfCells) {
  const Dataset data = language_data(16, 24);
  const std::vector<int32_t> samples = all_samples(data);
  const auto network = make_network(
      *available_kernels().back(), {1, true, true},
      {layer("embedding", {{"inputDim", double{kVocabulary}}, {"units", 10.0}}),
       layer("custom",
             {{"units", 64.0}, {"returnSequences", true}, {"cell", std::string(kEverythingText)}}),
       layer("lstm_peephole", {{"units", 64.0}, {"returnSequences", true}, {"cellClip", 0.5}}),
       layer("lstm", {{"units", 64.0}, {"returnSequences", true}, {"projection", 24.0}}),
       layer("indrnn_tanh",
             {{"units", 64.0}, {"returnSequences", true}, {"recurrentInitializer", "unitUniform"}}),
       layer("lstm", {{"units", 64.0}, {"returnSequences", true}, {"layerNorm", "ba"}},
             "normalised"),
       layer("gru", {{"units", 64.0}, {"returnSequences", true}, {"layerNorm", "gates"}}),
       layer("dense", {{"units", double{kVocabulary}}})});
  for (const int threads : kThreads) {
    Trainer trainer(network, language_loss(), OptimizerConfig{});
    const auto step = [&] {
      trainer.step(data, samples.data(), 16, 0.01, true, false, threads, nullptr);
    };
    for (int i = 0; i < 2; ++i) step();
    EXPECT_EQ(allocations_of([&] {
                for (int i = 0; i < 4; ++i) step();
              }),
              0)
        << threads << " threads";
  }
}

TEST(Allocations, NoneInTheLossOfSequences) {
  Dataset data = language_data(8, 24);
  // Labels of a third of the steps, blanks after them.
  data.targets_are_inputs = false;
  data.target_labels.assign(8 * 25, 0);
  for (size_t i = 0; i < data.target_offset.size(); ++i) {
    data.target_offset[i] = static_cast<int64_t>(24 * i);
    for (int64_t t = 0; t < 8; ++t)
      data.target_labels[24 * i + t] = 1 + static_cast<int32_t>(t % 3);
  }
  const std::vector<int32_t> samples = all_samples(data);
  for (const int threads : kThreads) {
    LossConfig ctc;
    ctc.kind = LossKind::kCtc;
    Trainer trainer(language_model(*available_kernels().back(), 64), ctc, OptimizerConfig{});
    const auto step = [&] {
      trainer.step(data, samples.data(), 8, 0.01, false, false, threads, nullptr);
    };
    for (int i = 0; i < 2; ++i) step();
    EXPECT_EQ(allocations_of([&] {
                for (int i = 0; i < 4; ++i) step();
              }),
              0)
        << threads << " threads";
  }
}

TEST(Allocations, NoneInSteadyStateTrainingWithCheckpoints) {
  Dataset full = language_data(16, 24), ragged = language_data(16, 24);
  reference::RandomSource random(3);
  for (int32_t& length : ragged.length) length = static_cast<int32_t>(random.index(25));
  const std::vector<int32_t> samples = all_samples(full);
  for (const int threads : kThreads) {
    auto network = make_network(
        *available_kernels().back(), {1, true, true},
        {layer("embedding", {{"inputDim", static_cast<double>(kVocabulary)}, {"units", 10.0}}),
         layer("lstm", {{"units", 64.0},
                        {"layers", 3.0},
                        {"bidirectional", true},
                        {"checkpointEvery", 5.0},
                        {"zoneout", 0.2},
                        {"recurrentDropout", 0.2},
                        {"candidateDropout", 0.2},
                        {"returnSequences", true}}),
         layer("dense", {{"units", static_cast<double>(kVocabulary)}})});
    Trainer trainer(network, language_loss(), OptimizerConfig{});
    const auto step = [&](int i) {
      trainer.step(i % 2 ? full : ragged, samples.data(), 16, 0.01, true, false, threads, nullptr);
    };
    for (int i = 0; i < 4; ++i) step(i);
    EXPECT_EQ(allocations_of([&] {
                for (int i = 0; i < 4; ++i) step(i);
              }),
              0)
        << threads << " threads";
  }
}

// Two texts of different lengths, read by one recurrence; what is read of the first looks at pairs
// of the second's characters; an answer of four steps.
TEST(Allocations, NoneWithSeveralTimeAxes) {
  NetworkConfig config;
  config.inputs = {{1, true, true}, {1, true, true, {1, 0}}};
  config.layers = {layer("embedding", {{"inputDim", double{kVocabulary}}, {"units", 10.0}}),
                   layer("lstm", {{"units", 16.0}}),
                   layer("maxPooling1d", {}),
                   layer("attention", {{"score", "additive"}, {"units", 12.0}}),
                   layer("concat", {}),
                   layer("repeatVector", {{"n", 8.0}}),
                   layer("reshape", {{"steps", 4.0}, {"features", 84.0}}),
                   layer("dense", {{"units", double{kVocabulary}}})};
  config.nodes = {{0, {0}},    {0, {1}},       {1, {2}}, {1, {3}}, {2, {3}},
                  {3, {4, 6}}, {4, {4, 5, 7}}, {5, {8}}, {6, {9}}, {7, {10}}};
  config.outputs = {11};
  Dataset full = language_data(16, 12);
  full.more_inputs = {full};
  full.more_lengths = {{full.length, 12}};
  Dataset ragged = full;
  reference::RandomSource random(4);
  for (int32_t& length : ragged.length) length = static_cast<int32_t>(random.index(13));
  for (int32_t& length : ragged.more_lengths[0].length) {
    length = static_cast<int32_t>(random.index(13));
  }
  const std::vector<int32_t> samples = all_samples(full);
  for (const int threads : kThreads) {
    Trainer trainer(std::make_shared<Network>(config, *available_kernels().back()), language_loss(),
                    OptimizerConfig{});
    const auto step = [&](int i) {
      trainer.step(i % 2 ? full : ragged, samples.data(), 16, 0.01, false, false, threads, nullptr);
    };
    for (int i = 0; i < 4; ++i) step(i);
    EXPECT_EQ(allocations_of([&] {
                for (int i = 0; i < 4; ++i) step(i);
              }),
              0)
        << threads << " threads";
  }
}

// A reader whose final states begin a writer on another time axis.
TEST(Allocations, NoneWithStatesFromAnotherLayer) {
  NetworkConfig config;
  config.inputs = {{1, true, true}, {1, true, true, {1, 0}}};
  config.layers = {layer("embedding", {{"inputDim", double{kVocabulary}}, {"units", 10.0}}),
                   layer("lstm", {{"units", 16.0}}, "reader"),
                   layer("finalState", {}, "h"),
                   layer("finalState", {{"state", std::string("c")}}, "c"),
                   layer("lstm", {{"units", 16.0}, {"returnSequences", true}}, "writer"),
                   layer("dense", {{"units", double{kVocabulary}}})};
  config.nodes = {{0, {0}}, {0, {1}}, {1, {2}}, {2, {4}}, {3, {4}}, {4, {3, 5, 6}}, {5, {7}}};
  config.outputs = {8};
  Dataset full = language_data(16, 12);
  full.more_inputs = {full};
  full.more_lengths = {{full.length, 12}};
  const std::vector<int32_t> samples = all_samples(full);
  Dataset ragged = full;
  reference::RandomSource random(4);
  for (int32_t& length : ragged.length) length = static_cast<int32_t>(random.index(13));
  Trainer trainer(std::make_shared<Network>(config, *available_kernels().back()), language_loss(),
                  OptimizerConfig{});
  const auto step = [&](int i) {
    trainer.step(i % 2 ? full : ragged, samples.data(), 16, 0.01, false, false, 1, nullptr);
  };
  for (int i = 0; i < 4; ++i) step(i);
  EXPECT_EQ(allocations_of([&] {
              for (int i = 0; i < 4; ++i) step(i);
            }),
            0);
}

TEST(Allocations, NoneInAStreamingStep) {
  for (const Kernels* kernels : available_kernels()) {
    Session session(language_model(*kernels), 3);
    const std::vector<int32_t> ids{1, 2, 3};
    std::vector<float> output(3 * kVocabulary);
    const auto step = [&] { session.step(ids.data(), nullptr, output.data(), 1); };
    step();
    EXPECT_EQ(allocations_of([&] {
                for (int i = 0; i < 10; ++i) step();
              }),
              0)
        << kernels->name;
  }
}

}  // namespace
}  // namespace ostinato::test
