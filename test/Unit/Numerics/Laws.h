//===- Laws.h - What the law tests share --------------------------*- C++ -*-===//

#ifndef NIBBLE_TEST_UNIT_NUMERICS_LAWS_H
#define NIBBLE_TEST_UNIT_NUMERICS_LAWS_H

#include "nibble/Numerics/Numerics.h"
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

namespace nibble::numerics::test {

/// All finite bf16 numbers, ascending (-0 before +0).
inline std::vector<float> finiteBf16() {
  std::vector<float> all;
  for (int h = 0xFF7F; h >= 0x8000; --h)
    all.push_back(fromBf16(static_cast<uint16_t>(h)));
  for (int h = 0; h <= 0x7F7F; ++h)
    all.push_back(fromBf16(static_cast<uint16_t>(h)));
  return all;
}

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A standard normal sample from the counter generator (Box-Muller, in double).
inline double gaussian(RandomBits &bits, uint64_t i) {
  auto words = bits.block(i);
  double u = (words[0] + 0.5) / 4294967296.0, v = (words[1] + 0.5) / 4294967296.0;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
}

/// A uniform sample in [-1, 1).
inline float uniform(RandomBits &bits, uint64_t i) {
  return static_cast<float>(static_cast<int32_t>(bits.block(i)[0])) * 0x1p-31f;
}

} // namespace nibble::numerics::test

#endif // NIBBLE_TEST_UNIT_NUMERICS_LAWS_H
