// Kernels one by one, on every instruction set of this machine, on one thread.
//
//   build-cmake/bench/bench/native/kernels_bench --benchmark_filter='avx512/.*lstm'
//
// Counters: FLOPS counts the products alone (a multiply-add is two), bytes_per_second what a pass
// must read at least. Weights of the cells stay in the cache between iterations when they fit.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/dispatch.h"

namespace {

using benchmark::Counter;
using benchmark::State;
using ostinato::AlignedBuffer;
using ostinato::CellInfo;
using ostinato::Kernels;
using ostinato::padded;

// A block of small numbers of both signs.
AlignedBuffer numbers(int64_t floats) {
  AlignedBuffer buffer;
  buffer.reserve(floats);
  for (int64_t i = 0; i < floats; ++i) {
    buffer.data()[i] = static_cast<float>((i * 37) % 101 - 50) * 0.01f;
  }
  return buffer;
}

void count_products(State& state, double products) {
  state.counters["FLOPS"] =
      Counter(2 * products, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

void gemm(State& state, const Kernels* kernels) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const int64_t panels = (n + kernels->gemm_width - 1) / kernels->gemm_width;
  AlignedBuffer a = numbers(m * padded(k)), b = numbers(panels * kernels->gemm_width * k);
  AlignedBuffer c = numbers(m * padded(n));
  ostinato::GemmArgs args{};
  args.m = m;
  args.n = n;
  args.k = k;
  args.a = a.data();
  args.a_ld = padded(k);
  args.b = b.data();
  args.c = c.data();
  args.c_ld = padded(n);
  args.panel_end = panels;
  for (auto _ : state) {
    kernels->gemm(args);
    benchmark::ClobberMemory();
  }
  count_products(state, static_cast<double>(m) * n * k);
}

void gemm_tn(State& state, const Kernels* kernels) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  AlignedBuffer a = numbers(k * padded(m)), b = numbers(k * padded(n)), c = numbers(m * padded(n));
  AlignedBuffer scratch = numbers(kernels->gemm_tn_scratch);
  ostinato::GemmTnProduct product{};
  product.b = b.data();
  product.b_ld = product.c_ld = padded(n);
  product.k_end = k;
  product.c = c.data();
  product.n = product.n_end = n;
  ostinato::GemmTnArgs args{};
  args.m = args.m_end = m;
  args.k = k;
  args.a = a.data();
  args.a_ld = padded(m);
  args.products = &product;
  args.product_count = 1;
  args.scratch = scratch.data();
  for (auto _ : state) {
    kernels->gemm_tn(args);
    benchmark::ClobberMemory();
  }
  count_products(state, static_cast<double>(m) * n * k);
}

void pack(State& state, const Kernels* kernels) {
  const int64_t n = state.range(0), k = state.range(1);
  const int64_t panels = (n + kernels->gemm_width - 1) / kernels->gemm_width;
  AlignedBuffer source = numbers(n * k), packed = numbers(panels * kernels->gemm_width * k);
  ostinato::PackArgs args{};
  args.src = source.data();
  args.src_ld = k;
  args.transposed = true;
  args.k = k;
  args.n = args.n_source = n;
  args.width = kernels->gemm_width;
  args.panel_end = panels;
  args.dst = packed.data();
  for (auto _ : state) {
    kernels->pack(args);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n * k * static_cast<int64_t>(sizeof(float)));
}

// What the two directions of a cell's step share: every buffer of one phase's call.
struct Step {
  Step(const Kernels& kernels, const CellInfo& info, int64_t rows, int64_t units)
      : hp(padded(units)),
        panels(hp / kernels.width),
        gates_ld(info.gates * hp),
        weights(numbers(panels * info.gates * hp * kernels.width)),
        bias(numbers(gates_ld)),
        gates(numbers(rows * gates_ld)),
        recurrent_gates(numbers(rows * gates_ld)),
        following(numbers(rows * gates_ld)),
        operand(numbers(rows * hp)),
        dy(numbers(rows * hp)),
        vectors(numbers(info.vectors * hp)),
        products(static_cast<double>(rows) * info.gates * units * (info.elementwise ? 1 : units)) {
    for (int s = 0; s < info.states; ++s) {
      previous.push_back(numbers(rows * hp));
      next.push_back(numbers(rows * hp));
      dstate.push_back(numbers(rows * hp));
    }
  }
  int64_t hp, panels, gates_ld;
  AlignedBuffer weights, bias, gates, recurrent_gates, following, operand, dy, vectors;
  double products;  // multiply-adds
  std::vector<AlignedBuffer> previous, next, dstate;
};

void cell_forward(State& state, const Kernels* kernels, int cell, bool training) {
  const CellInfo& info = kernels->cells[cell];
  const int64_t rows = state.range(0), units = state.range(1);
  Step step(*kernels, info, rows, units);
  ostinato::CellForwardArgs args{};
  args.rows = rows;
  args.units = args.hidden = units;
  args.panel_end = step.panels;
  args.training = training;
  args.weights = step.weights.data();
  args.recurrent_bias = step.bias.data();
  args.gates = step.gates.data();
  args.gates_ld = step.gates_ld;
  args.recurrent_gates = step.recurrent_gates.data();
  args.operand = step.operand.data();
  args.operand_ld = step.hp;
  for (int s = 0; s < info.states; ++s) {
    args.previous[s] = step.previous[s].data();
    args.next[s] = step.next[s].data();
  }
  args.multiplied = args.previous[0];
  args.multiplied_ld = args.previous_ld = args.next_ld = step.hp;
  args.vectors = step.vectors.data();
  args.cell_clip = 1;
  for (auto _ : state) {
    for (args.phase = 0; args.phase < info.phases; ++args.phase) kernels->cell_forward[cell](args);
    benchmark::ClobberMemory();
  }
  count_products(state, step.products);
  state.SetBytesProcessed(state.iterations() * info.gates * units * units *
                          static_cast<int64_t>(sizeof(float)));
}

void cell_backward(State& state, const Kernels* kernels, int cell) {
  const CellInfo& info = kernels->cells[cell];
  const int64_t rows = state.range(0), units = state.range(1);
  Step step(*kernels, info, rows, units);
  ostinato::CellBackwardArgs args{};
  args.rows = rows;
  args.units = args.hidden = units;
  args.panel_end = step.panels;
  args.weights = step.weights.data();
  args.following = step.following.data();
  args.following_ld = step.gates_ld;
  args.gates = step.gates.data();
  args.gates_ld = step.gates_ld;
  args.recurrent_gates = step.recurrent_gates.data();
  args.dy = step.dy.data();
  args.dy_ld = step.hp;
  for (int s = 0; s < info.states; ++s) {
    args.previous[s] = step.previous[s].data();
    args.next[s] = step.next[s].data();
    args.dstate[s] = step.dstate[s].data();
  }
  args.previous_ld = args.next_ld = args.dstate_ld = step.hp;
  args.vectors = step.vectors.data();
  args.cell_clip = 1;
  // The call overwrites what it reads, so gates and gradients begin anew each time: otherwise they
  // would fade into denormals.
  const AlignedBuffer gates = numbers(rows * step.gates_ld), dstate = numbers(rows * step.hp);
  for (auto _ : state) {
    std::copy_n(gates.data(), rows * step.gates_ld, step.gates.data());
    for (AlignedBuffer& it : step.dstate) std::copy_n(dstate.data(), rows * step.hp, it.data());
    kernels->cell_backward[cell](args);
    benchmark::ClobberMemory();
  }
  count_products(state, step.products);
}

void activation(State& state, const Kernels* kernels, ostinato::Activation kind) {
  const int64_t rows = 64, cols = state.range(0);
  AlignedBuffer x = numbers(rows * padded(cols)), y = numbers(rows * padded(cols));
  ostinato::ActivationArgs args{kind, rows, cols, x.data(), padded(cols), y.data(), padded(cols)};
  for (auto _ : state) {
    kernels->activation(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * rows * cols);
}

void optimize(State& state, const Kernels* kernels) {
  const int64_t n = state.range(0);
  AlignedBuffer p = numbers(n), g = numbers(n), m = numbers(n), v = numbers(n);
  std::transform(v.data(), v.data() + n, v.data(), [](float value) { return value * value; });
  ostinato::OptimizerArgs args{};
  args.kind = ostinato::OptimizerKind::kAdam;
  args.n = n;
  args.p = p.data();
  args.g = g.data();
  args.m = m.data();
  args.v = v.data();
  args.learning_rate = 1e-6f;
  args.gradient_scale = 1;
  args.beta1 = 0.9f;
  args.beta2 = 0.999f;
  args.bias1 = args.bias2 = 1;
  args.epsilon = 1e-8f;
  for (auto _ : state) {
    kernels->optimize(args);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * n);
}

// Rows (batch) x units: streaming, small batches, one full tile and several.
void cell_sizes(benchmark::internal::Benchmark* it) {
  it->ArgNames({"B", "H"});
  for (const int64_t units : {64, 256, 512}) {
    for (const int64_t rows : {1, 4, 16, 64}) it->Args({rows, units});
  }
}

void register_all(const Kernels* kernels) {
  const std::string isa = std::string(kernels->name) + "/";
  benchmark::RegisterBenchmark((isa + "gemm").c_str(), gemm, kernels)
      ->ArgNames({"m", "n", "k"})
      ->Args({1, 1024, 256})
      ->Args({64, 512, 128})
      ->Args({512, 1024, 256});
  benchmark::RegisterBenchmark((isa + "gemm_tn").c_str(), gemm_tn, kernels)
      ->ArgNames({"m", "n", "k"})
      ->Args({128, 512, 1024})
      ->Args({256, 1024, 4096});
  benchmark::RegisterBenchmark((isa + "pack").c_str(), pack, kernels)
      ->ArgNames({"n", "k"})
      ->Args({512, 128})
      ->Args({2048, 512});
  for (int cell = 0; cell < kernels->cell_count; ++cell) {
    const CellInfo& info = kernels->cells[cell];
    const std::string name = isa + info.name;
    for (const bool training : {false, true}) {
      const std::string mode = training ? "/forward_training" : "/forward";
      cell_sizes(benchmark::RegisterBenchmark((name + mode).c_str(), cell_forward, kernels, cell,
                                              training));
    }
    // Phases of a two-phase cell's backward step read each other's results: only whole layers show
    // their time.
    if (info.phases > 1) continue;
    cell_sizes(
        benchmark::RegisterBenchmark((name + "/backward").c_str(), cell_backward, kernels, cell));
  }
  const std::pair<const char*, ostinato::Activation> activations[] = {
      {"tanh", ostinato::Activation::kTanh},
      {"sigmoid", ostinato::Activation::kSigmoid},
      {"softmax", ostinato::Activation::kSoftmax},
      {"gelu", ostinato::Activation::kGelu}};
  for (const auto& [name, kind] : activations) {
    benchmark::RegisterBenchmark((isa + name).c_str(), activation, kernels, kind)->Arg(256);
  }
  benchmark::RegisterBenchmark((isa + "adam").c_str(), optimize, kernels)->Arg(1 << 16);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Kernels* kernels : ostinato::available_kernels()) register_all(kernels);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
