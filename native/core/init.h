// Initialisers of parameters, by the public names.
#pragma once

#include <cstdint>
#include <string>

#include "core/rng.h"

namespace ostinato {

// Fills a [rows, cols] matrix (PyTorch orientation: rows are outputs, cols are inputs):
//   glorotUniform / glorotNormal  (Glorot & Bengio 2010), heUniform / heNormal (He 2015),
//   orthogonal (Saxe 2013; the nearer of rows/cols is orthonormal), uniform(-scale, scale),
//   normal(0, scale), zeros, ones, identity,
//   torch: U(-1/sqrt(fan), 1/sqrt(fan)) with fan = `torch_fan`.
// Throws ERR_INVALID_ARGUMENT for an unknown name.
void initialize(const std::string& name, float* w, int64_t rows, int64_t cols, double scale,
                int64_t torch_fan, const RandomStream& random);

}  // namespace ostinato
