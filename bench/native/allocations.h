// Counts what a program takes from the heap through operator new. A program that is linked with
// allocations.cc has the counting operators in the place of the usual ones.
#pragma once

#include <cstdint>

namespace bench {

// Calls of operator new since the program started, of all its threads.
int64_t allocation_count();

}  // namespace bench
