// Dropout inside the time loop of one direction of one recurrent layer: its rates, and where its
// random numbers come from.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/layer.h"

namespace ostinato {

struct LoopDropout {
  // Zoneout (Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden
  // activations", ICLR 2017): the probability with which a unit of a state stays as it was. Other
  // units, and other steps, have draws of their own. Without training a state is what it is on
  // average: rate * before + (1 - rate) * after.
  float zoneout[kMaxStates] = {};
  // Rate of the mask on h before the recurrent product, one for all steps of a row (Gal &
  // Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
  // NIPS 2016). In training only.
  float recurrent = 0;
  // Rate of the dropout of the candidate, what a cell adds to its memory at a step ("without memory
  // loss"; Semeniuta, Severyn & Barth, "Recurrent dropout without memory loss", COLING 2016): of g
  // in an LSTM, n in a GRU. Each step has draws of its own. In training only.
  float candidate = 0;
  uint64_t layer = 0, slot = 0;  // the layer's place, and the recurrence's in it

  bool zones() const {
    return std::any_of(zoneout, zoneout + kMaxStates, [](float rate) { return rate > 0; });
  }
  bool drops_candidate(const Pass& pass) const { return pass.training && candidate > 0; }
  bool masks(const Pass& pass) const { return pass.training && recurrent > 0; }

  // Masks of a recurrence have one stream, in which they take turns: the mask on h is row
  // kMasks * b of `units` columns, zoneout of state s at step t row kMasks * (t * B + b) + 1 + s,
  // of the candidate kMasks * (t * B + b) + kMasks - 1.
  static constexpr int64_t kMasks = 8;
  uint64_t stream(const Pass& pass) const { return loop_stream(pass.step, layer, slot); }
  static int64_t mask_row(int64_t batch_row) { return kMasks * batch_row; }
  static int64_t candidate_row(const Geometry& geometry, int64_t t, int64_t sorted) {
    return kMasks * (t * geometry.batch() + geometry.batch_row(sorted)) + kMasks - 1;
  }
  static int64_t zoneout_row(const Geometry& geometry, int64_t state, int64_t t, int64_t sorted) {
    return kMasks * (t * geometry.batch() + geometry.batch_row(sorted)) + 1 + state;
  }
};

}  // namespace ostinato
