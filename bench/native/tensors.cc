#include "tensors.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

namespace bench {

using nlohmann::json;

Tensors read_tensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  uint64_t header_bytes = 0;
  if (!file.read(reinterpret_cast<char*>(&header_bytes), sizeof(header_bytes))) {
    throw std::runtime_error("Cannot read " + path);
  }
  std::string header(header_bytes, '\0');
  if (!file.read(header.data(), static_cast<std::streamsize>(header_bytes))) {
    throw std::runtime_error("The header of " + path + " ends early");
  }
  const uint64_t data_begin = sizeof(header_bytes) + header_bytes;
  Tensors tensors;
  const json entries = json::parse(header);  // named: items() refers to it
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__") continue;
    if (entry.at("dtype") != "F32") {
      throw std::runtime_error("Expected F32 for tensor \"" + name + "\" of " + path);
    }
    Tensor& tensor = tensors[name];
    tensor.shape = entry.at("shape").get<std::vector<int64_t>>();
    const uint64_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    tensor.data.resize((end - begin) / sizeof(float));
    file.seekg(static_cast<std::streamoff>(data_begin + begin));
    if (!file.read(reinterpret_cast<char*>(tensor.data.data()),
                   static_cast<std::streamsize>(end - begin))) {
      throw std::runtime_error("Tensor \"" + name + "\" of " + path + " ends early");
    }
  }
  return tensors;
}

void write_tensors(const std::string& path, const Tensors& tensors) {
  json header = json::object();
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t bytes = tensor.data.size() * sizeof(float);
    header[name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  const std::string text = header.dump();
  const uint64_t header_bytes = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes));
  file << text;
  for (const auto& [name, tensor] : tensors) {
    file.write(reinterpret_cast<const char*>(tensor.data.data()),
               static_cast<std::streamsize>(tensor.data.size() * sizeof(float)));
  }
  file.flush();
  if (!file) throw std::runtime_error("Cannot write " + path);
}

const Tensor& at(const Tensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw std::runtime_error("No tensor \"" + name + "\" in the file");
  return found->second;
}

}  // namespace bench
