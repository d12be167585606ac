#include "core/arena.h"

#include <cstring>
#include <new>
#include <utility>

#include "core/large_pages.h"

namespace ostinato {

namespace {
constexpr std::align_val_t kAlignment{64};
}

AlignedBuffer::~AlignedBuffer() { ::operator delete(data_, kAlignment); }

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool AlignedBuffer::reserve(int64_t floats) {
  if (floats <= size_) return false;
  // The old block goes first, so that growing never needs both at once.
  ::operator delete(data_, kAlignment);
  data_ = nullptr;
  size_ = 0;
  const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
  data_ = static_cast<float*>(::operator new(bytes, kAlignment));
  ask_for_large_pages(data_, bytes);
  size_ = floats;
  clear();
  return true;
}

void AlignedBuffer::clear() {
  if (size_ > 0) std::memset(data_, 0, static_cast<size_t>(size_) * sizeof(float));
}

}  // namespace ostinato
