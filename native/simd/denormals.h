// A scope in which this thread's floating-point unit treats denormal numbers as zero.
//
// Unlike the rest of native/simd this header needs no instruction-set flags and no OSTINATO_ISA: it
// uses only what every x86-64 and 64-bit ARM processor has, and native/core may include it.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64) || defined(__SSE2__)
#include <xmmintrin.h>
#define OSTINATO_DENORMALS_X86 1
#elif defined(_M_ARM64)
#include <intrin.h>
#endif

namespace ostinato {

// Sets flush-to-zero (results) and, on x86, denormals-are-zero (operands; ARM's flush-to-zero
// covers both) on the calling thread, and restores its previous mode at the end of the scope.
//
// The mode belongs to a thread and is not inherited by threads of an existing pool, so each worker
// opens its own scope inside the parallel region. On other processors the class does nothing.
class ScopedFlushDenormals {
 public:
  ScopedFlushDenormals() noexcept : saved_(read()) { write(saved_ | kFlushBits); }
  ~ScopedFlushDenormals() noexcept {
    // Only the mode bits go back: exception flags raised inside the scope stay visible.
    write((read() & ~kFlushBits) | (saved_ & kFlushBits));
  }
  ScopedFlushDenormals(const ScopedFlushDenormals&) = delete;
  ScopedFlushDenormals& operator=(const ScopedFlushDenormals&) = delete;

 private:
#if defined(OSTINATO_DENORMALS_X86)
  static constexpr std::uint64_t kFlushBits = 0x8040;  // MXCSR: FTZ is bit 15, DAZ is bit 6
  static std::uint64_t read() noexcept { return _mm_getcsr(); }
  static void write(std::uint64_t mode) noexcept { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__) && defined(__GNUC__)
  static constexpr std::uint64_t kFlushBits = std::uint64_t{1} << 24;  // FPCR: FZ is bit 24
  static std::uint64_t read() noexcept {
    std::uint64_t mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void write(std::uint64_t mode) noexcept {
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode));
  }
#elif defined(_M_ARM64)
  static constexpr std::uint64_t kFlushBits = std::uint64_t{1} << 24;  // FPCR: FZ is bit 24
  static constexpr int kFpcr = 0x5A20;  // op0 3, op1 3, CRn 4, CRm 4, op2 0
  static std::uint64_t read() noexcept { return static_cast<std::uint64_t>(_ReadStatusReg(kFpcr)); }
  static void write(std::uint64_t mode) noexcept {
    _WriteStatusReg(kFpcr, static_cast<__int64>(mode));
  }
#else
  static constexpr std::uint64_t kFlushBits = 0;
  static std::uint64_t read() noexcept { return 0; }
  static void write(std::uint64_t) noexcept {}
#endif

  std::uint64_t saved_;
};

}  // namespace ostinato
