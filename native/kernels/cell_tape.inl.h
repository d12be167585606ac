// One time step of a cell whose maths is a tape. Rows and panels are cut into blocks: the products
// of a block go to temporaries, then each instruction runs over the whole block, so that decoding
// costs little and everything stays in the first-level cache.
#pragma once

#include "kernels/cell_tape.h"
#include "kernels/recurrent.inl.h"
#include "kernels/softplus.inl.h"
#include "simd/math.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Vectors of scratch for all temporaries, and the largest block. Even with as many temporaries as
// there can be a block has room for the largest tile.
constexpr int64_t kTapeVectors = 1024, kTapeBlock = 48;
static_assert(kTapeVectors / kTapeTemps >= kSums);
static_assert(kTapeRecurrentGates - kTapeGates == kMaxGates);
static_assert(kTapeNext - kTapePrevious == kMaxStates);

// Gates whose sums a tile holds at once; more gates take several products.
constexpr int kTapeGroup = 4;

struct TapeBlock {
  int64_t row, rows;
  int64_t panel, panels;
  float* scratch;
  float* temp(int64_t index) const { return scratch + index * rows * panels * kV; }
  // Of a row and panel of the whole call.
  float* temp_at(int64_t index, int64_t r, int64_t p) const {
    return temp(index) + ((p - panel) * rows + (r - row)) * kV;
  }
};

// Where a place begins in a block, and the floats from row to row and from panel to panel.
struct TapePlace {
  float* base;
  int64_t row, panel;
};

// body(block) for blocks that cover a call's rows and panels, whole tiles where possible. `gates`
// are what a tile has of each unit. Rows are the inner loop, and panels in the call's order, as in
// for_tiles.
template <class Args, class Body>
OSTINATO_INLINE void for_tape_blocks(const Args& args, int gates, int temps, float* scratch,
                                     const Body& body) {
  const int64_t room = kTapeVectors / (temps > 0 ? temps : 1);
  const int64_t most = room < kTapeBlock ? room : kTapeBlock;
  const int64_t tile_columns = tile_panels(gates);
  const int64_t tile_rows = kSums / (tile_columns * gates);
  int64_t rows = most / tile_columns / tile_rows * tile_rows;
  if (rows > args.rows) rows = args.rows;
  const int64_t chunks = (args.rows + rows - 1) / rows;
  const int64_t panels = most / rows / tile_columns * tile_columns;
  const int64_t groups = (args.panel_end - args.panel_begin + panels - 1) / panels;
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t panel =
        args.panel_begin + (args.descending ? groups - 1 - group : group) * panels;
    const int64_t left = args.panel_end - panel;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t first = args.rows * chunk / chunks;
      const int64_t last = args.rows * (chunk + 1) / chunks;
      body(TapeBlock{first, last - first, panel, left < panels ? left : panels, scratch});
    }
  }
}

template <class F>
OSTINATO_INLINE void tape_each(const TapePlace* at, const TapeInstruction& it,
                               const TapeBlock& block, const F& f) {
  const TapePlace to = at[it.to], a = at[it.a];
  for (int64_t p = 0; p < block.panels; ++p) {
    float* to_row = to.base + p * to.panel;
    const float* a_row = a.base + p * a.panel;
    for (int64_t r = 0; r < block.rows; ++r, to_row += to.row, a_row += a.row) {
      store(to_row, f(load(a_row)));
    }
  }
}

template <class F>
OSTINATO_INLINE void tape_each2(const TapePlace* at, const TapeInstruction& it,
                                const TapeBlock& block, const F& f) {
  const TapePlace to = at[it.to], a = at[it.a], b = at[it.b];
  for (int64_t p = 0; p < block.panels; ++p) {
    float* to_row = to.base + p * to.panel;
    const float* a_row = a.base + p * a.panel;
    const float* b_row = b.base + p * b.panel;
    for (int64_t r = 0; r < block.rows; ++r, to_row += to.row, a_row += a.row, b_row += b.row) {
      store(to_row, f(load(a_row), load(b_row)));
    }
  }
}

