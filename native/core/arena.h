// Memory blocks aligned to cache lines.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ostinato {

// A grow-only block of floats, 64-byte aligned, zeroed when it grows. Contents are not kept by a
// reserve that grows. Throws std::bad_alloc.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  ~AlignedBuffer();
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;

  // At least `floats`; returns true when the block grew (and was zeroed).
  bool reserve(int64_t floats);
  float* data() const { return data_; }
  int64_t size() const { return size_; }
  void clear();  // zeroes the whole block

 private:
  float* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace ostinato
