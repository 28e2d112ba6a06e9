//===- LayerNorm.h - From a row's sums to its normalization -------*- C++ -*-===//
//
// numerics.md section 5, "two passes a row". A row has n values x; its sums are flat reductions
// (Reduce.h) counted from the row's start, of terms of f32:
//
//   forward    S = sum(x), SS = sum(d*d), d = x - mean with the rounded mean
//   backward   S1 = sum(g), S2 = sum(g*xhat), g = dy*gamma, xhat = (x - mean)*rstd
//
// mean, rstd, k1 = S1/n and k2 = S2/n are computed in f64 from the unrounded sums and rounded once;
// what is done to an element is f32:
//
//   y  = fma(xhat, gamma, beta), or xhat*gamma where there is no beta
//   dx = (fma(xhat, -k2, g) - k1)*rstd
//
// which is dx = rstd*(g - S1/n - xhat*S2/n) (Ba, Kiros & Hinton 2016, differentiated). Root mean
// square normalization (Zhang & Sennrich 2019) is the same with mean = 0 and k1 = 0. The
// parameters' gradients, sum(dy*xhat) and sum(dy), are per-channel reductions over the rows.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_LAYERNORM_H
#define NIBBLE_NUMERICS_LAYERNORM_H

#include "nibble/Numerics/BatchNorm.h"

namespace nibble::numerics {

namespace generic {

/// 1/sqrt(SS/n + eps); F = f64.
template <typename Ops>
typename Ops::F layerNormRstd(Ops &o, typename Ops::F sumSquares, typename Ops::F n,
                              typename Ops::F eps) {
  return reciprocalStd(o, o.div(sumSquares, n), eps);
}

/// (x - mean)*rstd.
template <typename Ops>
typename Ops::F layerNormalized(Ops &o, typename Ops::F x, typename Ops::F mean,
                                typename Ops::F rstd) {
  return o.mul(o.sub(x, mean), rstd);
}

/// dx from g = dy*gamma and xhat; `minusK2` is -k2.
template <typename Ops>
typename Ops::F layerNormDx(Ops &o, typename Ops::F g, typename Ops::F xhat, typename Ops::F k1,
                            typename Ops::F minusK2, typename Ops::F rstd) {
  return o.mul(o.sub(o.fma(xhat, minusK2, g), k1), rstd);
}

} // namespace generic

/// rstd of a row, rounded to T.
template <typename T> T layerNormRstd(double sumSquares, int64_t n, double eps) {
  DoubleOps o;
  return T(generic::layerNormRstd(o, sumSquares, double(n), eps));
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_LAYERNORM_H