template <class F>
OSTINATO_INLINE void tape_each3(const TapePlace* at, const TapeInstruction& it,
                                const TapeBlock& block, const F& f) {
  const TapePlace to = at[it.to], a = at[it.a], b = at[it.b], c = at[it.c];
  for (int64_t p = 0; p < block.panels; ++p) {
    float* to_row = to.base + p * to.panel;
    const float* a_row = a.base + p * a.panel;
    const float* b_row = b.base + p * b.panel;
    const float* c_row = c.base + p * c.panel;
    for (int64_t r = 0; r < block.rows; ++r) {
      store(to_row, f(load(a_row), load(b_row), load(c_row)));
      to_row += to.row, a_row += a.row, b_row += b.row, c_row += c.row;
    }
  }
}

inline void run_tape(const TapeCode& code, const TapePlace* at, const TapeBlock& block) {
  for (int i = 0; i < code.count; ++i) {
    const TapeInstruction& it = code.instructions[i];
    const auto each = [&](const auto& f) { tape_each(at, it, block, f); };
    const auto each2 = [&](const auto& f) { tape_each2(at, it, block, f); };
    const auto each3 = [&](const auto& f) { tape_each3(at, it, block, f); };
    switch (it.op) {
      case TapeOp::kMove:
        each([](Vf a) { return a; });
        break;
      case TapeOp::kAdd:
        each2([](Vf a, Vf b) { return a + b; });
        break;
      case TapeOp::kSub:
        each2([](Vf a, Vf b) { return a - b; });
        break;
      case TapeOp::kMul:
        each2([](Vf a, Vf b) { return a * b; });
        break;
      case TapeOp::kDiv:
        each2([](Vf a, Vf b) { return a / b; });
        break;
      case TapeOp::kNeg:
        each([](Vf a) { return -a; });
        break;
      case TapeOp::kFma:
        each3([](Vf a, Vf b, Vf c) { return fma(a, b, c); });
        break;
      case TapeOp::kFms:
        each3([](Vf a, Vf b, Vf c) { return fma(a, b, -c); });
        break;
      case TapeOp::kFnma:
        each3([](Vf a, Vf b, Vf c) { return fnma(a, b, c); });
        break;
      case TapeOp::kSigmoid:
        each([](Vf a) { return sigmoid(a); });
        break;
      case TapeOp::kTanh:
        each([](Vf a) { return tanh(a); });
        break;
      case TapeOp::kRelu:
        // With a second it lets a NaN through.
        each([](Vf a) { return max(zero(), a); });
        break;
      case TapeOp::kExp:
        each([](Vf a) { return exp(a); });
        break;
      case TapeOp::kLog:
        each([](Vf a) { return log(a); });
        break;
      case TapeOp::kSoftplus:
        each([](Vf a) { return softplus(a); });
        break;
      case TapeOp::kAbs:
        each([](Vf a) { return abs(a); });
        break;
      case TapeOp::kSqrt:
        each([](Vf a) { return sqrt(a); });
        break;
      case TapeOp::kMin:
        each2([](Vf a, Vf b) { return min(a, b); });
        break;
      case TapeOp::kMax:
        each2([](Vf a, Vf b) { return max(a, b); });
        break;
      case TapeOp::kSigmoidGrad:
        each2([](Vf a, Vf b) { return a * sigmoid_slope(b); });
        break;
      case TapeOp::kTanhGrad:
        each2([](Vf a, Vf b) { return a * tanh_slope(b); });
        break;
      case TapeOp::kReluGrad:
        each2([](Vf a, Vf b) { return select(gt(b, zero()), a, zero()); });
        break;
      case TapeOp::kAbsGrad:
        each2(
            [](Vf a, Vf b) { return select(gt(b, zero()), a, select(lt(b, zero()), -a, zero())); });
        break;
      case TapeOp::kIfGreater:
        each3([](Vf a, Vf b, Vf c) { return select(gt(b, c), a, zero()); });
        break;
    }
  }
}

