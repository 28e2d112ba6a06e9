//===- Log4.h - Logarithmic 4-bit codes, radix 4 and radix 2 ------*- C++ -*-===//
//
// A code is a nibble [sign 1, exponent 3]: bit 3 is the sign, e = bits 0 ... 2. e = 0 is zero;
// otherwise the code stands for the integer +-radix^(e - 1): 1 ... 4096 for radix 4, 1 ... 64 for
// radix 2. "Minus zero" (8) is never produced, so there are 15 distinct codes. A real number is the
// integer times a step, which is a scale of the tensor.
//
// Radix 4 (Sun et al., NeurIPS 2020; numerics.md section 1): x*M lies on the grid 4^k, k = -3 ...
// 3, so the step is 4^-3 / M. M = s (GradScale) for the even phase, 2s for the odd one. Level 4^k
// owns [4^k/1.6, 4^(k+1)/1.6): with |x*M| = m*2^E, E even gives 4^(E/2); E odd gives 4^((E-1)/2) if
// m < 1.25, else 4^((E+1)/2); below 4^-3/1.6 zero; saturating at 64.
//
// Radix 2 (LUQ: Chmiel et al., ICLR 2023; numerics.md section 3): the step is alpha = max|dY|/64,
// t = |x|/alpha. Unbiased up to the 16 bits of the draw.
//
// NaN gets code 0 (and is reported apart), +-Inf saturates.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_LOG4_H
#define NIBBLE_NUMERICS_LOG4_H

#include "nibble/Numerics/Ops.h"

