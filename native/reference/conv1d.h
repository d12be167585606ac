// Causal convolutions of one sequence in PyTorch's layout of the weight, dense and depthwise, which
// go on from the inputs before the sequence.
#pragma once

#include <cstddef>
#include <vector>

#include "reference/matrix.h"

namespace ostinato::reference {

struct ConvParams {
  size_t filters = 0, inputs = 0, taps = 0, dilation = 1;
  bool depthwise = false;  // filters == inputs, and each filter has its own input alone
  Vector weight;           // [filters, inputs or 1, taps]
  Vector bias;             // [filters]

  size_t history() const { return (taps - 1) * dilation; }
  // Where the weight of (filter, input, tap) stands, for inputs that the filter has.
  size_t at(size_t filter, size_t input, size_t tap) const {
    return (depthwise ? filter : filter * inputs + input) * taps + tap;
  }
  bool reads(size_t filter, size_t input) const { return !depthwise || filter == input; }
};

struct ConvGradients {
  std::vector<Vector> before, x;
  Vector weight, bias;
};

// The inputs before the sequence, [history], and its own: [history + steps].
inline std::vector<Vector> joined(const std::vector<Vector>& before, const std::vector<Vector>& x) {
  std::vector<Vector> all = before;
  all.insert(all.end(), x.begin(), x.end());
  return all;
}

inline std::vector<Vector> conv_forward(const ConvParams& params, const std::vector<Vector>& before,
                                        const std::vector<Vector>& x) {
  const std::vector<Vector> all = joined(before, x);
  std::vector<Vector> y(x.size(), params.bias);
  for (size_t t = 0; t < x.size(); ++t) {
    for (size_t f = 0; f < params.filters; ++f) {
      for (size_t i = 0; i < params.inputs; ++i) {
        if (!params.reads(f, i)) continue;
        for (size_t tap = 0; tap < params.taps; ++tap) {
          y[t][f] += params.weight.at(params.at(f, i, tap)) * all.at(t + tap * params.dilation)[i];
        }
      }
    }
  }
  return y;
}

// What stands before the next piece of the sequence.
inline std::vector<Vector> conv_last(const ConvParams& params, const std::vector<Vector>& before,
                                     const std::vector<Vector>& x) {
  const std::vector<Vector> all = joined(before, x);
  return {all.end() - static_cast<std::ptrdiff_t>(params.history()), all.end()};
}

// From the gradients of the outputs and of conv_last.
inline ConvGradients conv_backward(const ConvParams& params, const std::vector<Vector>& before,
                                   const std::vector<Vector>& x, const std::vector<Vector>& dy,
                                   const std::vector<Vector>& dlast) {
  const std::vector<Vector> all = joined(before, x);
  std::vector<Vector> dall(all.size(), Vector(params.inputs, 0.0));
  ConvGradients d;
  d.weight.assign(params.weight.size(), 0.0);
  d.bias.assign(params.filters, 0.0);
  for (size_t slot = 0; slot < params.history(); ++slot) add(dall[x.size() + slot], dlast[slot]);
  for (size_t t = 0; t < x.size(); ++t) {
    add(d.bias, dy[t]);
    for (size_t f = 0; f < params.filters; ++f) {
      for (size_t i = 0; i < params.inputs; ++i) {
        if (!params.reads(f, i)) continue;
        for (size_t tap = 0; tap < params.taps; ++tap) {
          const size_t from = t + tap * params.dilation;
          d.weight[params.at(f, i, tap)] += dy[t][f] * all[from][i];
          dall[from][i] += dy[t][f] * params.weight[params.at(f, i, tap)];
        }
      }
    }
  }
  const auto middle = dall.begin() + static_cast<std::ptrdiff_t>(params.history());
  d.before.assign(dall.begin(), middle);
  d.x.assign(middle, dall.end());
  return d;
}

}  // namespace ostinato::reference
