// One time step of any cell, forward and backward: the micro-tile multiplies, the cell's pointwise
// maths takes the sums straight from its registers.
#pragma once

#include "kernels/cells/cell.h"
#include "kernels/tile.inl.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Panels that a tile of several rows, or of one row, takes at once. A cell with few gates needs
// several panels to fill the registers; a single row needs enough sums to hide FMA latency: four
// where a vector is a cache line, since lines of weights come no faster.
constexpr int tile_panels(int gates) {
  const int columns = kVectorRegisters >= 32 ? 4 : 2;
  return gates < columns ? columns / gates : 1;
}
constexpr int single_row_panels(int gates) { return gates >= (kV < 16 ? 8 : 4) ? 1 : 8 / gates; }

// Calls body.template operator()<R, P>(row, panel) for tiles that cover rows x panels, `kGates`
// vectors to a panel. Panels are the outer loop: a group's weights stay in the cache for all rows.
// Groups come in the order of their panels, or in the opposite one.
template <int kGates, class Body>
OSTINATO_INLINE void for_tiles(int64_t rows, int64_t panel_begin, int64_t panel_end,
                               bool descending, const Body& body) {
  constexpr int kPanels = tile_panels(kGates);
  constexpr int kSinglePanels = single_row_panels(kGates);
  constexpr int kRows = kSums / (kPanels * kGates);
  int64_t begin = panel_begin;
  const auto for_groups = [&](int64_t width, const auto& call) {
    const int64_t groups = (panel_end - begin) / width;
    for (int64_t i = 0; i < groups; ++i) call(begin + (descending ? groups - 1 - i : i) * width);
    begin += groups * width;
  };
  if (rows == 1) {
    for_groups(kSinglePanels,
               [&](int64_t panel) { body.template operator()<1, kSinglePanels>(0, panel); });
  }
  for_groups(kPanels, [&](int64_t panel) {
    for_row_tiles<kRows>(
        rows, [&]<int R>(int64_t row) { body.template operator()<R, kPanels>(row, panel); });
  });
  if constexpr (kPanels > 1) {
    for_groups(1, [&](int64_t panel) {
      for_row_tiles<kRows>(rows,
                           [&]<int R>(int64_t row) { body.template operator()<R, 1>(row, panel); });
    });
  }
}

// The sums of a tile before the recurrent product: the projection of the inputs and the biases, but
// of a split gate its recurrent bias only; that gate's projection lies in, or goes to, `gates`.
template <class Cell, int kPhase, int R, int P, int kCount>
OSTINATO_INLINE void begin_sums(Vf (&sum)[R][P * kCount], const CellForwardArgs& args, int64_t row,
                                int64_t panel) {
  constexpr int kFirst = Cell::kInfo.phase_gates[kPhase];
  constexpr int64_t kSlots = Cell::kInfo.gates * kV;  // floats of a panel in a gate buffer
  const bool projects = args.inputs != nullptr;
  const auto each = [&](const auto& body) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
        for (int g = 0; g < kCount; ++g) {
          const int64_t slot = (panel + p) * kSlots + (kFirst + g) * kV;
          body(sum[r][p * kCount + g], args.gates + (row + r) * args.gates_ld + slot, slot,
               (Cell::kInfo.split_gates >> (kFirst + g) & 1) != 0);
        }
      }
    }
  };
  const auto bias = [](const float* values, int64_t slot) {
    return values == nullptr ? zero() : load(values + slot);
  };
  if (projects) {
    each([&](Vf& value, float*, int64_t slot, bool) { value = bias(args.input_bias, slot); });
    const int64_t panel_floats = args.input_size * kCount * kV;
    accumulate<R, P, kCount>(sum, args.inputs + row * args.inputs_ld, args.inputs_ld,
                             args.input_size, args.input_weights + panel * panel_floats,
                             panel_floats);
  }
  each([&](Vf& value, float* gate, int64_t slot, bool split) {
    if (split) {
      if (projects) store(gate, value);
      value = bias(args.recurrent_bias, slot);
    } else if (!projects) {
      value = load(gate);
    }
  });
}

// A panel's vectors. Cells with dropout of the candidate may be given none.
template <class Cell>
OSTINATO_INLINE const float* vectors_of(const float* vectors, int64_t panel) {
  if (kDropsCandidate<Cell> && vectors == nullptr) return nullptr;
  return vectors + panel * Cell::kInfo.vectors * kV;
}