namespace nibble::numerics {

/// Number of distinct codes of either radix.
inline constexpr int kLogCodes = 15;
/// The largest exponent field.
inline constexpr int kLogMaxExponent = 7;

namespace generic {

/// The nibble of exponent field e (0 ... 7) with the sign of x; e = 0 gives 0 whatever the sign.
template <typename Ops> typename Ops::I logCode(Ops &o, typename Ops::I e, typename Ops::F x) {
  auto sign = o.iand(o.lshr(o.bits(x), 28), o.constI(8));
  auto zero = o.constI(0);
  return o.select(o.ilt(zero, e), o.ior(e, sign), zero);
}

/// e clamped to 0 ... 7, and to 0 where x is NaN.
template <typename Ops> typename Ops::I logExponent(Ops &o, typename Ops::I e, typename Ops::F x) {
  auto zero = o.constI(0), top = o.constI(kLogMaxExponent);
  auto low = o.select(o.ilt(e, zero), zero, e);
  auto clamped = o.select(o.ilt(top, low), top, low);
  return o.select(isNan(o, x), zero, clamped);
}

/// The radix-4 nibble of x, to nearest, with the power of two `mult` (the product is exact).
/// With |y| = m*2^E in bits, adding 0.75 to the mantissa carries into the exponent iff m >= 1.25,
/// and halving the exponent rounds down: for E even the carry is lost, for E odd it is the rule.
/// So e = (E + carry)/2 + 4 is the two upper-most fields of one sum.
template <typename Ops>
typename Ops::I encodeRadix4Nearest(Ops &o, typename Ops::F x, typename Ops::F mult) {
  auto y = o.mul(x, mult);
  auto magnitude = o.iand(o.bits(y), o.constI(0x7FFFFFFF));
  // (119 << 23) - 0x600000: 2^-8, the exponent of 4^(0 - 4), less 0.75 of a mantissa.
  auto e = o.ashr(o.isub(magnitude, o.constI(0x3B200000)), 24);
  return logCode(o, logExponent(o, e, y), y);
}

/// The radix-2 nibble of x for the step alpha > 0 under the draw u (0 ... 65535): t = |x|/alpha;
/// t < 1: [u < RNE(65536*t)]; else E = floor(log2 t), 2^E*(1 + [u < RNE((t/2^E - 1)*65536)]), at
/// most 64. The division is IEEE division; all else is exact but the final RNE: a sum with 128,
/// whose last bit is worth 2^-16, and u < RNE(...) is the carry of RNE(...) + (65535 - u).
template <typename Ops>
typename Ops::I encodeRadix2Stochastic(Ops &o, typename Ops::F x, typename Ops::F alpha,
                                       typename Ops::I u) {
  auto one = o.constF(1.0f);
  auto t = o.div(abs(o, x), alpha);
  auto tBits = o.bits(t);
  auto small = o.lt(t, one);
  auto mantissa = o.fromBits(o.ior(o.iand(tBits, o.constI(0x007FFFFF)), o.constI(0x3F800000)));
  auto fraction = o.select(small, t, o.sub(mantissa, one)); // 0 ... 1, for NaN and infinity too
  auto rounded = o.bits(o.add(fraction, o.constF(128.0f))); // 0x43000000 + RNE(65536*fraction)
  auto up = o.lshr(o.iadd(rounded, o.isub(o.constI(0x0000FFFF - 0x43000000), u)), 16);
  // e of the level below t: E + 1 = (biased exponent) - 126, or 0 below alpha.
  auto below = o.select(small, o.constI(0), o.isub(o.lshr(tBits, 23), o.constI(126)));
  auto e = o.iadd(below, up), top = o.constI(kLogMaxExponent);
  e = o.select(o.ilt(top, e), top, e);
  return logCode(o, o.select(isNan(o, t), o.constI(0), e), x);
}

/// The signed integer that a nibble stands for; radixLog2 = 2 for radix 4, 1 for radix 2. Made
/// without a variable shift: radix^(e-1) is a float with a computed exponent.
template <typename Ops> typename Ops::F decodeLog(Ops &o, typename Ops::I nibble, int radixLog2) {
  auto e = o.iand(nibble, o.constI(7));
  auto exponent = o.isub(e, o.constI(1));
  if (radixLog2 == 2)
    exponent = o.shl(exponent, 1);
  auto magnitude = o.shl(o.iadd(exponent, o.constI(127)), 23);
  auto sign = o.shl(o.iand(nibble, o.constI(8)), 28);
  auto zero = o.constI(0);
  return o.fromBits(o.select(o.ilt(zero, e), o.ior(magnitude, sign), zero));
}

} // namespace generic

/// The radix-4 nibble of x on the grid 4^k/mult; mult is a power of two (s, or 2s: odd phase).
inline unsigned encodeRadix4Nearest(float x, float mult) {
  FloatOps o;
  return static_cast<unsigned>(generic::encodeRadix4Nearest(o, x, mult));
}

/// The radix-2 nibble of x for the step alpha under the 16 random bits u.
inline unsigned encodeRadix2Stochastic(float x, float alpha, uint16_t u) {
  FloatOps o;
  return static_cast<unsigned>(generic::encodeRadix2Stochastic(o, x, alpha, u));
}

/// The signed integer a nibble stands for; radix 4 or 2. Nibble 8 decodes to 0.
constexpr int decodeLog(unsigned nibble, int radix) {
  int e = static_cast<int>(nibble & 7);
  if (e == 0)
    return 0;
  int magnitude = 1 << ((e - 1) * (radix == 4 ? 2 : 1));
  return (nibble & 8) ? -magnitude : magnitude;
}

/// The step of radix-4 codes made with `mult`: 4^-3 / mult, a power of two, exact.
inline float radix4Step(float mult) { return 0.015625f / mult; }

/// GradScale's multiplier of a phase: s for even, 2s for odd: Q_odd(x) = Q_even(2x)/2.
inline float phaseMultiplier(float gradScale, bool odd) {
  return odd ? 2.0f * gradScale : gradScale;
}

/// The step of radix-2 codes: alpha = max|dY|/64 (Scale.h, scaleFromMax with divisor 64).
inline constexpr float kRadix2Levels = 64.0f;

/// What a nibble stands for: integer * step, rounded.
inline float dequantizeLog(unsigned nibble, int radix, float step) {
  return static_cast<float>(decodeLog(nibble, radix)) * step;
}

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_LOG4_H
