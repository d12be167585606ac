// Prints this machine's limits as one JSON object: the peak of fp32 multiply-adds and the bandwidth
// of reading from each level of memory and from working sets of many sizes, on one thread and on `threads`.
//
//   machine_probe [threads] [milliseconds of a measurement]
//
// Or how long a cache line takes from one thread to another, { "handoverNs" }:
//
//   machine_probe handover
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/arena.h"
#include "core/dispatch.h"
#include "probe_loops.h"

#define BENCH_PROBE(isa)                      \
  namespace ostinato::isa {                   \
  extern const bench::ProbeLoops probe_loops; \
  }
#if OSTINATO_HAVE_SCALAR
BENCH_PROBE(scalar)
#endif
#if OSTINATO_HAVE_AVX2
BENCH_PROBE(avx2)
#endif
#if OSTINATO_HAVE_AVX512
BENCH_PROBE(avx512)
#endif
#if OSTINATO_HAVE_NEON
BENCH_PROBE(neon)
#endif

namespace {

using bench::ProbeLoops;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr int kRepetitions = 3;  // the best counts: a limit is what the machine can do

// The probe for the instruction set that the library uses here (OSTINATO_ISA is obeyed).
const ProbeLoops& active_loops() {
  const ProbeLoops* all[] = {
#if OSTINATO_HAVE_SCALAR
    &ostinato::scalar::probe_loops,
#endif
#if OSTINATO_HAVE_AVX2
    &ostinato::avx2::probe_loops,
#endif
#if OSTINATO_HAVE_AVX512
    &ostinato::avx512::probe_loops,
#endif
#if OSTINATO_HAVE_NEON
    &ostinato::neon::probe_loops,
#endif
  };
  for (const ProbeLoops* loops : all) {
    if (std::string(ostinato::active_kernels().name) == loops->name) return *loops;
  }
  throw std::runtime_error("No probe for the active instruction set");
}

// Total work per second of `threads` threads that each repeat `work` (which returns its amount) for
// about `ms` milliseconds, all at once.
double rate(int threads, double ms, const std::function<double(int)>& work) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<double> rates(threads);
  std::vector<std::thread> team;
  for (int i = 0; i < threads; ++i) {
    team.emplace_back([&, i] {
      work(i);  // touches its memory
      ++ready;
      while (!go) std::this_thread::yield();
      const auto begin = Clock::now();
      double amount = 0, seconds = 0;
      do {
        amount += work(i);
        seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      } while (seconds * 1e3 < ms);
      rates[i] = amount / seconds;
    });
  }
  while (ready < threads) std::this_thread::yield();
  go = true;
  for (std::thread& thread : team) thread.join();
  double total = 0;
  for (const double it : rates) total += it;
  return total;
}

double best_rate(int threads, double ms, const std::function<double(int)>& work) {
  double best = 0;
  for (int i = 0; i < kRepetitions; ++i) best = std::max(best, rate(threads, ms, work));
  return best;
}

// Bytes of the data cache of a level as sysfs tells them, 0 if it does not.
int64_t cache_bytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::string type, size;
    int found = 0;
    std::ifstream(folder + "type") >> type;
    std::ifstream(folder + "level") >> found;
    std::ifstream(folder + "size") >> size;  // "2048K"
    if (found == level && type != "Instruction" && !size.empty()) return std::stoll(size) * 1024;
  }
  return 0;
}

struct Level {
  const char* name;
  int64_t cache;   // bytes of the cache, 0 for memory
  int64_t buffer;  // bytes that each thread reads
};

