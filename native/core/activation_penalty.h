// Activation regularisation of a recurrent layer's outputs, and its temporal form (Merity, McCann
// and Socher, "Revisiting activation regularization for language RNNs", 2017).
#pragma once

#include "core/layer.h"

namespace ostinato {

// Factors of two means over the elements of the outputs h of all steps:
//   activation  mean h_t^2
//   temporal    mean (h_t+1 - h_t)^2, over the steps of each row that have one after them
struct ActivationPenalty {
  double activation = 0, temporal = 0;
  bool on() const { return activation != 0 || temporal != 0; }
};

// The penalty of outputs [N, F]; the same bits for any number of threads.
double activation_penalty(const Pass& pass, const ActivationPenalty& penalty, const Matrix& h);

// Adds its gradient to dy [N, F].
void add_activation_gradient(const Pass& pass, const ActivationPenalty& penalty, const Matrix& h,
                             const Matrix& dy);

}  // namespace ostinato
