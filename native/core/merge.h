// How the outputs of the two directions of a bidirectional layer become one.
#pragma once

#include <cstdint>
#include <string>

#include "core/layer.h"

namespace ostinato {

enum class MergeMode : uint8_t { kConcat, kSum, kMul, kAve };

// Throws ERR_INVALID_ARGUMENT for a name other than concat, sum, mul, ave.
MergeMode parse_merge_mode(const std::string& name);

// y = a merged with b, over all rows; concat: y has the columns of a, then those of b.
void merge(const Pass& pass, MergeMode mode, const Matrix& a, const Matrix& b, const Matrix& y);

// Gradients of a and b from dy. Concat makes da and db views of dy; the others write them.
void merge_backward(const Pass& pass, MergeMode mode, const Matrix& a, const Matrix& b,
                    const Matrix& dy, Matrix& da, Matrix& db);

}  // namespace ostinato