// Fetches what the cell reads and writes of one row and panel, but for the h before, which the
// product reads, and the gates, which the tile reads before its product: those of the same place in
// the next tile. A step that projects its own inputs uses no gates but those it stores for
// training. What goes past the caches is not fetched, and rows of the thread's own are there.
template <class Cell>
OSTINATO_INLINE void fetch_forward(const CellForwardArgs& args, int64_t row, int64_t panel,
                                   int64_t next_row, int64_t next_panel) {
  constexpr int64_t kSlots = Cell::kInfo.gates * kV;
  const bool streams = kStreamsSteps && args.sequence[0] != nullptr;
  const bool uses_gates = args.inputs == nullptr || (args.training && !streams);
  for (int g = 0; uses_gates && g < Cell::kInfo.gates; ++g) {
    prefetch_l2(args.gates + next_row * args.gates_ld + next_panel * kSlots + g * kV);
  }
  if (args.recurrent_gates != nullptr && !streams) {
    for (int g = 0; g < Cell::kInfo.gates; ++g) {
      prefetch_l2(args.recurrent_gates + row * args.gates_ld + panel * kSlots + g * kV);
    }
  }
  if (streams) return;
  for (int s = 0; s < Cell::kInfo.states; ++s) {
    prefetch_l2(args.next[s] + row * args.next_ld + panel * kV);
    if (s > 0) prefetch_l2(args.previous[s] + row * args.previous_ld + panel * kV);
  }
}

// What the cell's maths sees of one row and panel.
template <class Cell>
OSTINATO_INLINE ForwardLanes forward_lanes(const CellForwardArgs& args, int64_t row,
                                           int64_t panel) {
  constexpr int64_t kSlots = Cell::kInfo.gates * kV;
  const int64_t unit = panel * kV;
  ForwardLanes lanes;
  lanes.training = args.training;
  lanes.gates = args.gates + row * args.gates_ld + panel * kSlots;
  lanes.recurrent_gates = args.recurrent_gates == nullptr
                              ? nullptr
                              : args.recurrent_gates + row * args.gates_ld + panel * kSlots;
  lanes.operand = args.operand == nullptr ? nullptr : args.operand + row * args.operand_ld + unit;
  if constexpr (kDropsCandidate<Cell>) {
    lanes.candidate = args.candidate + row * args.previous_ld + unit;
  }
  for (int s = 0; s < Cell::kInfo.states; ++s) {
    lanes.previous[s] = args.previous[s] + row * args.previous_ld + unit;
    lanes.next[s] = args.next[s] + row * args.next_ld + unit;
    lanes.sequence[s] =
        args.sequence[s] == nullptr ? nullptr : args.sequence[s] + row * args.next_ld + unit;
  }
  if constexpr (Cell::kInfo.vectors > 0) {
    lanes.vectors = vectors_of<Cell>(args.vectors, panel);
  }
  if constexpr (Cell::kInfo.clips) lanes.cell_clip = args.cell_clip;
  return lanes;
}

template <class Cell, int kPhase, int R, int P>
OSTINATO_INLINE void forward_tile(const CellForwardArgs& args, int64_t row, int64_t panel) {
  constexpr int kFirst = Cell::kInfo.phase_gates[kPhase];
  constexpr int kCount = Cell::kInfo.phase_gates[kPhase + 1] - kFirst;
  Vf sum[R][P * kCount];
  begin_sums<Cell, kPhase, R, P, kCount>(sum, args, row, panel);
  const float* a = kPhase == 0 ? args.multiplied : args.operand;
  const int64_t a_ld = kPhase == 0 ? args.multiplied_ld : args.operand_ld;
  const int64_t depth = kPhase == 0 ? args.hidden : args.units;
  const int64_t panel_floats = depth * kCount * kV;
  const bool turns = row + R >= args.rows;  // the next tile is one of the next panels
  const int64_t ahead = args.descending ? -P : P;
  const auto fetch = [&](int i) {
    const int64_t r = i / P, p = i % P;
    fetch_forward<Cell>(args, row + r, panel + p, turns ? r : row + R + r,
                        panel + p + (turns ? ahead : 0));
  };
  if constexpr (Cell::kInfo.elementwise) {
    for (int i = 0; i < R * P; ++i) fetch(i);
  } else {
    accumulate_fetching<R, P, kCount, R * P>(sum, a + row * a_ld, a_ld, depth,
                                             args.weights + panel * panel_floats, panel_floats,
                                             kCount * kV, fetch);
  }
  // The maths is a loop, not R * P copies of it, so its sums come from memory.
  Vf sums[R][P * kCount];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < P * kCount; ++v) sums[r][v] = sum[r][v];
  }