// The places that forward and backward have in common.
template <class Args>
OSTINATO_INLINE TapePlace find_tape_place(const Args& args, const TapeBlock& block, int place) {
  const CellTape& tape = *args.tape;
  const int64_t slots = tape.gates * kV;
  const auto gate = [&](float* buffer, int index) {
    return TapePlace{buffer + block.row * args.gates_ld + block.panel * slots + index * kV,
                     args.gates_ld, slots};
  };
  const auto state = [&](const float* buffer, int64_t ld) {
    return TapePlace{const_cast<float*>(buffer) + block.row * ld + block.panel * kV, ld, kV};
  };
  if (place < kTapeRecurrentGates) return gate(args.gates, place - kTapeGates);
  if (place < kTapePrevious) return gate(args.recurrent_gates, place - kTapeRecurrentGates);
  if (place < kTapeNext) return state(args.previous[place - kTapePrevious], args.previous_ld);
  if (place < kTapeStateGradients) return state(args.next[place - kTapeNext], args.next_ld);
  if (place >= kTapeConstant) {
    return {const_cast<float*>(tape.constants) + (place - kTapeConstant) * kPad, 0, 0};
  }
  if constexpr (requires { args.dstate; }) {
    if (place < kTapeParam) return state(args.dstate[place - kTapeStateGradients], args.dstate_ld);
    if (place >= kTapeParamGradients) {
      const int64_t index = place - kTapeParamGradients;
      return state(args.param_gradients + index * padded(args.units), args.param_gradients_ld);
    }
  }
  const int64_t index = place - kTapeParam;
  return {const_cast<float*>(args.params) + index * padded(args.units) + block.panel * kV, 0, kV};
}

template <class Args>
OSTINATO_INLINE void find_tape_places(const TapeCode& code, const Args& args,
                                      const TapeBlock& block, TapePlace* at) {
  for (int i = 0; i < code.temps; ++i) at[i] = {block.temp(i), kV, block.rows * kV};
  for (int i = 0; i < code.place_count; ++i) {
    at[code.places[i]] = find_tape_place(args, block, code.places[i]);
  }
}

// The sums of gates [first, first + kCount) of a tile, as begin_sums and the product leave them.
template <int kCount, int R, int P>
OSTINATO_INLINE void tape_product(const CellForwardArgs& args, const TapeBlock& block, int first,
                                  int64_t row, int64_t panel) {
  const CellTape& tape = *args.tape;
  const int64_t slots = tape.gates * kV;
  Vf sum[R][P * kCount] = {};
  const auto each = [&](const auto& body) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
        for (int g = 0; g < kCount; ++g) {
          const int64_t slot = (panel + p) * slots + (first + g) * kV;
          body(sum[r][p * kCount + g], args.gates + (row + r) * args.gates_ld + slot, slot,
               (tape.split_gates >> (first + g) & 1) != 0);
        }
      }
    }
  };
  const auto bias = [](const float* values, int64_t slot) {
    return values == nullptr ? zero() : load(values + slot);
  };
  const bool projects = args.inputs != nullptr;
  if (projects) {
    each([&](Vf& value, float*, int64_t slot, bool) { value = bias(args.input_bias, slot); });
    const int64_t panel_floats = args.input_size * slots;
    accumulate<R, P, kCount>(
        sum, args.inputs + row * args.inputs_ld, args.inputs_ld, args.input_size,
        args.input_weights + panel * panel_floats + first * kV, panel_floats, slots);
  }
  each([&](Vf& value, float* gate, int64_t slot, bool split) {
    if (split) {
      if (projects) store(gate, value);
      value = bias(args.recurrent_bias, slot);
    } else if (!projects) {
      value = load(gate);
    }
  });
  const int64_t panel_floats = args.units * slots;
  accumulate<R, P, kCount>(sum, args.multiplied + row * args.multiplied_ld, args.multiplied_ld,
                           args.units, args.weights + panel * panel_floats + first * kV,
                           panel_floats, slots);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
      for (int g = 0; g < kCount; ++g) {
        store(block.temp_at(first + g, row + r, panel + p), sum[r][p * kCount + g]);
      }
    }
  }
}

