// A window for tests into native/simd, which has no symbols of its own: simd_probe.cc is compiled
// once per instruction set, with the flags of that set's kernels, and exports one table of plain
// functions. Arrays are of any length n unless W, the vector width, is given.
#pragma once

#include <cstdint>

namespace ostinato {

struct SimdProbe {
  using Unary = void (*)(const float* x, float* y, int n) noexcept;
  using Binary = void (*)(const float* a, const float* b, float* y, int n) noexcept;
  using Ternary = void (*)(const float* a, const float* b, const float* c, float* y,
                           int n) noexcept;

  const char* isa;
  int width;             // W
  int vector_registers;  // kVectorRegisters
  bool fuses;            // whether fma and fnma round once

  // simd/math.h
  Unary exp, tanh, sigmoid, silu, silu_derivative, log, erf, normal_cdf, gelu, gelu_derivative;

  // simd/vec.h, lane by lane; comparisons give 1 or 0
  Unary negate, abs, sqrt, round_nearest, is_nan, pow2, mantissa, exponent;
  Binary add, sub, mul, div, min, max, copysign, lt, le, gt, ge, eq, scale_pow2;
  Binary scale_pow2_biased;  // a * 2^b; adds kPow2Bias to b itself
  Ternary fma, fnma;
  Ternary plain_mul_add;  // a * b + c with the operators
  Ternary select;         // a < b ? c : b

  // Masks from lanes, nonzero meaning true: operators on two masks, and the two questions.
  Binary mask_and, mask_or;
  Unary mask_not;
  bool (*any)(const float* w_lanes) noexcept;
  bool (*all)(const float* w_lanes) noexcept;

  // Reductions of W floats
  float (*reduce_add)(const float* w_lanes) noexcept;
  float (*reduce_max)(const float* w_lanes) noexcept;

  // Memory
  void (*load_n)(const float* p, int n, float* w_lanes) noexcept;
  void (*store_n)(float* p, const float* w_lanes, int n) noexcept;
  void (*stream)(float* p, const float* w_lanes) noexcept;  // with the fence
  void (*prefetch)(const void* p) noexcept;
  void (*prefetch_l2)(const void* p) noexcept;
  void (*transpose_block)(const float* src, std::int64_t src_ld, float* dst,
                          std::int64_t dst_ld) noexcept;
};

}  // namespace ostinato
