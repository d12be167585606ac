// Loops whose speed is a limit of the machine, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace bench {

struct ProbeLoops {
  const char* name;
  // Fused multiply-adds in registers only; returns how many floating-point operations it made.
  double (*multiply_add)(int64_t rounds) noexcept;
  // Reads n floats once; returns something that depends on all of them.
  float (*read)(const float* data, int64_t n) noexcept;
};

}  // namespace bench
