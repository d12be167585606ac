// Which instruction sets were built, which this CPU supports, and which one is used.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace ostinato {

// Tables that are built and supported by this CPU, best first; the scalar one is always last.
std::span<const Kernels* const> available_kernels();

// Names of tables that were built but that this CPU lacks (tests print them as skipped).
std::vector<std::string> unsupported_kernels();

// The table of this process: the best available one, or the one that OSTINATO_ISA names. Throws
// ERR_INVALID_ARGUMENT when that name is unknown, not built or not supported here.
const Kernels& active_kernels();

// The same choice for a name, without the environment and without caching; empty means the best.
const Kernels& find_kernels(const std::string& name);

}  // namespace ostinato
