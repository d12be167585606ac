// The layer "embedding": a table of vectors, looked up by token ids.
#pragma once

#include <vector>

#include "core/layer.h"

namespace ostinato {

// Options: inputDim (how many tokens there are), units; embeddingsInitializer "uniform" (with
// "torch": N(0, 1), PyTorch's choice for embeddings). Parameter: weight [inputDim, units].
//
// Its gradient is sparse: the rows of tokens that a backward pass met are written, the others stay
// zero. The layer remembers those rows and clears them at the next backward pass, so whoever runs
// one must leave this parameter's gradient alone in between.
class Embedding : public Layer {
 public:
  explicit Embedding(const LayerConfig& config);
  ValueShape build(const ValueShape& input, ParamTable& params) override;
  void initialize(ParamTable& params, uint64_t seed, uint64_t index) const override;
  void begin_backward(const ParamTable& params) const override;
  std::unique_ptr<LayerRun> make_run() const override;

  int64_t input_dim() const { return input_dim_; }

 private:
  friend class EmbeddingRun;

  // Rows of the gradient that may differ from zero. Shared by all runs, as the gradient is.
  struct Touched {
    std::vector<int32_t> rows;
    std::vector<uint8_t> seen;  // [inputDim]
  };

  int64_t input_dim_, units_;
  ValueShape input_;
  int weight_ = -1;
  std::unique_ptr<Touched> touched_ = std::make_unique<Touched>();
};

}  // namespace ostinato
