// Attention: each query gives the weighted mean of a sequence's values, with weights by how well
// its keys match the query.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/gemm.h"
#include "core/layer.h"

namespace ostinato {

enum class AttentionScore : uint8_t { kDot, kGeneral, kAdditive };

// Inputs: queries [B, Q] or [B, Tq, Q], keys [B, Tk, K], and values [B, Tk, V] on the keys' time
// axis (default: the keys). Output: [B, V] or [B, Tq, V], on the axis of the queries:
//   c_i = sum_t a_it v_t, a_i = softmax over the sequence's own steps of the scores s_it,
//   dot: s = q . k; general: s = (W q) . k (both Luong, Pham and Manning 2015);
//   additive: s = w . tanh(W q + U k + b) (Bahdanau, Cho and Bengio 2015).
// A sequence without steps gives zeros. Options: score "dot", "general", "additive"; of the last,
// units and useBias (true); kernelInitializer "glorotUniform". Parameters: weight_query [K, Q] or
// [units, Q], weight_key [units, K], weight_score [units], bias [units].
class Attention : public Layer {
 public:
  explicit Attention(const LayerConfig& config);
  ValueShape build_from(std::span<const ValueShape> inputs, ParamTable& params) override;
  TimeAxis output_axis(std::span<const ValueShape> inputs) const override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void pack(const ParamTable& params, const Kernels& kernels, int threads) override;
  void pack_backward(const ParamTable& params, const Kernels& kernels, int threads,
                     const Geometry& geometry) override;
  std::unique_ptr<LayerRun> make_run() const override;
  bool streamable() const override { return false; }
  bool attends() const override { return true; }

 private:
  friend class AttentionRun;

  AttentionScore score_;
  int64_t units_ = 0;  // columns of the projected queries: K, or those of the additive score
  bool use_bias_ = false;
  bool own_values_ = false;  // a third input
  ValueShape query_, key_, value_;
  int weight_query_ = -1, weight_key_ = -1, weight_score_ = -1, bias_ = -1;
  PackedMatrix query_forward_, query_backward_, key_forward_, key_backward_;
  uint64_t backward_version_ = 0;
};

}  // namespace ostinato
