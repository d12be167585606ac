// Views of row-major float matrices; nothing here owns memory.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace ostinato {

struct Matrix {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t ld = 0;  // floats from a row to the next, a multiple of kPad

  float* row(int64_t i) const { return data + i * ld; }
  explicit operator bool() const { return data != nullptr; }
};

// What flows between layers: float rows, or int32 ids for an embedding.
struct Value {
  Matrix floats;
  const int32_t* tokens = nullptr;  // [rows]
  int64_t rows = 0;
};

}  // namespace ostinato
