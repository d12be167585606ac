// The memory of the last large data set, kept for the next one: fresh pages cost about as much as
// copying into them. The system is told that it may take the pages whenever it wants them.
#pragma once

#include <cstddef>
#include <mutex>

namespace ostinato {

class SpareBlock {
 public:
  // Smaller blocks are not worth it.
  static constexpr size_t kLeast = size_t{4} << 20;

  SpareBlock() = default;
  ~SpareBlock();
  SpareBlock(const SpareBlock&) = delete;
  SpareBlock& operator=(const SpareBlock&) = delete;

  // A block of malloc of at least `bytes`, by at most a quarter larger, with whatever it holds; or
  // null. The caller owns it.
  void* take(size_t bytes) noexcept;
  // Takes a block of malloc over, and frees it or the one that was kept, the smaller of the two.
  void keep(void* data, size_t bytes) noexcept;

 private:
  std::mutex mutex_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Of the whole process.
SpareBlock& spare_block();

}  // namespace ostinato
