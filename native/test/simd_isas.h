// The probes of simd_probe.cc as parameters of tests: every instruction set that was built takes
// part and one that this CPU lacks is reported as skipped.
//
// The build defines OSTINATO_HAVE_AVX2, _AVX512 and _NEON for the sets it compiled simd_probe.cc
// for.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "test/simd_probe.h"

// Declares the table that simd_probe.cc defines.
#define OSTINATO_DECLARE_PROBE(isa)  \
  namespace isa {                    \
  extern const SimdProbe simd_probe; \
  }

namespace ostinato {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kSmallest = std::numeric_limits<float>::denorm_min();

OSTINATO_DECLARE_PROBE(scalar)
#if defined(OSTINATO_HAVE_AVX2)
OSTINATO_DECLARE_PROBE(avx2)
#endif
#if defined(OSTINATO_HAVE_AVX512)
OSTINATO_DECLARE_PROBE(avx512)
#endif
#if defined(OSTINATO_HAVE_NEON)
OSTINATO_DECLARE_PROBE(neon)
#endif

struct BuiltIsa {
  const SimdProbe* probe;
  bool supported;  // by the CPU that runs the test
};

inline void PrintTo(const BuiltIsa& isa, std::ostream* out) { *out << isa.probe->isa; }

inline std::vector<BuiltIsa> built_isas() {
  std::vector<BuiltIsa> isas = {{&scalar::simd_probe, true}};
#if defined(OSTINATO_HAVE_AVX2)
  isas.push_back(
      {&avx2::simd_probe, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
#endif
#if defined(OSTINATO_HAVE_AVX512)
  isas.push_back({&avx512::simd_probe,
                  __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("fma")});
#endif
#if defined(OSTINATO_HAVE_NEON)
  isas.push_back({&neon::simd_probe, true});
#endif
  return isas;
}

// Base of the test suites that run once per instruction set.
class SimdTest : public testing::TestWithParam<BuiltIsa> {
 protected:
  void SetUp() override {
    if (!GetParam().supported) GTEST_SKIP() << GetParam().probe->isa << " is not supported here";
  }
  const SimdProbe& simd() const { return *GetParam().probe; }
};

inline std::string isa_name(const testing::TestParamInfo<BuiltIsa>& info) {
  return info.param.probe->isa;
}

}  // namespace ostinato