#pragma GCC unroll 1
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 1
    for (int p = 0; p < P; ++p) {
      Cell::template forward<kPhase>(forward_lanes<Cell>(args, row + r, panel + p),
                                     &sums[r][p * kCount]);
    }
  }
}

template <class Cell>
void cell_forward(const CellForwardArgs& args) noexcept {
  const auto run = [&]<int kPhase>() {
    constexpr int kCount = Cell::kInfo.phase_gates[kPhase + 1] - Cell::kInfo.phase_gates[kPhase];
    for_tiles<kCount>(args.rows, args.panel_begin, args.panel_end, args.descending,
                      [&]<int R, int P>(int64_t row, int64_t panel) {
                        forward_tile<Cell, kPhase, R, P>(args, row, panel);
                      });
  };
  if constexpr (Cell::kInfo.phases > 1) {
    if (args.phase == 1) return run.template operator()<1>();
  }
  run.template operator()<0>();
}

// The gradient dG of a phase's gates times their recurrent weights, added to `sum`; fetch(i) for
// i < R * P meanwhile.
template <class Cell, int kPhase, int R, int P, class Fetch>
OSTINATO_INLINE void add_gate_product(Vf (&sum)[R][P], const CellBackwardArgs& args,
                                      const float* gates, int64_t ld, int64_t row, int64_t panel,
                                      const Fetch& fetch) {
  constexpr int kFirst = Cell::kInfo.phase_gates[kPhase];
  constexpr int kCount = Cell::kInfo.phase_gates[kPhase + 1] - kFirst;
  constexpr int64_t kSlots = Cell::kInfo.gates * kV;
  const int64_t panels = padded(args.units) / kV;
  const int64_t depth = panels * kCount * kV;  // gate columns that this phase multiplies
  const float* b = args.weights + panel * depth * kV;
  const float* a = gates + row * ld;
  if (args.weights == nullptr) {
    int item = 0;
    for (int64_t q = 0; q < panels; ++q) {
      for (int g = kFirst; g < kFirst + kCount; ++g) {
        if (item < R * P) fetch(item++);
        accumulate<R, 1, P>(sum, a + q * kSlots + g * kV, ld, kV,
                            args.weight_rows + (g * args.units + q * kV) * args.hidden + panel * kV,
                            0, args.hidden);
      }
    }
    return;
  }
  if constexpr (kCount == Cell::kInfo.gates) {
    accumulate_fetching<R, P, 1, R * P>(sum, a, ld, depth, b, depth * kV, kV, fetch);
  } else {
    for (int64_t q = 0; q < panels; ++q) {
      if (q < R * P) fetch(static_cast<int>(q));
      accumulate<R, P, 1>(sum, a + q * kSlots + kFirst * kV, ld, kCount * kV,
                          b + q * (kCount * kV) * kV, depth * kV);
    }
  }
}

// Fetches what the cell's derivatives read and write of one row and panel.
template <class Cell>
OSTINATO_INLINE void fetch_backward(const CellBackwardArgs& args, int64_t row, int64_t panel) {
  constexpr int64_t kSlots = Cell::kInfo.gates * kV;
  if (args.gates == nullptr) return;
  for (int g = 0; g < Cell::kInfo.gates; ++g) {
    prefetch(args.gates + row * args.gates_ld + panel * kSlots + g * kV);
  }
  if (args.recurrent_gates != nullptr) {
    for (int g = 0; g < Cell::kInfo.gates; ++g) {
      prefetch(args.recurrent_gates + row * args.gates_ld + panel * kSlots + g * kV);
    }
  }
  for (int s = 0; s < Cell::kInfo.states; ++s) {
    prefetch(args.previous[s] + row * args.previous_ld + panel * kV);
    prefetch(args.next[s] + row * args.next_ld + panel * kV);
  }
  if (args.dy != nullptr) prefetch(args.dy + row * args.dy_ld + panel * kV);
}

