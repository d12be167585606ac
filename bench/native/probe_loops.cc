#include "probe_loops.h"

#include "simd/vec.h"

namespace ostinato::OSTINATO_ISA {
namespace {

// Independent chains that hide the latency of a fused multiply-add on two ports; with the two
// operands they fit the registers.
constexpr int kChains = kVectorRegisters >= 32 ? 24 : 12;

// So that the compiler can neither drop nor precompute a value.
OSTINATO_INLINE void keep(Vf& value) {
#if defined(__GNUC__)
  asm volatile("" : "+m"(value));
#endif
}

double multiply_add(int64_t rounds) noexcept {
  Vf a = set1(0.999f), b = set1(1e-3f);
  keep(a);
  keep(b);
  Vf chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = set1(static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) chain[i] = fma(chain[i], a, b);
  }
  for (int i = 0; i < kChains; ++i) keep(chain[i]);
  return 2.0 * kChains * Vf::kWidth * static_cast<double>(rounds);
}

float read(const float* data, int64_t n) noexcept {
  constexpr int kStreams = 8;
  Vf sum[kStreams];
  for (int i = 0; i < kStreams; ++i) sum[i] = zero();
  int64_t at = 0;
  for (; at + kStreams * Vf::kWidth <= n; at += kStreams * Vf::kWidth) {
#pragma GCC unroll 8
    for (int i = 0; i < kStreams; ++i) sum[i] = sum[i] + load(data + at + i * Vf::kWidth);
  }
  for (int i = 1; i < kStreams; ++i) sum[0] = sum[0] + sum[i];
  return reduce_add(sum[0]);
}

#define BENCH_STRING_EXPANDED(x) #x
#define BENCH_STRING(x) BENCH_STRING_EXPANDED(x)

}  // namespace

extern const bench::ProbeLoops probe_loops;
const bench::ProbeLoops probe_loops = {BENCH_STRING(OSTINATO_ISA), multiply_add, read};

}  // namespace ostinato::OSTINATO_ISA