inline void tape_forward(const CellForwardArgs& args) noexcept {
  const CellTape& tape = *args.tape;
  const TapeCode& code = args.training ? tape.train : tape.infer;
  alignas(64) float scratch[kTapeVectors * kV];
  TapePlace at[kTapePlaces];
  const int group = tape.gates <= kTapeGroup ? tape.gates : (tape.gates + 1) / 2;
  for_tape_blocks(args, group, code.temps, scratch, [&](const TapeBlock& block) {
    for (int first = 0; first < tape.gates; first += group) {
      const int count = tape.gates - first < group ? tape.gates - first : group;
      const auto products = [&]<int kCount>() {
        for_tiles<kCount>(block.rows, block.panel, block.panel + block.panels, args.descending,
                          [&]<int R, int P>(int64_t row, int64_t panel) {
                            tape_product<kCount, R, P>(args, block, first, block.row + row, panel);
                          });
      };
      if (count == 1) products.template operator()<1>();
      if (count == 2) products.template operator()<2>();
      if (count == 3) products.template operator()<3>();
      if (count == 4) products.template operator()<4>();
    }
    find_tape_places(code, args, block, at);
    run_tape(code, at, block);
  });
}

// dh of a tile, as backward_tile has it.
template <int R, int P>
OSTINATO_INLINE void tape_gradient(const CellBackwardArgs& args, const TapeBlock& block,
                                   int64_t row, int64_t panel) {
  const int64_t slots = args.tape->gates * kV;
  const int64_t panels = padded(args.units) / kV;
  Vf sum[R][P] = {};
  if (args.following != nullptr) {
    const float* a = args.following + row * args.following_ld;
    if (args.weights != nullptr) {
      const int64_t depth = panels * slots;
      accumulate<R, P, 1>(sum, a, args.following_ld, depth, args.weights + panel * depth * kV,
                          depth * kV);
    } else {
      for (int64_t q = 0; q < panels; ++q) {
        for (int g = 0; g < args.tape->gates; ++g) {
          accumulate<R, 1, P>(
              sum, a + q * slots + g * kV, args.following_ld, kV,
              args.weight_rows + (g * args.units + q * kV) * args.units + panel * kV, 0,
              args.units);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const int64_t unit = (panel + p) * kV;
      float* dstate = args.dstate[0] + (row + r) * args.dstate_ld + unit;
      Vf d = sum[r][p] + load(dstate);
      if (args.dy != nullptr && unit < args.units) {
        // dy is another layer's buffer: nothing is promised of its padding.
        const float* dy = args.dy + (row + r) * args.dy_ld + unit;
        const int64_t left = args.units - unit;
        d = d + (left >= kV ? load(dy) : load_n(dy, static_cast<int>(left)));
      }
      store(args.gates == nullptr ? dstate : block.temp_at(0, row + r, panel + p), d);
    }
  }
}

// Zeros in the lanes of gradients that stand for no unit: there a division may have left a NaN, and
// the products that read them multiply it by a weight of zero.
OSTINATO_INLINE void clear_padding(const CellBackwardArgs& args, const TapeBlock& block) {
  for (int64_t p = block.panel; p < block.panel + block.panels; ++p) {
    const int64_t left = args.units - p * kV;
    if (left >= kV) continue;
    const int valid = left < 0 ? 0 : static_cast<int>(left);
    for (int64_t r = block.row; r < block.row + block.rows; ++r) {
      for (int g = 0; g < args.tape->gates; ++g) {
        const int64_t slot = r * args.gates_ld + (p * args.tape->gates + g) * kV;
        store(args.gates + slot, load_n(args.gates + slot, valid));
        if (args.recurrent_gates == nullptr) continue;
        store(args.recurrent_gates + slot, load_n(args.recurrent_gates + slot, valid));
      }
    }
  }
}

inline void tape_backward(const CellBackwardArgs& args) noexcept {
  const TapeCode& code = args.tape->backward;
  alignas(64) float scratch[kTapeVectors * kV];
  TapePlace at[kTapePlaces];
  for_tape_blocks(args, 1, code.temps, scratch, [&](const TapeBlock& block) {
    for_tiles<1>(block.rows, block.panel, block.panel + block.panels, args.descending,
                 [&]<int R, int P>(int64_t row, int64_t panel) {
                   tape_gradient<R, P>(args, block, block.row + row, panel);
                 });
    if (args.gates == nullptr) return;
    find_tape_places(code, args, block, at);
    run_tape(code, at, block);
    clear_padding(args, block);
  });
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