template <class Cell, int kPhase, int R, int P>
OSTINATO_INLINE void backward_tile(const CellBackwardArgs& args, int64_t row, int64_t panel) {
  constexpr int64_t kSlots = Cell::kInfo.gates * kV;
  Vf sum[R][P] = {};
  const auto fetch = [&](int i) { fetch_backward<Cell>(args, row + i / P, panel + i % P); };
  if constexpr (Cell::kInfo.elementwise) {
    for (int i = 0; i < R * P; ++i) fetch(i);
  } else if constexpr (kPhase == 0) {
    if (args.following != nullptr) {
      add_gate_product<Cell, 0, R, P>(sum, args, args.following, args.following_ld, row, panel,
                                      fetch);
    }
  } else {
    add_gate_product<Cell, kPhase, R, P>(sum, args, args.gates, args.gates_ld, row, panel, fetch);
  }
  // The maths is a loop, not R * P copies of it, so its sums come from memory.
  Vf sums[R][P];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) sums[r][p] = sum[r][p];
  }
#pragma GCC unroll 1
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 1
    for (int p = 0; p < P; ++p) {
      const int64_t unit = (panel + p) * kV;
      Vf d = sums[r][p];
      if constexpr (kPhase == 0) {
        d = d + load(args.dstate[0] + (row + r) * args.dstate_ld + unit);
        if (args.dy != nullptr && unit < args.hidden) {
          // dy is another layer's buffer: nothing is promised of its padding.
          const float* dy = args.dy + (row + r) * args.dy_ld + unit;
          const int64_t left = args.hidden - unit;
          d = d + (left >= kV ? load(dy) : load_n(dy, static_cast<int>(left)));
        }
      }
      if (args.gates == nullptr) {
        store(args.dstate[0] + (row + r) * args.dstate_ld + unit, d);
        continue;
      }
      BackwardLanes lanes;
      lanes.gates = args.gates + (row + r) * args.gates_ld + (panel + p) * kSlots;
      lanes.recurrent_gates =
          args.recurrent_gates == nullptr
              ? nullptr
              : args.recurrent_gates + (row + r) * args.gates_ld + (panel + p) * kSlots;
      if constexpr (kDropsCandidate<Cell>) {
        lanes.candidate = args.candidate + (row + r) * args.previous_ld + unit;
      }
      for (int s = 0; s < Cell::kInfo.states; ++s) {
        lanes.previous[s] = args.previous[s] + (row + r) * args.previous_ld + unit;
        lanes.next[s] = args.next[s] + (row + r) * args.next_ld + unit;
        lanes.dstate[s] = args.dstate[s] + (row + r) * args.dstate_ld + unit;
      }
      if constexpr (Cell::kInfo.vectors > 0) {
        lanes.vectors = vectors_of<Cell>(args.vectors, panel + p);
      }
      if constexpr (Cell::kInfo.clips) lanes.cell_clip = args.cell_clip;
      Cell::template backward<kPhase>(lanes, d);
    }
  }
}

template <class Cell>
void cell_backward(const CellBackwardArgs& args) noexcept {
  const auto run = [&]<int kPhase>() {
    for_tiles<1>(args.rows, args.panel_begin, args.panel_end, args.descending,
                 [&]<int R, int P>(int64_t row, int64_t panel) {
                   backward_tile<Cell, kPhase, R, P>(args, row, panel);
                 });
  };
  if constexpr (Cell::kInfo.phases > 1) {
    if (args.phase == 1) return run.template operator()<1>();
  }
  run.template operator()<0>();
}

inline void fence_steps() noexcept { stream_fence(); }

inline void cell_vector_grad(const CellVectorGradArgs& args) noexcept {
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const float* gate = args.gate + panel * args.gate_panel;
    const float* state = args.state + panel * kV;
    Vf sum = load(args.sums + panel * kV);
    for (int64_t row = 0; row < args.rows; ++row) {
      sum = fma(load(gate + row * args.gate_ld), load(state + row * args.state_ld), sum);
    }
    store(args.sums + panel * kV, sum);
  }
}

}  // namespace
}  // namespace ostinato::OSTINATO_ISA
