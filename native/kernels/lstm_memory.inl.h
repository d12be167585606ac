// The LSTM in halves, for an output of the normalised cell state (J. L. Ba, J. R. Kiros, G. E.
// Hinton, "Layer normalization", arXiv:1607.06450, supplement): h' = o tanh(LN(c')).
#pragma once

#include "kernels/cell_apply.inl.h"
#include "kernels/cells/lstm.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Gates and cell state without the output, as a cell.
struct LstmMemory {
  static constexpr CellInfo kInfo = Lstm::kInfo;
  static constexpr int64_t kOutput = 3 * Vf::kWidth;

  template <int kPhase>
  static OSTINATO_INLINE void forward(const ForwardLanes& x, const Vf* sum) {
    const Vf i = sigmoid(sum[0]);
    const Vf f = sigmoid(sum[1]);
    const Vf g = tanh(sum[2]);
    store(x.next[1], fma(f, load(x.previous[1]), i * g));
    store(x.gates, i);
    store(x.gates + Vf::kWidth, f);
    store(x.gates + 2 * Vf::kWidth, g);
    store(x.gates + kOutput, sigmoid(sum[3]));
  }

  template <int kPhase>
  static OSTINATO_INLINE void backward(const BackwardLanes& x, Vf /*dh*/) {
    const Vf i = load(x.gates);
    const Vf f = load(x.gates + Vf::kWidth);
    const Vf g = load(x.gates + 2 * Vf::kWidth);
    const Vf dc = load(x.dstate[1]);
    store(x.gates, dc * g * sigmoid_slope(i));
    store(x.gates + Vf::kWidth, dc * load(x.previous[1]) * sigmoid_slope(f));
    store(x.gates + 2 * Vf::kWidth, dc * i * tanh_slope(g));
    store(x.dstate[0], zero());
    store(x.dstate[1], dc * f);
  }

  // body(gate, at) for each vector: where the output gate's activation lies, and the offset in the
  // other rows.
  template <class Body>
  static OSTINATO_INLINE void each(const CellOutputArgs& args, const Body& body) {
    for (int64_t row = 0; row < args.rows; ++row) {
      for (int64_t panel = 0; panel < args.panels; ++panel) {
        body(args.gates + row * args.gates_ld + panel * kInfo.gates * kV + kOutput,
             row * args.ld + panel * kV);
      }
    }
  }

  static void output(const CellOutputArgs& args) noexcept {
    each(args, [&](const float* o, int64_t at) {
      store(args.h + at, load(o) * tanh(load(args.memory + at)));
    });
  }

  static void output_grad(const CellOutputArgs& args) noexcept {
    each(args, [&](float* gate, int64_t at) {
      const Vf o = load(gate);
      const Vf m = tanh(load(args.memory + at));
      const Vf dh = load(args.dh + at);
      store(args.dmemory + at, dh * o * tanh_slope(m));
      store(gate, dh * m * sigmoid_slope(o));
    });
  }
};

template <class Cell>
constexpr const CellHalves* halves() {
  return nullptr;
}

constexpr CellHalves kLstmHalves = {cell_apply<LstmMemory>, cell_backward<LstmMemory>,
                                    LstmMemory::output, LstmMemory::output_grad};
template <>
constexpr const CellHalves* halves<Lstm>() {
  return &kLstmHalves;
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
