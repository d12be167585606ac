// Large pages for large blocks. A fresh block costs a page fault for each page of 4 KiB that is
// written first, which takes several times as long as the writing itself; systems that give large
// pages only on request are asked for them here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

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

template <class T>
struct LargePageAllocator {
  using value_type = T;

  LargePageAllocator() = default;
  template <class U>
  LargePageAllocator(const LargePageAllocator<U>&) {}

  T* allocate(size_t count) {
    T* const data = std::allocator<T>().allocate(count);
    ask_for_large_pages(data, count * sizeof(T));
    return data;
  }
  void deallocate(T* data, size_t count) { std::allocator<T>().deallocate(data, count); }
  template <class U>
  bool operator==(const LargePageAllocator<U>&) const {
    return true;
  }
};

// Values by the million, as data sets hold them.
using FloatStorage = std::vector<float, LargePageAllocator<float>>;

}  // namespace ostinato
