// What holds for the weights of a layer beside the loss: penalties, and constraints.
#pragma once

#include <cstdint>

#include "core/config.h"
#include "core/params.h"
#include "kernels/kernels.h"

namespace ostinato {

// The rules for parameters of a role, from the options of their layer: <prefix>Regularizer.l1 and
// .l2, <prefix>Constraint and .max, where the prefix is kernel, recurrent, bias or embeddings; of
// recurrent weights also weightDrop.
WeightRules weight_rules(const LayerConfig& config, ParamRole role);

// Sum over all parameters of l1 sum |w| + l2 sum w^2, in an order of its own: the same bits for any
// number of threads.
double weight_penalty(const ParamTable& params, const Kernels& kernels, int threads);

// Adds the penalty's gradient, l1 sign(w) + 2 l2 w, to that of each parameter.
void add_penalty_gradients(const ParamTable& params, const Kernels& kernels, int threads);

// Puts values in the parameters' flat layout where the constraints want them. A row is what belongs
// to one output of a gate; of a parameter with one dimension, all of it.
void constrain(const ParamTable& params, const Kernels& kernels, float* values, int threads);

}  // namespace ostinato
