//===- HalfFloat.h - binary16 to binary32 ------------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_HALFFLOAT_H
#define NIBBLE_LIB_RUNTIME_HALFFLOAT_H

#include <bit>
#include <cstdint>

namespace nibble::runtime {

/// The value of IEEE 754 binary16 bits; exact, denormals included.
inline float halfToFloat(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  uint32_t exponent = (half >> 10) & 0x1Fu;
  uint32_t fraction = half & 0x3FFu;
  if (exponent == 0x1F)
    return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  // Denormals are multiples of 2^-24.
  float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_HALFFLOAT_H
