// Philox4x32-10, the library's counter-based random numbers: plain C++ that the core and the
// kernels share.
//
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011, doi:10.1145/2063384.2063405.
#pragma once

#include <cstdint>

// Kernel objects compiled for one instruction set must not offer an out-of-line copy to the others.
#if defined(_MSC_VER) && !defined(__clang__)
#define OSTINATO_PHILOX_INLINE __forceinline
#else
#define OSTINATO_PHILOX_INLINE inline __attribute__((always_inline))
#endif

namespace ostinato {

// A bijection of a counter of 128 bits under a key of 64: every draw is a function of these alone,
// whoever makes it and in whatever order.
struct Philox4x32 {
 private:
  struct Counter {
    uint32_t c0, c1, c2, c3;
  };

  // A recursion instead of a loop leaves straight code: a loop over counters around it vectorises.
  // It stands before its use because clang 14 evaluates constants only then.
  template <int kLeft>
  static constexpr OSTINATO_PHILOX_INLINE Counter rounds(Counter c, uint32_t k0, uint32_t k1) {
    if constexpr (kLeft == 0) {
      return c;
    } else {
      const uint64_t p0 = uint64_t{0xD2511F53} * c.c0;
      const uint64_t p1 = uint64_t{0xCD9E8D57} * c.c2;
      const Counter next{static_cast<uint32_t>(p1 >> 32) ^ c.c1 ^ k0, static_cast<uint32_t>(p1),
                         static_cast<uint32_t>(p0 >> 32) ^ c.c3 ^ k1, static_cast<uint32_t>(p0)};
      return rounds<kLeft - 1>(next, k0 + 0x9E3779B9, k1 + 0xBB67AE85);
    }
  }

 public:
  static constexpr int kRounds = 10;

  // out[0..3]: 128 random bits of block (counter_hi, counter_lo). Words count from the low end:
  // in the paper's terms key = {low, high half of `key`} and counter = {low, high half of
  // `counter_lo`, low, high half of `counter_hi`}.
  static constexpr OSTINATO_PHILOX_INLINE void generate(uint64_t key, uint64_t counter_hi,
                                                        uint64_t counter_lo, uint32_t out[4]) {
    Counter counter{static_cast<uint32_t>(counter_lo), static_cast<uint32_t>(counter_lo >> 32),
                    static_cast<uint32_t>(counter_hi), static_cast<uint32_t>(counter_hi >> 32)};
    counter =
        rounds<kRounds>(counter, static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
    out[0] = counter.c0;
    out[1] = counter.c1;
    out[2] = counter.c2;
    out[3] = counter.c3;
  }
};

}  // namespace ostinato

#undef OSTINATO_PHILOX_INLINE
