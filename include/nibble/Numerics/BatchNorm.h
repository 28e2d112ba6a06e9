//===- BatchNorm.h - From sums to coefficients --------------------*- C++ -*-===//
//
// numerics.md section 5. z has n values a channel; c is the running mean before the step. The sums
// are per-channel reductions (Reduce.h) of terms of f32:
//
//   forward    S = sum(d), SS = sum(d*d), d = z - c
//   backward   S1 = sum(dy), S2 = sum(dy*(z - mean))
//
// What is derived from them is computed in f64 from the unrounded sums, in the order written, and
// each result is rounded once; coefficients are derived from rounded mean, rstd, a and k2, so that
// a*(z - mean) and k2*(z - mean) vanish at z = mean. The generic forms take a policy whose F is f64
// and return f64: the caller rounds.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_BATCHNORM_H
#define NIBBLE_NUMERICS_BATCHNORM_H

#include "nibble/Numerics/Ops.h"

namespace nibble::numerics {

namespace generic {

/// Population statistics of one channel; F = f64.
template <typename Ops> struct BatchNormStats {
  typename Ops::F mean, variance, rstd;
};

/// 1/sqrt(variance + eps); F = f64.
template <typename Ops>
typename Ops::F reciprocalStd(Ops &o, typename Ops::F variance, typename Ops::F eps) {
  return o.div(o.constF(1.0), o.sqrt(o.add(variance, eps)));
}

/// m = S/n; mean = c + m; variance = max(0, SS/n - m*m); rstd = 1/sqrt(variance + eps).
template <typename Ops>
BatchNormStats<Ops> batchNormStats(Ops &o, typename Ops::F sum, typename Ops::F sumSquares,
                                   typename Ops::F n, typename Ops::F c, typename Ops::F eps) {
  auto m = o.div(sum, n);
  auto raw = o.sub(o.div(sumSquares, n), o.mul(m, m));
  auto zero = o.constF(0.0);
  auto variance = o.select(o.lt(raw, zero), zero, raw);
  return {o.add(c, m), variance, reciprocalStd(o, variance, eps)};
}

/// b = beta - mean*a from the rounded mean and a; F = f64. (a = gamma*rstd is one f32 product.)
template <typename Ops>
typename Ops::F batchNormOffset(Ops &o, typename Ops::F beta, typename Ops::F mean,
                                typename Ops::F a) {
  return o.sub(beta, o.mul(mean, a));
}

/// k2 = -k1*rstd*rstd*S2/n; F = f64, k1 = a and rstd rounded before.
template <typename Ops>
typename Ops::F batchNormK2(Ops &o, typename Ops::F k1, typename Ops::F rstd, typename Ops::F s2,
                            typename Ops::F n) {
  auto product = o.mul(o.mul(o.mul(k1, rstd), rstd), s2);
  return o.sub(o.constF(0.0), o.div(product, n));
}

/// k3 = -k1*S1/n - k2*mean; F = f64, k1, k2 and mean rounded before.
template <typename Ops>
typename Ops::F batchNormK3(Ops &o, typename Ops::F k1, typename Ops::F k2, typename Ops::F mean,
                            typename Ops::F s1, typename Ops::F n) {
  auto first = o.sub(o.constF(0.0), o.div(o.mul(k1, s1), n));
  return o.sub(first, o.mul(k2, mean));
}

/// running*momentum + batch*(1 - momentum), each step rounded (ONNX); take = 1 - momentum.
template <typename Ops>
typename Ops::F runningStat(Ops &o, typename Ops::F running, typename Ops::F batch,
                            typename Ops::F momentum, typename Ops::F take) {
  return o.add(o.mul(running, momentum), o.mul(batch, take));
}

} // namespace generic

/// Statistics of one channel, rounded to T (float, or double for finite differences).
template <typename T> struct BatchNormStats {
  T mean, variance, rstd;
};

template <typename T>
BatchNormStats<T> batchNormStats(double sum, double sumSquares, int64_t n, T c, double eps) {
  DoubleOps o;
  auto s = generic::batchNormStats(o, sum, sumSquares, double(n), double(c), eps);
  return {T(s.mean), T(s.variance), T(s.rstd)};
}

/// Evaluation: rstd of a running variance.
template <typename T> T reciprocalStd(T variance, double eps) {
  DoubleOps o;
  return T(generic::reciprocalStd(o, double(variance), eps));
}

/// y = fma(z, a, b).
template <typename T> struct BatchNormForward {
  T a, b;
};

template <typename T> BatchNormForward<T> batchNormForward(T gamma, T beta, T mean, T rstd) {
  DoubleOps o;
  T a = gamma * rstd;
  return {a, T(generic::batchNormOffset(o, double(beta), double(mean), double(a)))};
}

/// dz = fma(k1, dy, fma(k2, z, k3)); the parameters' gradients are dgamma and dbeta.
template <typename T> struct BatchNormBackward {
  T k1, k2, k3, dgamma, dbeta;
};

template <typename T>
BatchNormBackward<T> batchNormBackward(double s1, double s2, int64_t n, T gamma, T mean, T rstd) {
  DoubleOps o;
  T k1 = gamma * rstd;
  T k2 = T(generic::batchNormK2(o, double(k1), double(rstd), s2, double(n)));
  T k3 = T(generic::batchNormK3(o, double(k1), double(k2), double(mean), s1, double(n)));
  return {k1, k2, k3, T(s2 * double(rstd)), T(s1)};
}

/// The running statistic after a step; 1 - momentum is formed in f64 and rounded once.
template <typename T> T runningStat(T running, T batch, double momentum) {
  ScalarOps<T> o;
  return generic::runningStat(o, running, batch, T(momentum), T(1.0 - momentum));
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_BATCHNORM_H