std::vector<Level> levels(int threads) {
  constexpr int64_t kKilo = 1024, kMega = 1024 * kKilo;
  const int64_t l1 = std::max(cache_bytes(1), 32 * kKilo),
                l2 = std::max(cache_bytes(2), 256 * kKilo), l3 = std::max(cache_bytes(3), 4 * l2);
  // Half a cache, so that what else is in it does not matter. The last cache may be shared with
  // other machines: a little more than the one below is what can be counted on. Memory: beyond it,
  // as far as that is affordable.
  const int64_t memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  const int64_t in_l3 = std::min(4 * l2, l3 / 2 / threads);
  const int64_t beyond = std::min({2 * l3, 1024 * kMega, memory / 8}) / threads;
  return {{"L1", l1, l1 / 2}, {"L2", l2, l2 / 2}, {"L3", l3, in_l3}, {"DRAM", 0, beyond}};
}

// Bytes a second that all threads read, each over and over from a buffer of `bytes` of its own.
double read_rate(int threads, double ms, int64_t bytes) {
  const ProbeLoops& loops = active_loops();
  std::vector<ostinato::AlignedBuffer> buffers(threads);
  const int64_t floats = bytes / static_cast<int64_t>(sizeof(float));
  for (ostinato::AlignedBuffer& buffer : buffers) {
    buffer.reserve(floats);
    std::fill_n(buffer.data(), floats, 1.0f);
  }
  std::vector<float> sums(threads * 16);
  // Small buffers many times between two looks at the clock.
  const int64_t times = std::max<int64_t>(1, (1 << 20) / floats);
  return best_rate(threads, ms, [&](int thread) {
    for (int64_t i = 0; i < times; ++i) {
      sums[thread * 16] += loops.read(buffers[thread].data(), floats);
    }
    return static_cast<double>(times * bytes);
  });
}

json probe(int threads, double ms) {
  json result = {{"threads", threads}};
  constexpr int64_t kRounds = 20000;
  const double flops =
      best_rate(threads, ms, [&](int) { return active_loops().multiply_add(kRounds); });
  result["fmaGflops"] = flops / 1e9;
  const std::vector<Level> all = levels(threads);
  for (const Level& level : all) {
    result["bandwidthGBs"][level.name] = read_rate(threads, ms, level.buffer) / 1e9;
  }
  // Between the levels the rate falls bit by bit: two sizes for each doubling, from half the first
  // cache to what counts as the last one.
  constexpr double kRatio = 1.4142135623730951, kCurveShare = 0.2;
  for (double bytes = all[0].buffer; bytes < 1.1 * all[2].buffer; bytes *= kRatio) {
    const int64_t whole = static_cast<int64_t>(bytes) / 1024 * 1024;
    result["readCurve"].push_back(
        {{"bytes", whole}, {"GBs", read_rate(threads, kCurveShare * ms, whole) / 1e9}});
  }
  return result;
}

// Nanoseconds from a store by one thread until another sees it. Virtual processors are now on one
// core complex and now on two, which is the larger part of the noise of two threads.
double handover_ns() {
  constexpr int kRounds = 20000;
  alignas(64) std::atomic<int> ball{0};
  std::atomic<bool> ready{false};
  std::thread other([&] {
    ready = true;
    for (int i = 0; i < kRounds; ++i) {
      while (ball.load(std::memory_order_acquire) != 2 * i + 1) {
      }
      ball.store(2 * i + 2, std::memory_order_release);
    }
  });
  while (!ready) std::this_thread::yield();
  const auto begin = Clock::now();
  for (int i = 0; i < kRounds; ++i) {
    ball.store(2 * i + 1, std::memory_order_release);
    while (ball.load(std::memory_order_acquire) != 2 * i + 2) {
    }
  }
  const double ns = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
  other.join();
  return ns / (2 * kRounds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "handover") {
    std::cout << json{{"handoverNs", handover_ns()}}.dump() << std::endl;
    return 0;
  }
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  const double ms = argc > 2 ? std::atof(argv[2]) : 50;
  json out = {{"isa", active_loops().name}, {"peaks", json::array()}};
  for (const Level& level : levels(1)) {
    if (level.cache > 0) out["cacheBytes"][level.name] = level.cache;
  }
  out["peaks"].push_back(probe(1, ms));
  if (threads > 1) out["peaks"].push_back(probe(threads, ms));
  std::cout << out.dump() << std::endl;
}
