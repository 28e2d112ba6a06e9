//===- Rounding.h - Narrowing to bfloat16 -------------------------*- C++ -*-===//
//
// bf16 is the upper half of a binary32. Narrowing (numerics.md section 5): denormals become zero of
// the same sign, everything else is rounded to nearest even (overflow to infinity), NaN stays a
// NaN, made quiet, with its upper payload. In integer operations only: this is what AVX512-BF16's
// vcvtneps2bf16 computes.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_NUMERICS_ROUNDING_H
#define NIBBLE_NUMERICS_ROUNDING_H

#include "nibble/Numerics/Ops.h"

namespace nibble::numerics {

inline uint32_t toBits(float x) { return std::bit_cast<uint32_t>(x); }
inline float fromBits(uint32_t b) { return std::bit_cast<float>(b); }

namespace generic {

/// The 16 bits of bf16(x), zero-extended.
template <typename Ops> typename Ops::I toBf16(Ops &o, typename Ops::F x) {
  auto b = o.bits(x);
  auto magnitude = o.iand(b, o.constI(0x7FFFFFFF));
  auto odd = o.iand(o.lshr(b, 16), o.constI(1));
  auto nearest = o.lshr(o.iadd(o.iadd(b, o.constI(0x7FFF)), odd), 16);
  auto quiet = o.ior(o.lshr(b, 16), o.constI(0x0040));
  auto zero = o.iand(o.lshr(b, 16), o.constI(0x8000));
  auto finite = o.select(o.ilt(magnitude, o.constI(0x00800000)), zero, nearest);
  return o.select(o.ilt(o.constI(0x7F800000), magnitude), quiet, finite);
}

/// The float that 16 bits of bf16 stand for; exact. The upper bits of `h` do not matter.
template <typename Ops> typename Ops::F fromBf16(Ops &o, typename Ops::I h) {
  return o.fromBits(o.shl(h, 16));
}

} // namespace generic

inline uint16_t toBf16(float x) {
  FloatOps o;
  return static_cast<uint16_t>(generic::toBf16(o, x));
}

inline float fromBf16(uint16_t h) { return fromBits(uint32_t(h) << 16); }

/// x as bf16 and back: what a narrowed copy means.
inline float narrowToBf16(float x) { return fromBf16(toBf16(x)); }
/// The finite-difference interpreter is not narrowed.
inline double narrowToBf16(double x) { return x; }

} // namespace nibble::numerics

#endif // NIBBLE_NUMERICS_ROUNDING_H
