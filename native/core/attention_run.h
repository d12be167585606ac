// An execution of an attention layer. Each sample is one thread's: it takes the sample's queries
// one after the other, so that the order of every sum is fixed.
#pragma once

#include <span>

#include "core/attention.h"

namespace ostinato {

class AttentionRun : public LayerRun {
 public:
  explicit AttentionRun(const Attention& layer) : layer_(layer) {}

  void plan(Workspace& workspace, const Pass& pass) override;
  Value forward_from(const Pass& pass, const ParamTable& params,
                     std::span<const Value> inputs) override;
  void backward_to(const Pass& pass, const ParamTable& params, std::span<const Value> inputs,
                   const Matrix& dy, std::span<const Matrix> dx) override;
  void get_attention(const Pass& pass, int64_t query_steps, int64_t key_steps,
                     float* destination) const override;

 private:
  // What one pass works with: rows as the scores take them, and where their gradients go.
  struct Operands {
    Matrix queries, keys, values;
    Matrix dqueries, dkeys, dvalues;  // empty: not wanted
  };
  // The rows of one sample.
  struct Sample {
    SequenceRows keys;    // with the leading dimension of the keys
    int64_t index = 0;    // its sorted row among the keys
    int64_t query = 0;    // its sorted row among the queries
    int64_t queries = 0;  // how many it has
  };

  Operands operands(std::span<const Value> inputs) const;
  template <class Fn>
  void for_samples(const Pass& pass, int64_t multiply_adds, const Fn& fn) const;
  int64_t query_row(const Pass& pass, const Sample& sample, int64_t i) const;
  int64_t work(const Pass& pass) const;
  // Of one query: what the scores are made of, without where they go.
  AdditiveScoresArgs additive_args(const ParamTable& params, const Operands& rows,
                                   const Sample& sample, int64_t query) const;
  void attend(const Pass& pass, const ParamTable& params, const Operands& rows,
              const Sample& sample) const;
  void clear_gradients(const Operands& rows, const Sample& sample) const;
  void attend_backward(const Pass& pass, const ParamTable& params, const Operands& rows,
                       const Sample& sample, const Matrix& dy) const;
  void project_backward(const Pass& pass, const ParamTable& params, std::span<const Value> inputs,
                        std::span<const Matrix> dx) const;
  bool additive() const { return layer_.score_ == AttentionScore::kAdditive; }
  bool projects() const { return layer_.score_ != AttentionScore::kDot; }

  const Attention& layer_;
  Matrix output_;
  Matrix queries_, keys_;    // projected, where they are
  Matrix weights_;           // [queries, steps of the longest keys]
  Matrix dqueries_, dkeys_;  // gradients of the projected ones
  Matrix dweights_;
  Matrix dscore_;  // [samples, units]: each sample's part of the gradient of weight_score
  float* scratch_ = nullptr;
};

}  // namespace ostinato
