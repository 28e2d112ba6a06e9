//===- Ops.h - The arithmetic that every definition is written in -*- C++ -*-===//
//
// Every number that interpreter and generated code must agree on is written once, as a template
// over an `Ops` policy, and instantiated twice: here for scalars (`FloatOps`), in Codegen for an IR
// builder whose values are vectors. A definition calls policy functions only and never branches on
// a value; branches on template arguments and on plain C++ constants are fine.
//
// A policy `Ops` has three types: F (binary32), I (32-bit integer without sign), B (truth value),
// and these member functions. Each is one IEEE or one two's-complement operation, each float result
// is rounded to nearest even, denormals are kept, and nothing is contracted or reassociated:
//
//   F constF(float)        I constI(int32_t)
//   F add(F,F) sub(F,F) mul(F,F) div(F,F) fma(F,F,F) sqrt(F)
//   I iadd(I,I) isub(I,I) imul(I,I)   low 32 bits of the result
//   I umulHigh(I,I)                   high 32 bits of the unsigned product
//   I iand(I,I) ior(I,I) ixor(I,I)
//   I shl(I,int) lshr(I,int) ashr(I,int)   by a C++ constant in 0 ... 31
//   I bits(F)              F fromBits(I)   reinterpretation
//   F toFloat(I)           signed to float, nearest even
//   F scale(F y, I n, F n) y * 2^n, rounded once, for 1/2 < |y| < 2 and |n| <= 190 (or NaN); n is
//                          given as both, since one kind of processor wants the one, others the other
//   B lt(F,F)              ordered less-than: false for NaN
//   B unordered(F,F)       true if either is NaN
//   B ilt(I,I)             signed less-than
//   B band(B,B) bor(B,B) bnot(B)
//   F select(B,F,F)        I select(B,I,I)
//
// There is no float-to-int conversion: `roundToInt` below makes one from an add and bit operations.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_OPS_H
#define NIBBLE_NUMERICS_OPS_H

#include <bit>
#include <cmath>
#include <cstdint>

