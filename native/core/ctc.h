// Connectionist temporal classification: the loss of label sequences that are not aligned to steps.
// A. Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data
// with recurrent neural networks", ICML 2006.
#pragma once

#include <cstdint>
#include <vector>

#include "core/geometry.h"
#include "core/tensor.h"
#include "kernels/kernels.h"

namespace ostinato {

class Ctc {
 public:
  Ctc(int64_t blank, const Kernels& kernels) : blank_(blank), kernels_(kernels) {}

  // x: logits [N, classes] in packed rows. The labels of a sequence lie in its first rows, before
  // the first blank. dx, which is not x, receives the gradient of sum over sequences of
  // scale[row(b, 0)] times its loss; null for none. `losses` receives - ln of the probability of
  // each sequence's labels, by sorted row: inf where its steps cannot emit them (the gradient is 0
  // then).
  void evaluate(const Geometry& geometry, const Matrix& x, const int32_t* labels,
                const float* scale, const Matrix& dx, int threads, std::vector<double>& losses);

 private:
  struct Sequence {
    int64_t labels = 0;   // L
    int64_t scratch = 0;  // where its doubles begin
  };
  double sequence(const Geometry& geometry, const Matrix& x, const int32_t* labels, int64_t b,
                  float scale, const Matrix& dx);

  int64_t blank_;
  const Kernels& kernels_;
  std::vector<Sequence> sequences_;
  std::vector<float> distance_, ones_;  // [N]: ln of the sum of exp minus the blank's logit; 1
  std::vector<int32_t> blanks_;         // [N]
  std::vector<double> scratch_;
};

}  // namespace ostinato
