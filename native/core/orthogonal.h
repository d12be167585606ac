// Random orthogonal matrices.
#pragma once

#include <cstdint>

#include "core/rng.h"

namespace ostinato {

// The shorter side up to which `orthogonal` is uniform over the orthogonal matrices.
inline constexpr int64_t kLargestUniformOrthogonal = 128;

// Fills w [rows, cols] with a random matrix whose rows (or, where it is tall, columns) are
// orthonormal, times `gain`. The same values for any instruction set and number of threads.
//
// Small ones are Q of the QR decomposition of a Gaussian matrix with the signs of R's diagonal
// (Mezzadri, Notices of the AMS 54(5), 2007): uniform over the orthogonal matrices, in time n^3.
// Larger ones are products of sparse random rotations (Genz, "Methods for generating random
// orthogonal matrices", Monte Carlo and Quasi-Monte Carlo Methods 1998): several rounds, in each of
// which the rows are dealt out at random into groups of 16 and each group is rotated by a uniform
// orthogonal matrix of its own. That takes time n^2 log n. It is orthogonal to rounding, and its
// elements are as good as Gaussian, but it is not exactly uniform.
void orthogonal(float* w, int64_t rows, int64_t cols, double gain, const RandomStream& random);

}  // namespace ostinato
