//===- FusedRows.cpp - Sums of products over a row of outputs -----------------===//
//
// The build's baseline has no FMA instruction, so std::fma is a call into libm, once a term. On
// x86-64 the same loop is compiled a second time for AVX2 and FMA and chosen when the processor has
// them. Both are IEEE: the bits are the same.
//
//===----------------------------------------------------------------------===//
#include "FusedRows.h"

#include <cmath>

namespace nibble::reference {

namespace {

inline __attribute__((always_inline)) float term(float a, float b, float acc) {
  return __builtin_fmaf(a, b, acc);
}
inline __attribute__((always_inline)) double term(double a, double b, double acc) {
  return __builtin_fma(a, b, acc);
}
inline __attribute__((always_inline)) int64_t term(int32_t a, int32_t b, int64_t acc) {
  return acc + int64_t(a) * b;
}

/// A block of outputs stays in registers over all terms.
template <int64_t Block, typename Acc, typename E>
inline __attribute__((always_inline)) void block(Acc *acc, const E *a, int64_t aStride, const E *b,
                                                 int64_t bStride, int64_t count) {
  Acc sums[Block];
  for (int64_t j = 0; j < Block; ++j)
    sums[j] = acc[j];
  for (int64_t k = 0; k < count; ++k)
    for (int64_t j = 0; j < Block; ++j)
      sums[j] = term(a[k * aStride], b[k * bStride + j], sums[j]);
  for (int64_t j = 0; j < Block; ++j)
    acc[j] = sums[j];
}

template <typename Acc, typename E>
inline __attribute__((always_inline)) void rows(Acc *acc, int64_t n, const E *a, int64_t aStride,
                                                const E *b, int64_t bStride, int64_t count) {
  int64_t j = 0;
  for (; j + 32 <= n; j += 32)
    block<32>(acc + j, a, aStride, b + j, bStride, count);
  for (; j + 8 <= n; j += 8)
    block<8>(acc + j, a, aStride, b + j, bStride, count);
  for (; j < n; ++j)
    block<1>(acc + j, a, aStride, b + j, bStride, count);
}

template <typename Acc, typename E>
void rowsBaseline(Acc *acc, int64_t n, const E *a, int64_t aStride, const E *b, int64_t bStride,
                  int64_t count) {
  rows(acc, n, a, aStride, b, bStride, count);
}

#if defined(__x86_64__)
template <typename Acc, typename E>
__attribute__((target("avx2,fma"))) void rowsAvx2(Acc *acc, int64_t n, const E *a, int64_t aStride,
                                                  const E *b, int64_t bStride, int64_t count) {
  rows(acc, n, a, aStride, b, bStride, count);
}
#endif

template <typename Acc, typename E>
void dispatch(Acc *acc, int64_t n, const E *a, int64_t aStride, const E *b, int64_t bStride,
              int64_t count) {
#if defined(__x86_64__)
  static const bool hasFma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (hasFma)
    return rowsAvx2(acc, n, a, aStride, b, bStride, count);
#endif
  rowsBaseline(acc, n, a, aStride, b, bStride, count);
}

} // namespace

void fusedRows(float *acc, int64_t n, const float *a, int64_t aStride, const float *b,
               int64_t bStride, int64_t count) {
  dispatch(acc, n, a, aStride, b, bStride, count);
}
void fusedRows(double *acc, int64_t n, const double *a, int64_t aStride, const double *b,
               int64_t bStride, int64_t count) {
  dispatch(acc, n, a, aStride, b, bStride, count);
}
void fusedRows(int64_t *acc, int64_t n, const int32_t *a, int64_t aStride, const int32_t *b,
               int64_t bStride, int64_t count) {
  dispatch(acc, n, a, aStride, b, bStride, count);
}

} // namespace nibble::reference
