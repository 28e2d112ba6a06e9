//===- Int4.h - INT4 and INT8 codes, nearest and stochastic -------*- C++ -*-===//
//
// numerics.md section 1. A real number x becomes q = clamp(RNE(x*r) + Z, qmin, qmax), where s is
// the scale, r = 1/s rounded, Z the zero point; q stands for (q - Z)*s rounded. The level sets:
//
//   oneSided     codes -8 ... 7, Z = -8   x in [0, alpha], s = alpha/15
//   twoSided15   codes -7 ... 7, Z = 0    x in [-alpha, alpha], s = alpha/7
//   minMax(Z)    codes -8 ... 7, Z of the round (Scale.h, minMaxScale)
//   int8         codes -127 ... 127, Z = 0, s = max/127
//
// As computed, here and in generated code: y = x*r rounded; y NaN -> 0; y clamped as a float to
// [qmin - Z, qmax - Z]; rounded to an integer; + Z. The ends are integers and RNE is monotone, so
// clamping first gives the law's code, and no conversion ever sees a number beyond the range.
// NaN gets zero's code; that it was met is reported apart (generic::isNan). +-Inf saturates.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_INT4_H
#define NIBBLE_NUMERICS_INT4_H

#include "nibble/Numerics/Ops.h"

namespace nibble::numerics {

/// The codes qmin ... qmax and the code of zero. At most 256 codes; qmin <= zeroPoint <= qmax.
struct LevelSet {
  int qmin;
  int qmax;
  int zeroPoint;

  /// Number of distinct codes.
  constexpr int size() const { return qmax - qmin + 1; }
  /// Steps from zero to the far end: the divisor of scaleFromMax (min-max grids: always 15).
  constexpr int steps() const { return qmax - zeroPoint; }
  constexpr bool operator==(const LevelSet &) const = default;
};

inline constexpr LevelSet kOneSided{-8, 7, -8};
inline constexpr LevelSet kTwoSided15{-7, 7, 0};
inline constexpr LevelSet kInt8{-127, 127, 0};
constexpr LevelSet minMax(int zeroPoint) { return {-8, 7, zeroPoint}; }

namespace generic {

/// x*r with NaN replaced by zero, clamped to [lo, hi] = [qmin - Z, qmax - Z].
template <typename Ops>
typename Ops::F scaledAndClamped(Ops &o, typename Ops::F x, typename Ops::F r, typename Ops::F lo,
                                 typename Ops::F hi) {
  auto y = o.mul(x, r);
  auto number = o.select(isNan(o, y), o.constF(0.0f), y);
  return clip(o, number, lo, hi);
}

/// q - Z for rounding to nearest; lo = qmin - Z, hi = qmax - Z as floats. Add Z for the code.
template <typename Ops>
typename Ops::I quantizeNearest(Ops &o, typename Ops::F x, typename Ops::F r, typename Ops::F lo,
                                typename Ops::F hi) {
  return roundToInt(o, scaledAndClamped(o, x, r, lo, hi));
}

/// q - Z for stochastic rounding: t = x*r clamped, l = floor(t), l + [u < RNE((t - l)*65536)], u a
/// draw in 0 ... 65535 (Random.h). At the clamped ends t - l = 0, so this is the law's
/// clamp(l + [...]).
template <typename Ops>
typename Ops::I quantizeStochastic(Ops &o, typename Ops::F x, typename Ops::F r, typename Ops::F lo,
                                   typename Ops::F hi, typename Ops::I u) {
  auto t = scaledAndClamped(o, x, r, lo, hi);
  auto l = floorSmall(o, t);
  auto threshold = roundToInt(o, o.mul(o.sub(t, l), o.constF(65536.0f)));
  auto up = o.select(o.ilt(u, threshold), o.constI(1), o.constI(0));
  return o.iadd(roundToInt(o, l), up);
}

/// (q - Z)*s rounded, from the integer q - Z.
template <typename Ops>
typename Ops::F dequantize(Ops &o, typename Ops::I qMinusZ, typename Ops::F s) {
  return o.mul(o.toFloat(qMinusZ), s);
}

} // namespace generic

/// The code of x, to nearest, ties to even.
inline int quantizeNearest(float x, float r, int z, int qmin, int qmax) {
  FloatOps o;
  return generic::quantizeNearest(o, x, r, float(qmin - z), float(qmax - z)) + z;
}
inline int quantizeNearest(float x, float r, LevelSet set) {
  return quantizeNearest(x, r, set.zeroPoint, set.qmin, set.qmax);
}

/// The code of x under the 16 random bits u.
inline int quantizeStochastic(float x, float r, int z, int qmin, int qmax, uint16_t u) {
  FloatOps o;
  return generic::quantizeStochastic(o, x, r, float(qmin - z), float(qmax - z), u) + z;
}
inline int quantizeStochastic(float x, float r, LevelSet set, uint16_t u) {
  return quantizeStochastic(x, r, set.zeroPoint, set.qmin, set.qmax, u);
}

/// What the code q stands for.
inline float dequantize(int q, int z, float s) { return static_cast<float>(q - z) * s; }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_INT4_H
