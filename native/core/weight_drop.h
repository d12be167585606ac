// Weight drop: DropConnect (Wan et al., ICML 2013) on the recurrent weights, as in AWD-LSTM
// (Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models", ICLR 2018).
#pragma once

#include <cstdint>

#include "core/arena.h"
#include "core/params.h"
#include "kernels/kernels.h"

namespace ostinato {

// In training, a weight w of a parameter whose rules say so takes part as w m / (1 - rate), with
// one mask m for all steps and rows of a batch. The masked weights stand in the table while a batch
// goes forward and backward, so the time loop knows nothing of them.
class WeightDrop {
 public:
  explicit WeightDrop(const ParamTable& params);

  // The table holds masked weights while this lives. Does nothing where no rules ask for it.
  class Scope {
   public:
    // The mask of an element depends on seed, step (the batch's number), parameter and place alone.
    Scope(WeightDrop& drop, ParamTable& params, const Kernels& kernels, uint64_t seed,
          uint64_t step, int threads);
    ~Scope() { restore(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    // After the backward pass: makes the gradients those of the weights themselves, and puts these
    // back.
    void finish();

   private:
    void mask(float* values) const;
    void restore();

    WeightDrop& drop_;
    ParamTable& params_;
    const Kernels& kernels_;
    const uint64_t seed_, step_;
    const int threads_;
    bool masked_;
  };

 private:
  AlignedBuffer kept_;  // the parameters' values, one after the other
};

}  // namespace ostinato
