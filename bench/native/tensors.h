// Named float tensors in safetensors files: how the harness and its drivers share numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bench {

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> data;
};

using Tensors = std::map<std::string, Tensor>;

// Reads a file whose tensors are all F32. Throws std::runtime_error with the reason.
Tensors read_tensors(const std::string& path);
void write_tensors(const std::string& path, const Tensors& tensors);

// The tensor of that name; throws std::runtime_error when there is none.
const Tensor& at(const Tensors& tensors, const std::string& name);

}  // namespace bench
