// Compiled once per instruction set, like kernels.cc: see test/simd_probe.h.
#include "test/simd_probe.h"

#include "simd/math.h"

#define OSTINATO_STRING_EXPANDED(x) #x
#define OSTINATO_STRING(x) OSTINATO_STRING_EXPANDED(x)

namespace ostinato::OSTINATO_ISA {
namespace {

constexpr int W = Vf::kWidth;

int block(int n, int i) { return n - i < W ? n - i : W; }

template <class Op>
void map(const float* x, float* y, int n, Op op) {
  for (int i = 0; i < n; i += W) store_n(y + i, op(load_n(x + i, block(n, i))), block(n, i));
}

template <class Op>
void map(const float* a, const float* b, float* y, int n, Op op) {
  for (int i = 0; i < n; i += W) {
    const int k = block(n, i);
    store_n(y + i, op(load_n(a + i, k), load_n(b + i, k)), k);
  }
}

template <class Op>
void map(const float* a, const float* b, const float* c, float* y, int n, Op op) {
  for (int i = 0; i < n; i += W) {
    const int k = block(n, i);
    store_n(y + i, op(load_n(a + i, k), load_n(b + i, k), load_n(c + i, k)), k);
  }
}

Vf number(Mask m) { return select(m, set1(1.0f), zero()); }
Mask nonzero(Vf a) { return !eq(a, zero()); }

// Functions of the vocabulary as array functions. The argument is an expression of a, b, c.
#define OSTINATO_UNARY(expression)                         \
  [](const float* x, float* y, int n) noexcept {           \
    map(x, y, n, [](Vf a) -> Vf { return (expression); }); \
  }
#define OSTINATO_BINARY(expression)                                   \
  [](const float* x0, const float* x1, float* y, int n) noexcept {    \
    map(x0, x1, y, n, [](Vf a, Vf b) -> Vf { return (expression); }); \
  }
#define OSTINATO_TERNARY(expression)                                                \
  [](const float* x0, const float* x1, const float* x2, float* y, int n) noexcept { \
    map(x0, x1, x2, y, n, [](Vf a, Vf b, Vf c) -> Vf { return (expression); });     \
  }

// Here and not below: GCC makes lambdas in the initialiser of an exported variable weak symbols.
constexpr SimdProbe kProbe = {
    .isa = OSTINATO_STRING(OSTINATO_ISA),
    .width = W,
    .vector_registers = kVectorRegisters,
    .fuses = OSTINATO_ISA_ID != OSTINATO_ISA_ID_scalar,

    .exp = OSTINATO_UNARY(exp(a)),
    .tanh = OSTINATO_UNARY(tanh(a)),
    .sigmoid = OSTINATO_UNARY(sigmoid(a)),
    .silu = OSTINATO_UNARY(silu(a)),
    .silu_derivative = OSTINATO_UNARY(silu_derivative(a)),
    .log = OSTINATO_UNARY(log(a)),
    .erf = OSTINATO_UNARY(erf(a)),
    .normal_cdf = OSTINATO_UNARY(normal_cdf(a)),
    .gelu = OSTINATO_UNARY(gelu(a)),
    .gelu_derivative = OSTINATO_UNARY(gelu_derivative(a)),

    .negate = OSTINATO_UNARY(-a),
    .abs = OSTINATO_UNARY(abs(a)),
    .sqrt = OSTINATO_UNARY(sqrt(a)),
    .round_nearest = OSTINATO_UNARY(round_nearest(a)),
    .is_nan = OSTINATO_UNARY(number(is_nan(a))),
    .pow2 = OSTINATO_UNARY(pow2(a)),
    .mantissa = OSTINATO_UNARY(decompose(a).mantissa),
    .exponent = OSTINATO_UNARY(decompose(a).exponent),
    .add = OSTINATO_BINARY(a + b),
    .sub = OSTINATO_BINARY(a - b),
    .mul = OSTINATO_BINARY(a * b),
    .div = OSTINATO_BINARY(a / b),
    .min = OSTINATO_BINARY(min(a, b)),
    .max = OSTINATO_BINARY(max(a, b)),
    .copysign = OSTINATO_BINARY(copysign(a, b)),
    .lt = OSTINATO_BINARY(number(lt(a, b))),
    .le = OSTINATO_BINARY(number(le(a, b))),
    .gt = OSTINATO_BINARY(number(gt(a, b))),
    .ge = OSTINATO_BINARY(number(ge(a, b))),
    .eq = OSTINATO_BINARY(number(eq(a, b))),
    .scale_pow2 = OSTINATO_BINARY(scale_pow2(a, b)),
    .scale_pow2_biased = OSTINATO_BINARY(scale_pow2_biased(a, b + set1(kPow2Bias))),
    .fma = OSTINATO_TERNARY(fma(a, b, c)),
    .fnma = OSTINATO_TERNARY(fnma(a, b, c)),
    .plain_mul_add = OSTINATO_TERNARY(a * b + c),
    .select = OSTINATO_TERNARY(select(lt(a, b), c, b)),

    .mask_and = OSTINATO_BINARY(number(nonzero(a) & nonzero(b))),
    .mask_or = OSTINATO_BINARY(number(nonzero(a) | nonzero(b))),
    .mask_not = OSTINATO_UNARY(number(!nonzero(a))),
    .any = [](const float* p) noexcept { return any(nonzero(load(p))); },
    .all = [](const float* p) noexcept { return all(nonzero(load(p))); },

    .reduce_add = [](const float* p) noexcept { return reduce_add(load(p)); },
    .reduce_max = [](const float* p) noexcept { return reduce_max(load(p)); },

    .load_n = [](const float* p, int n, float* lanes) noexcept { store(lanes, load_n(p, n)); },
    .store_n = [](float* p, const float* lanes, int n) noexcept { store_n(p, load(lanes), n); },
    .stream =
        [](float* p, const float* lanes) noexcept {
          stream(p, load(lanes));
          stream_fence();
        },
    .prefetch = [](const void* p) noexcept { prefetch(p); },
    .prefetch_l2 = [](const void* p) noexcept { prefetch_l2(p); },
    .transpose_block =
        [](const float* src, std::int64_t src_ld, float* dst, std::int64_t dst_ld) noexcept {
          transpose_block(src, src_ld, dst, dst_ld);
        },
};

}  // namespace

extern const SimdProbe simd_probe;
const SimdProbe simd_probe = kProbe;

}  // namespace ostinato::OSTINATO_ISA
