#include "core/spare_block.h"

#include <cstdint>
#include <cstdlib>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ostinato {

namespace {

// Lets the system take whole pages of the block, which then read as zeros. False where it has no
// such call; a block that stays in memory for nobody must not be kept.
bool offer_to_system(void* data, size_t bytes) {
#if defined(__linux__) && defined(MADV_FREE)
  constexpr uintptr_t kPage = 64 << 10;  // as large as any processor's
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / kPage * kPage;
  return begin < end && madvise(reinterpret_cast<void*>(begin), end - begin, MADV_FREE) == 0;
#else
  (void)data;
  (void)bytes;
  return false;
#endif
}

}  // namespace

SpareBlock::~SpareBlock() { std::free(data_); }

void* SpareBlock::take(size_t bytes) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes < kLeast || bytes > bytes_ || bytes_ > bytes + bytes / 4) return nullptr;
  bytes_ = 0;
  return std::exchange(data_, nullptr);
}

void SpareBlock::keep(void* data, size_t bytes) noexcept {
  if (bytes >= kLeast) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (bytes > bytes_ && offer_to_system(data, bytes)) {
      std::swap(data_, data);
      bytes_ = bytes;
    }
  }
  std::free(data);
}

SpareBlock& spare_block() {
  // Never destroyed: data sets of other threads may still be freed while the process ends.
  static SpareBlock* const instance = new SpareBlock;
  return *instance;
}

}  // namespace ostinato
