//===- Peaks.cpp - what the processor can multiply -------------------------------===//
#include "Peaks.h"

#include <cstdint>
#include <ctime>

using namespace nibble::test;

#ifdef __x86_64__

// Sixteen independent accumulators: more than latency times instructions a cycle of any processor
// so far.
#define EACH(I)                                                                                    \
  I(0) I(1) I(2) I(3) I(4) I(5) I(6) I(7) I(8) I(9) I(10) I(11) I(12) I(13) I(14) I(15)
#define CLOBBERS                                                                                   \
  "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10",         \
      "zmm11", "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17"
#define CLEAR(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define KERNEL(name, instruction)                                                                  \
  __attribute__((target("avx512f"))) static void name(int64_t steps) {                             \
    asm volatile(EACH(CLEAR) CLEAR(16) CLEAR(17) "1:\n\t" EACH(instruction)                        \
                     EACH(instruction) "dec %0\n\tjnz 1b"                                          \
                 : "+r"(steps)                                                                     \
                 :                                                                                 \
                 : CLOBBERS, "cc");                                                                \
  }
#define BYTES(n) "vpdpbusd %%zmm16, %%zmm17, %%zmm" #n "\n\t"
#define WORDS(n) "vpdpwssd %%zmm16, %%zmm17, %%zmm" #n "\n\t"
#define FLOATS(n) "vfmadd231ps %%zmm16, %%zmm17, %%zmm" #n "\n\t"
KERNEL(bytes, BYTES)
KERNEL(words, WORDS)
KERNEL(floats, FLOATS)

static double threadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

static double rate(void (*kernel)(int64_t), double operationsALane) {
  constexpr int64_t kSteps = 100000, kInstructions = 32, kLanes = 16;
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    double start = threadSeconds();
    kernel(kSteps);
    best = std::min(best, threadSeconds() - start);
  }
  return double(kSteps * kInstructions * kLanes) * operationsALane / best / 1e9;
}

Peaks nibble::test::measurePeaks() {
  Peaks peaks;
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512f"))
    return peaks;
  peaks.floats = rate(floats, 2);
  if (!__builtin_cpu_supports("avx512vnni"))
    return peaks;
  peaks.bytes = rate(bytes, 8);
  peaks.words = rate(words, 4);
  return peaks;
}

#else

Peaks nibble::test::measurePeaks() { return {}; }

#endif
