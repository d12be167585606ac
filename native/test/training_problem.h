// A language model small enough to train in a test: it learns to go on with a repeating text.
#pragma once

#include <memory>
#include <numeric>
#include <vector>

#include "core/dataset.h"
#include "core/trainer.h"
#include "test/core_problem.h"

namespace ostinato::test {

inline constexpr int32_t kVocabulary = 12;

inline Dataset language_data(int64_t samples, int32_t length, uint64_t seed = 21) {
  Dataset data;
  data.tokens = true;
  data.features = 1;
  reference::RandomSource random(seed);
  const std::vector<int32_t> motif = random.labels(9, kVocabulary);
  const int64_t total = samples * length + 1;
  for (int64_t i = 0; i < total; ++i) data.input_tokens.push_back(motif[i % 9]);
  for (int64_t i = 0; i < samples; ++i) {
    data.input_offset.push_back(i * length);
    data.target_offset.push_back(i * length + 1);
    data.length.push_back(length);
  }
  data.target_kind = Dataset::TargetKind::kLabels;
  data.target_timed = true;
  data.targets_are_inputs = true;
  return data;
}

inline std::vector<int32_t> all_samples(const Dataset& data) {
  std::vector<int32_t> samples(data.samples());
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

// Embedding, LSTM, layer norm, dropout, dense.
inline std::shared_ptr<Network> language_model(const Kernels& kernels, double units = 24,
                                               double dropout = 0, uint64_t seed = 5) {
  return make_network(
      kernels, {1, true, true},
      {layer("embedding", {{"inputDim", static_cast<double>(kVocabulary)}, {"units", 10.0}}),
       layer("lstm", {{"units", units}, {"returnSequences", true}}), layer("layerNorm", {}),
       layer("dropout", {{"rate", dropout}}),
       layer("dense", {{"units", static_cast<double>(kVocabulary)}})},
      seed);
}

inline LossConfig language_loss() { return {LossKind::kSparseCategoricalCrossentropy}; }

inline std::vector<uint32_t> parameter_bits(const Network& network) {
  return bits_of(network.params().values(), network.params().size());
}

}  // namespace ostinato::test
