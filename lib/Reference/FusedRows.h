//===- FusedRows.h - Sums of products over a row of outputs -------*- C++ -*-===//
#pragma once

#include <cstdint>

namespace nibble::reference {

/// n accumulators, `count` terms each, in ascending k: acc[j] = a[k·aStride]·b[k·bStride + j] +
/// acc[j]. In float and double each term is one fma. Outputs are the vectorized dimension; the
/// order of the terms of an output is never changed.
void fusedRows(float *acc, int64_t n, const float *a, int64_t aStride, const float *b,
               int64_t bStride, int64_t count);
void fusedRows(double *acc, int64_t n, const double *a, int64_t aStride, const double *b,
               int64_t bStride, int64_t count);
/// The same on codes, exact: |term| < 2^31 and count far below 2^32.
void fusedRows(int64_t *acc, int64_t n, const int32_t *a, int64_t aStride, const int32_t *b,
               int64_t bStride, int64_t count);

} // namespace nibble::reference
