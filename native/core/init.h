// Initialisers of parameters, by the public names.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"
#include "core/rng.h"

namespace ostinato {

// An initialiser: its name, and the one number that some of them have.
struct Initializer {
  std::string name;
  double scale = 0;
};

// The initialiser that an option names, with its number from the option "<key>.<number>" or that
// number's default: constant value (0), uniform limit, normal and truncatedNormal stddev (0.05),
// orthogonal and identity gain (1).
Initializer initializer_option(const LayerConfig& config, const std::string& key,
                               const std::string& otherwise);

// Fills a [rows, cols] matrix (PyTorch orientation: rows are outputs, cols are inputs):
//   glorotUniform / glorotNormal  (Glorot & Bengio 2010), heUniform / heNormal (He 2015),
//   lecunUniform / lecunNormal (LeCun 1998), orthogonal (Saxe 2013; the nearer of rows/cols is
//   orthonormal), uniform(-scale, scale), unitUniform (0, 1), normal(0, scale), truncatedNormal
//   (within two deviations), constant, zeros, ones, identity, torch: U(-1/sqrt(fan), 1/sqrt(fan))
//   with fan = `torch_fan`.
// Throws ERR_INVALID_ARGUMENT for an unknown name.
void initialize(const Initializer& initializer, float* w, int64_t rows, int64_t cols,
                int64_t torch_fan, const RandomStream& random);

}  // namespace ostinato
