// Attention of one query over the rows of a sequence: scores, weighted sums, and their gradients.
// Rows are added up in the order of their steps.
#pragma once

#include "kernels/columns.inl.h"
#include "kernels/kernels.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Where row t begins.
OSTINATO_INLINE int64_t row_at(const SequenceRows& rows, int64_t t) {
  return (rows.offset[t] + rows.first) * rows.ld;
}

inline void attention_products(const AttentionArgs& args) noexcept {
  for (int64_t t = 0; t < args.sequence.steps; ++t) {
    const float* x = args.x + row_at(args.sequence, t);
    Vf sums = zero();
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      sums = fma(lanes.load(x + j), lanes.load(args.vector + j), sums);
    });
    args.weights[t] = reduce_add(sums);
  }
}

inline void attention_sum(const AttentionArgs& args) noexcept {
  for_columns(args.cols, [&](int64_t j, auto lanes) {
    Vf sums = zero();
    for (int64_t t = 0; t < args.sequence.steps; ++t) {
      sums = fma(set1(args.weights[t]), lanes.load(args.x + row_at(args.sequence, t) + j), sums);
    }
    lanes.store(args.sum + j, sums);
  });
}

inline void attention_add_outer(const AttentionArgs& args) noexcept {
  for (int64_t t = 0; t < args.sequence.steps; ++t) {
    const Vf weight = set1(args.weights[t]);
    float* dx = args.dx + row_at(args.sequence, t);
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      lanes.store(dx + j, fma(weight, lanes.load(args.vector + j), lanes.load(dx + j)));
    });
  }
}

inline void additive_scores(const AdditiveScoresArgs& args) noexcept {
  for (int64_t t = 0; t < args.sequence.steps; ++t) {
    const float* keys = args.keys + row_at(args.sequence, t);
    Vf sums = zero();
    for_columns(args.cols, [&](int64_t j, auto lanes) {
      const Vf u = tanh(lanes.load(args.query + j) + lanes.load(keys + j));
      sums = fma(lanes.load(args.score + j), u, sums);
    });
    args.scores[t] = reduce_add(sums);
  }
}

inline void additive_scores_grad(const AdditiveScoresArgs& args) noexcept {
  for_columns(args.cols, [&](int64_t j, auto lanes) {
    const Vf query = lanes.load(args.query + j), score = lanes.load(args.score + j);
    Vf dquery = zero(), dscore = lanes.load(args.dscore + j);
    for (int64_t t = 0; t < args.sequence.steps; ++t) {
      const int64_t at = row_at(args.sequence, t) + j;
      const Vf u = tanh(query + lanes.load(args.keys + at));
      const Vf ds = set1(args.dscores[t]);
      const Vf g = ds * score * fnma(u, u, set1(1.0f));
      dscore = fma(ds, u, dscore);
      dquery = dquery + g;
      lanes.store(args.dkeys + at, lanes.load(args.dkeys + at) + g);
    }
    lanes.store(args.dquery + j, dquery);
    lanes.store(args.dscore + j, dscore);
  });
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
