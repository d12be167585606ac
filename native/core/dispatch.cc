#include "core/dispatch.h"

#include <cstdlib>

#include "core/error.h"

// Declares the table of a built instruction set; kernels.cc defines it.
#define OSTINATO_DECLARE_TABLE(isa) \
  namespace isa {                   \
  extern const Kernels table;       \
  }

namespace ostinato {

OSTINATO_DECLARE_TABLE(scalar)
#if defined(OSTINATO_HAVE_AVX2)
OSTINATO_DECLARE_TABLE(avx2)
#endif
#if defined(OSTINATO_HAVE_AVX512)
OSTINATO_DECLARE_TABLE(avx512)
#endif
#if defined(OSTINATO_HAVE_NEON)
OSTINATO_DECLARE_TABLE(neon)
#endif

namespace {

// __builtin_cpu_supports also asks whether the operating system saves the wide registers.
#if defined(OSTINATO_HAVE_AVX2)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#if defined(OSTINATO_HAVE_AVX512)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("fma");
}
#endif

struct Build {
  const Kernels* kernels;
  bool supported;
};

// Every table that was built, best first.
std::vector<Build> find_builds() {
  std::vector<Build> builds;
#if defined(OSTINATO_HAVE_AVX512)
  builds.push_back({&avx512::table, has_avx512()});
#endif
#if defined(OSTINATO_HAVE_AVX2)
  builds.push_back({&avx2::table, has_avx2()});
#endif
#if defined(OSTINATO_HAVE_NEON)
  builds.push_back({&neon::table, true});  // part of every 64-bit ARM processor
#endif
  builds.push_back({&scalar::table, true});
  return builds;
}

}  // namespace

std::span<const Kernels* const> available_kernels() {
  static const std::vector<const Kernels*> available = [] {
    std::vector<const Kernels*> tables;
    for (const Build& build : find_builds()) {
      if (build.supported) tables.push_back(build.kernels);
    }
    return tables;
  }();
  return available;
}

std::vector<std::string> unsupported_kernels() {
  std::vector<std::string> names;
  for (const Build& build : find_builds()) {
    if (!build.supported) names.emplace_back(build.kernels->name);
  }
  return names;
}

const Kernels& find_kernels(const std::string& name) {
  if (name.empty()) return *available_kernels().front();
  std::string usable;
  for (const Kernels* kernels : available_kernels()) {
    if (name == kernels->name) return *kernels;
    usable += (usable.empty() ? "" : ", ") + std::string(kernels->name);
  }
  std::string reason = "is not an instruction set";
  for (const char* known : {"avx512", "avx2", "neon"}) {
    if (name == known) reason = "is not part of this build";
  }
  for (const std::string& lacking : unsupported_kernels()) {
    if (name == lacking) reason = "is not supported by this CPU";
  }
  throw Error("ERR_INVALID_ARGUMENT", "Expected one of " + usable +
                                          " for \"OSTINATO_ISA\" but received \"" + name +
                                          "\" (string), which " + reason);
}

const Kernels& active_kernels() {
  // A throw leaves the static unset, so that the next call reports the same error again.
  static const Kernels& active = []() -> const Kernels& {
    const char* name = std::getenv("OSTINATO_ISA");
    return find_kernels(name == nullptr ? "" : name);
  }();
  return active;
}

}  // namespace ostinato