namespace nibble::numerics {

namespace generic {

/// 2^n for -126 <= n <= 127.
template <typename Ops> typename Ops::F powerOfTwo(Ops &o, typename Ops::I n) {
  return o.fromBits(o.shl(o.iadd(n, o.constI(127)), 23));
}

/// y * 2^n in two halves: the first product is exact, the second rounds, to denormals and to the
/// largest finite numbers too.
template <typename Ops>
typename Ops::F scaleInHalves(Ops &o, typename Ops::F y, typename Ops::I n) {
  auto half = o.ashr(n, 1);
  return o.mul(o.mul(y, powerOfTwo(o, half)), powerOfTwo(o, o.isub(n, half)));
}

} // namespace generic

/// The scalar policy. T = float defines; T = double serves finite differences (arithmetic only:
/// functions that look at bits exist for float alone).
template <typename T> struct ScalarOps {
  using F = T;
  using I = int32_t;
  using B = bool;

  static F constF(T x) { return x; }
  static I constI(int32_t x) { return x; }

  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F div(F a, F b) { return a / b; }
  static F fma(F a, F b, F c) { return std::fma(a, b, c); }
  static F sqrt(F a) { return std::sqrt(a); }

  static I iadd(I a, I b) { return wrap(unsign(a) + unsign(b)); }
  static I isub(I a, I b) { return wrap(unsign(a) - unsign(b)); }
  static I imul(I a, I b) { return wrap(unsign(a) * unsign(b)); }
  static I umulHigh(I a, I b) { return wrap(uint32_t((uint64_t(unsign(a)) * unsign(b)) >> 32)); }
  static I iand(I a, I b) { return a & b; }
  static I ior(I a, I b) { return a | b; }
  static I ixor(I a, I b) { return a ^ b; }
  static I shl(I a, int n) { return wrap(unsign(a) << n); }
  static I lshr(I a, int n) { return wrap(unsign(a) >> n); }
  static I ashr(I a, int n) { return a >> n; }

  static I bits(float a) { return std::bit_cast<int32_t>(a); }
  static float fromBits(I a) { return std::bit_cast<float>(a); }
  static F toFloat(I a) { return static_cast<F>(a); }
  static F scale(F y, I n, F) {
    ScalarOps o;
    return generic::scaleInHalves(o, y, n);
  }

  static B lt(F a, F b) { return a < b; }
  static B unordered(F a, F b) { return a != a || b != b; }
  static B ilt(I a, I b) { return a < b; }
  static B band(B a, B b) { return a && b; }
  static B bor(B a, B b) { return a || b; }
  static B bnot(B a) { return !a; }
  static F select(B c, F a, F b) { return c ? a : b; }
  static I select(B c, I a, I b) { return c ? a : b; }

private:
  static uint32_t unsign(I a) { return static_cast<uint32_t>(a); }
  static I wrap(uint32_t a) { return static_cast<I>(a); }
};

/// Both are stateless: make one wherever it is needed.
using FloatOps = ScalarOps<float>;
using DoubleOps = ScalarOps<double>;

/// Definitions over a policy. Each has a plain scalar form beside it in `nibble::numerics`.
namespace generic {

/// 1.5 * 2^23: adding it to |x| <= 2^22 leaves RNE(x) in the low bits of the sum.
inline constexpr float kRoundMagic = 12582912.0f;
inline constexpr int32_t kRoundMagicBits = 0x4B400000;

/// RNE(x) as an integer, for |x| <= 2^22 (anything else, NaN too, gives an unspecified integer).
template <typename Ops> typename Ops::I roundToInt(Ops &o, typename Ops::F x) {
  return o.isub(o.bits(o.add(x, o.constF(kRoundMagic))), o.constI(kRoundMagicBits));
}

/// RNE(x) as a float, for |x| <= 2^22 (a zero result is +0).
template <typename Ops> typename Ops::F roundEven(Ops &o, typename Ops::F x) {
  auto magic = o.constF(kRoundMagic);
  return o.sub(o.add(x, magic), magic);
}

/// floor(x) as a float, for |x| <= 2^22.
template <typename Ops> typename Ops::F floorSmall(Ops &o, typename Ops::F x) {
  auto n = roundEven(o, x);
  return o.select(o.lt(x, n), o.sub(n, o.constF(1.0f)), n);
}

/// x < lo ? lo : x > hi ? hi : x (numerics.md section 5); NaN passes through.
template <typename Ops>
typename Ops::F clip(Ops &o, typename Ops::F x, typename Ops::F lo, typename Ops::F hi) {
  return o.select(o.lt(x, lo), lo, o.select(o.lt(hi, x), hi, x));
}

/// relu(x) = 0 > x ? +0 : x; NaN passes through, -0 stays -0.
template <typename Ops> typename Ops::F relu(Ops &o, typename Ops::F x) {
  auto zero = o.constF(0.0f);
  return o.select(o.lt(x, zero), zero, x);
}

/// |x|, by clearing the sign bit.
template <typename Ops> typename Ops::F abs(Ops &o, typename Ops::F x) {
  return o.fromBits(o.iand(o.bits(x), o.constI(0x7FFFFFFF)));
}

/// -x, by flipping the sign bit.
template <typename Ops> typename Ops::F neg(Ops &o, typename Ops::F x) {
  return o.fromBits(o.ixor(o.bits(x), o.constI(INT32_MIN)));
}

/// magnitude of `x`, sign of `sign`; `x` must not be negative.
template <typename Ops> typename Ops::F withSign(Ops &o, typename Ops::F x, typename Ops::F sign) {
  return o.fromBits(o.ior(o.bits(x), o.iand(o.bits(sign), o.constI(INT32_MIN))));
}

template <typename Ops> typename Ops::B isNan(Ops &o, typename Ops::F x) {
  return o.unordered(x, x);
}

/// NaN or an infinity: what raises the flag of a gradient quantizer (numerics.md section 7).
template <typename Ops> typename Ops::B isNonfinite(Ops &o, typename Ops::F x) {
  return o.ilt(o.constI(0x7F7FFFFF), o.iand(o.bits(x), o.constI(0x7FFFFFFF)));
}

/// The running maximum of |x|: NaN is skipped (it raises the flag instead), so the result does not
/// depend on the order.
template <typename Ops> typename Ops::F maxAbs(Ops &o, typename Ops::F soFar, typename Ops::F x) {
  auto a = abs(o, x);
  return o.select(o.lt(soFar, a), a, soFar);
}

} // namespace generic

inline float relu(float x) { return 0.0f > x ? 0.0f : x; }
inline double relu(double x) { return 0.0 > x ? 0.0 : x; }
inline float clip(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
inline double clip(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }
inline bool isNan(float x) { return x != x; }
inline bool isNan(double x) { return x != x; }
inline bool isNonfinite(float x) { return !(std::fabs(x) <= 3.40282347e+38f); }
inline bool isNonfinite(double x) { return !(std::fabs(x) <= 1.7976931348623157e308); }
inline float maxAbs(float soFar, float x) { return std::fabs(x) > soFar ? std::fabs(x) : soFar; }
inline double maxAbs(double soFar, double x) { return std::fabs(x) > soFar ? std::fabs(x) : soFar; }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_OPS_H
