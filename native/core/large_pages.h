// Large pages for large blocks. A fresh block costs a page fault for each page of 4 KiB that is
// written first, which takes several times as long as the writing itself; systems that give large
// pages only on request are asked for them here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "core/spare_block.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ostinato {

// Asks for large pages in [data, data + bytes), which nobody has written yet. A wish only.
inline void ask_for_large_pages(void* data, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr size_t kLargePage = size_t{2} << 20, kLeast = 2 * kLargePage;
  if (bytes < kLeast) return;
  const auto begin = (reinterpret_cast<uintptr_t>(data) + kLargePage - 1) / kLargePage * kLargePage;
  const auto end = (reinterpret_cast<uintptr_t>(data) + bytes) / kLargePage * kLargePage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

// Blocks of malloc in large pages, the last large one used again.
template <class T>
struct LargePageAllocator {
  using value_type = T;

  LargePageAllocator() = default;
  template <class U>
  LargePageAllocator(const LargePageAllocator<U>&) {}

  T* allocate(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = count * sizeof(T);
    if (void* const spare = spare_block().take(bytes)) return static_cast<T*>(spare);
    void* const data = std::malloc(bytes);
    if (data == nullptr && bytes > 0) throw std::bad_alloc();
    ask_for_large_pages(data, bytes);
    return static_cast<T*>(data);
  }
  void deallocate(T* data, size_t count) { spare_block().keep(data, count * sizeof(T)); }
  template <class U>
  bool operator==(const LargePageAllocator<U>&) const {
    return true;
  }
};

// Values by the million, as data sets hold them.
using FloatStorage = std::vector<float, LargePageAllocator<float>>;

}  // namespace ostinato
