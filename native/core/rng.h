// Counter-based random numbers: every draw is a function of (seed, stream, index), so results do
// not depend on the order or the thread in which they are made.
#pragma once

#include <cstdint>

namespace ostinato {

// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011): the bijection of a counter of four words under a key of two.
struct PhiloxBlock {
  uint32_t word[4];
};
PhiloxBlock philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

// Streams: which use of random numbers under one seed. The two kinds never meet (top bit).
// Parameter `parameter` of layer `layer`.
constexpr uint64_t initializer_stream(uint64_t layer, uint64_t parameter) {
  return uint64_t{1} << 63 | layer << 16 | parameter;
}
// Dropout of layer `layer` at a training step; `part` (below 256) tells apart masks in a layer.
constexpr uint64_t dropout_stream(uint64_t step, uint64_t layer, uint64_t part = 0) {
  return (step << 24 | layer << 8 | part) & ~(uint64_t{1} << 63);
}

// Dropout inside the time loop of recurrence `slot` (below 128) of layer `layer`: parts that
// dropout between the layers of a stack, at most 64, leaves.
constexpr uint64_t loop_stream(uint64_t step, uint64_t layer, uint64_t slot) {
  return dropout_stream(step, layer, 64 + slot);
}

// Weight drop of parameter `parameter` (below 2^23) at a training step: the streams that dropout of
// layers from number 2^15 on would have.
constexpr uint64_t weight_drop_stream(uint64_t step, uint64_t parameter) {
  return dropout_stream(step, uint64_t{1} << 15) | parameter;
}

class RandomStream {
 public:
  // `stream` tells apart uses under one seed (parameter initialisers, dropout of a layer, …).
  RandomStream(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  double uniform(uint64_t index) const;  // [0, 1), 32 random bits
  // N(0, 1) by Box and Muller's transform (Annals of Mathematical Statistics 29(2), 1958), of a
  // counter block of its own.
  double normal(uint64_t index) const;
  // Both numbers of the transform, independent of each other; the first is normal(index).
  void normal_pair(uint64_t index, double (&pair)[2]) const;
  // Fills with U[low, high) / N(0, deviation^2), element i from index i.
  void fill_uniform(float* x, int64_t n, double low, double high) const;
  void fill_normal(float* x, int64_t n, double deviation) const;
  // N(0, deviation^2) within two deviations of 0: what lies outside is drawn again, element i from
  // the next of the indices i, i + n, i + 2 n, ...
  void fill_truncated_normal(float* x, int64_t n, double deviation) const;

 private:
  uint64_t seed_, stream_;
};

}  // namespace ostinato
