//===- Math.h - exp, log, tanh, sigmoid, erf, defined once --------*- C++ -*-===//
//
// numerics.md section 5: templates over a policy (Ops.h) of add, mul, fma, div, select and bit
// operations. No libm, no estimates, no branches. Infinities, NaN and denormal results are handled;
// NaN in gives NaN out (its payload is not part of the definition).
//
// Largest error over all floats, in units in the last place of the float result, measured by
// test/Unit/Numerics/MathTests.cpp against double: see docs/numerics.md.
//
// The polynomials are Remez fits of scripts/numerics/fit.py, their coefficients rounded to f32.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_MATH_H
#define NIBBLE_NUMERICS_MATH_H

#include "nibble/Numerics/Ops.h"
#include <initializer_list>

namespace nibble::numerics {

namespace generic {

/// c0 + x*(c1 + x*(c2 + ...)), by fma, coefficients from the highest degree down.
template <typename Ops>
typename Ops::F polynomial(Ops &o, typename Ops::F x, std::initializer_list<float> highestFirst) {
  auto it = highestFirst.begin();
  auto sum = o.constF(*it);
  while (++it != highestFirst.end())
    sum = o.fma(sum, x, o.constF(*it));
  return sum;
}

/// e^x = 2^n * e^r, n = RNE(x*log2 e), r = x - n*ln 2 in two steps, |r| <= ln2/2;
/// e^r = 1 + (r + r^2 q(r)), the low part of r added where it is not lost.
template <typename Ops> typename Ops::F exp(Ops &o, typename Ops::F x) {
  auto c = clip(o, x, o.constF(-104.0f), o.constF(89.0f));
  auto magic = o.constF(kRoundMagic);
  auto shifted = o.fma(c, o.constF(0x1.715476p+0f), magic);
  auto n = o.isub(o.bits(shifted), o.constI(kRoundMagicBits));
  auto nf = o.sub(shifted, magic);
  auto high = o.fma(nf, o.constF(-0x1.62e430p-1f), c); // exact
  auto low = o.mul(nf, o.constF(0x1.05c610p-29f));
  auto r = o.add(high, low);
  auto q = polynomial(
      o, r, {0x1.6a2434p-10f, 0x1.1239e2p-7f, 0x1.5558f2p-5f, 0x1.555492p-3f, 0x1.fffffcp-2f});
  auto y = o.add(o.constF(1.0f), o.add(high, o.fma(o.mul(r, r), q, low)));
  return o.scale(y, n, nf);
}

/// log x = e*ln 2 + log m, x = m*2^e, m in [sqrt(1/2), sqrt 2); with f = m - 1,
/// log(1 + f) = f - f^2/2 + f^3 p(f). log 0 = -inf, log of a negative number is NaN.
template <typename Ops> typename Ops::F log(Ops &o, typename Ops::F x) {
  auto denormal = o.lt(x, o.constF(0x1p-126f));
  auto normal = o.select(denormal, o.mul(x, o.constF(0x1p+23f)), x);
  auto rootHalf = o.constI(0x3F3504F3); // sqrt(1/2)
  auto b = o.isub(o.bits(normal), rootHalf);
  auto e = o.isub(o.ashr(b, 23), o.select(denormal, o.constI(23), o.constI(0)));
  auto m = o.fromBits(o.iadd(o.iand(b, o.constI(0x007FFFFF)), rootHalf));
  auto f = o.sub(m, o.constF(1.0f));
  auto ef = o.toFloat(e);
  auto p =
      polynomial(o, f,
                 {0x1.1457d2p-4f, -0x1.de3c10p-4f, 0x1.e6f052p-4f, -0x1.fc2206p-4f, 0x1.23376ap-3f,
                  -0x1.555c4ep-3f, 0x1.99a4b6p-3f, -0x1.000006p-2f, 0x1.555548p-2f});
  auto z = o.mul(f, f);
  auto y = o.fma(ef, o.constF(-0x1.bd0106p-13f), o.mul(o.mul(f, z), p)); // ln2 - 0x1.63p-1
  y = o.fma(o.constF(-0.5f), z, y);
  auto finite = o.fma(ef, o.constF(0x1.63p-1f), o.add(f, y));
  auto zero = o.constF(0.0f);
  auto infinity = o.fromBits(o.constI(0x7F800000));
  auto result = o.select(o.lt(o.constF(0x1.fffffep+127f), x), infinity, finite);
  auto isZero = o.bnot(o.bor(o.lt(zero, x), o.lt(x, zero)));
  result = o.select(isZero, neg(o, infinity), result);
  auto undefined = o.bor(o.lt(x, zero), isNan(o, x));
  return o.select(undefined, o.fromBits(o.constI(0x7FC00000)), result);
}

/// tanh x, a = |x|: a < 0.625: a + a^3 p(a^2); else 1 - 2/(e^(2a) + 1); with the sign of x.
template <typename Ops> typename Ops::F tanh(Ops &o, typename Ops::F x) {
  auto a = abs(o, x), one = o.constF(1.0f), two = o.constF(2.0f);
  auto z = o.mul(a, a);
  auto p = polynomial(
      o, z, {-0x1.75e1e0p-8f, 0x1.5226a0p-6f, -0x1.b83c5ap-5f, 0x1.110726p-3f, -0x1.555532p-2f});
  auto small = o.fma(o.mul(a, z), p, a);
  auto large = o.sub(one, o.div(two, o.add(exp(o, o.mul(a, two)), one)));
  return withSign(o, o.select(o.lt(a, o.constF(0.625f)), small, large), x);
}

/// 1/(1 + e^-x): with t = e^-|x|, 1/(1 + t) or, for negative x, t/(1 + t).
template <typename Ops> typename Ops::F sigmoid(Ops &o, typename Ops::F x) {
  auto one = o.constF(1.0f);
  auto t = exp(o, neg(o, abs(o, x)));
  auto numerator = o.select(o.lt(x, o.constF(0.0f)), t, one);
  return o.div(numerator, o.add(one, t));
}

/// erf x, a = |x|: a < 0.921875: a + a p(a^2); else 1 - e^(-c q(c)), c = min(a, 4); with the sign
/// of x.
template <typename Ops> typename Ops::F erf(Ops &o, typename Ops::F x) {
  auto a = abs(o, x), four = o.constF(4.0f);
  auto z = o.mul(a, a);
  auto p = polynomial(o, z,
                      {0x1.5f399cp-14f, -0x1.aaf78ep-11f, 0x1.54dcb8p-8f, -0x1.b810bap-6f,
                       0x1.ce2e24p-4f, -0x1.812744p-2f, 0x1.06eba8p-3f});
  auto small = o.fma(a, p, a);
  auto c = o.select(o.lt(four, a), four, a);
  auto q = polynomial(o, c,
                      {0x1.4930ecp-18f, -0x1.7afeacp-15f, -0x1.b12aa0p-15f, 0x1.80ce6ep-9f,
                       -0x1.73a4eep-6f, 0x1.af3126p-4f, 0x1.457014p-1f, 0x1.20e8d4p+0f});
  auto large = o.sub(o.constF(1.0f), exp(o, neg(o, o.mul(c, q))));
  return withSign(o, o.select(o.lt(a, o.constF(0.921875f)), small, large), x);
}

} // namespace generic

inline float exp(float x) {
  FloatOps o;
  return generic::exp(o, x);
}
inline float log(float x) {
  FloatOps o;
  return generic::log(o, x);
}
inline float tanh(float x) {
  FloatOps o;
  return generic::tanh(o, x);
}
inline float sigmoid(float x) {
  FloatOps o;
  return generic::sigmoid(o, x);
}
inline float erf(float x) {
  FloatOps o;
  return generic::erf(o, x);
}
inline float sqrt(float x) { return std::sqrt(x); }

/// In double, for finite differences only: libm, which defines no value of a trained network.
inline double exp(double x) { return std::exp(x); }
inline double log(double x) { return std::log(x); }
inline double tanh(double x) { return std::tanh(x); }
inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double erf(double x) { return std::erf(x); }
inline double sqrt(double x) { return std::sqrt(x); }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_MATH_H
