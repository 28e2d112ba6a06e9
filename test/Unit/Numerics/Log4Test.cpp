//===- Log4Test.cpp - The laws of logarithmic codes -------------------------===//

#include "Laws.h"
#include <gtest/gtest.h>
#include <set>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

namespace {

/// Q of the paper: the number on the grid 4^k/mult that x is rounded to.
float radix4(float x, float mult) {
  return dequantizeLog(encodeRadix4Nearest(x, mult), 4, radix4Step(mult));
}

/// The definition by thresholds, in double: level 4^k owns [4^k/1.6, 4^(k+1)/1.6).
double radix4ByThresholds(double x) {
  double a = std::fabs(x), level = 0;
  for (int k = -3; k <= 3; ++k)
    if (8 * a >= 5 * std::pow(4.0, k)) // 1.6 a >= 4^k, exactly
      level = std::pow(4.0, k);
  return std::copysign(level, x);
}

} // namespace

// The bit rule is rounding at the arithmetic midpoints, for every bf16 input and around each
// midpoint in f32.
TEST(Radix4, IsNearestAtTheMidpoints) {
  for (float x : finiteBf16())
    ASSERT_EQ(radix4(x, 1.0f), radix4ByThresholds(x)) << x;
  for (int k = -4; k <= 3; ++k)
    for (int steps = -3; steps <= 3; ++steps) {
      float x = fromBits(toBits(2.5f * std::ldexp(1.0f, 2 * k)) + static_cast<uint32_t>(steps));
      EXPECT_EQ(radix4(x, 1.0f), radix4ByThresholds(x)) << x;
      EXPECT_EQ(radix4(-x, 1.0f), radix4ByThresholds(-x)) << -x;
    }
}

// Below 4^-3/1.6 everything is zero; at and above 40 everything is 64; NaN is zero.
TEST(Radix4, Ends) {
  EXPECT_EQ(radix4(0.009765624f, 1.0f), 0.0f);
  EXPECT_EQ(radix4(0.009765625f, 1.0f), 0.015625f);
  EXPECT_EQ(radix4(39.9999f, 1.0f), 16.0f);
  EXPECT_EQ(radix4(40.0f, 1.0f), 64.0f);
  EXPECT_EQ(radix4(3.0e38f, 1024.0f), 64.0f / 1024.0f);
  EXPECT_EQ(radix4(-kInfinity, 1.0f), -64.0f);
  EXPECT_EQ(encodeRadix4Nearest(kNan, 1.0f), 0u);
  EXPECT_EQ(encodeRadix4Nearest(-1.0e-30f, 1.0f), 0u);
}

// Quantizing a quantized number changes nothing.
TEST(Radix4, Idempotent) {
  for (float mult : {1.0f, 1024.0f, 0x1p-18f, 0x1p+61f, 0x1p+62f})
    for (unsigned code = 0; code < 16; ++code)
      if (code != 8) {
        float x = dequantizeLog(code, 4, radix4Step(mult));
        EXPECT_EQ(encodeRadix4Nearest(x, mult), code);
      }
}

// Odd, monotone, and zero stays zero.
TEST(Radix4, OddMonotoneFixedZero) {
  float last = -64.0f;
  for (float x : finiteBf16()) {
    float q = radix4(x, 1.0f);
    ASSERT_EQ(radix4(-x, 1.0f), -q);
    ASSERT_LE(last, q) << x;
    last = q;
  }
  EXPECT_EQ(encodeRadix4Nearest(0.0f, 1.0f), 0u);
  EXPECT_EQ(encodeRadix4Nearest(-0.0f, 1.0f), 0u);
}

// 15 codes, and never the negative zero.
TEST(Radix4, DistinctCodes) {
  std::set<unsigned> codes;
  for (float x : finiteBf16())
    codes.insert(encodeRadix4Nearest(x, 1.0f));
  EXPECT_EQ(codes.size(), static_cast<size_t>(kLogCodes));
  EXPECT_EQ(codes.count(8), 0u);
}

// The relative error Q/x lies in (0.4, 1.6] inside the range.
TEST(Radix4, RelativeError) {
  for (float x : finiteBf16()) {
    if (std::fabs(x) < 0.009765625f || std::fabs(x) >= 160.0f)
      continue;
    double ratio = static_cast<double>(radix4(x, 1.0f)) / x;
    ASSERT_GT(ratio, 0.4) << x;
    ASSERT_LE(ratio, 1.6) << x;
  }
}

// Two-phase rounding: Q_odd(x) = Q_even(2x)/2, with one multiplier twice the other.
TEST(Radix4, OddPhaseIsEvenPhaseOfTwiceX) {
  const float s = 1024.0f;
  for (float x : finiteBf16()) {
    if (std::fabs(x) > 1.0e30f)
      continue;
    ASSERT_EQ(radix4(x, phaseMultiplier(s, true)), radix4(2 * x, phaseMultiplier(s, false)) / 2);
    ASSERT_EQ(encodeRadix4Nearest(x, phaseMultiplier(s, true)), encodeRadix4Nearest(2 * x, s));
  }
}

// The identity of two-phase rounding: (Q_even + Q_odd)/2 = 0.75*2^m for 2^m <= 1.6|x| < 2^(m+1),
// wherever neither phase is zero nor saturated.
TEST(Radix4, TwoPhaseIdentity) {
  int tested = 0;
  for (float x : finiteBf16()) {
    double a = std::fabs(x);
    if (a < 0.009765625 || a >= 80.0)
      continue;
    int m = static_cast<int>(std::floor(std::log2(1.6 * a)));
    while (8 * a < 5 * std::ldexp(1.0, m))
      --m;
    while (8 * a >= 5 * std::ldexp(1.0, m + 1))
      ++m;
    double mean = (double(radix4(x, 1.0f)) + radix4(x, 2.0f)) / 2;
    ASSERT_EQ(mean, std::copysign(0.75 * std::ldexp(1.0, m), x)) << x;
    ++tested;
  }
  EXPECT_GT(tested, 3000);
}

// Scaling x and the multiplier by inverse powers of two changes no code.
TEST(Radix4, ScaleEquivariance) {
  for (float x : finiteBf16()) {
    if (std::fabs(x) < 0x1p-60f || std::fabs(x) > 0x1p+60f)
      continue;
    for (float power : {0x1p-30f, 2.0f, 0x1p+31f})
      ASSERT_EQ(encodeRadix4Nearest(x * power, 8.0f / power), encodeRadix4Nearest(x, 8.0f));
  }
}

// Codes stand for whole numbers radix^(e - 1), and the float form of decoding agrees.
TEST(LogCodes, Decode) {
  FloatOps o;
  for (int radix : {2, 4})
    for (unsigned code = 0; code < 16; ++code) {
      int e = int(code & 7), want = e == 0 ? 0 : int(std::pow(radix, e - 1));
      EXPECT_EQ(decodeLog(code, radix), code & 8 ? -want : want);
      EXPECT_EQ(generic::decodeLog(o, int32_t(code), radix == 4 ? 2 : 1),
                float(decodeLog(code, radix)));
    }
  EXPECT_EQ(decodeLog(7, 4), 4096);
  EXPECT_EQ(decodeLog(15, 2), -64);
}

// The radix-2 code is the law's, for every bf16 input and draws around the thresholds.
TEST(Radix2, IsTheLaw) {
  for (float alpha : {1.0f, 0.37f})
    for (float x : finiteBf16())
      for (int u : {0, 1, 0x4000, 0x7FFF, 0x8000, 0xFFFF}) {
        float t = std::fabs(x) / alpha;
        double q;
        if (t < 1) {
          q = u < std::nearbyint(65536.0 * t) ? 1 : 0;
        } else {
          double level = std::ldexp(1.0, std::ilogb(t));
          q = level * (1 + (u < std::nearbyint((t / level - 1) * 65536.0) ? 1 : 0));
        }
        q = std::fmin(q, 64.0);
        ASSERT_EQ(decodeLog(encodeRadix2Stochastic(x, alpha, uint16_t(u)), 2), std::copysign(q, x))
            << x << " draw " << u;
      }
}

// The mean of n draws is x within 5 sigma, between levels and in the underflow below alpha.
TEST(Radix2, Unbiased) {
  const int n = 8192;
  RandomBits bits(11, 3, fnv1a32("luq"));
  uint64_t element = 0;
  for (double x = 0.013; x < 64; x *= 1.0871)
    for (double sign : {1.0, -1.0}) {
      double sum = 0;
      for (int i = 0; i < n; ++i)
        sum += decodeLog(encodeRadix2Stochastic(float(sign * x), 1.0f, bits.at(element++)), 2);
      double l = x < 1 ? 0 : std::ldexp(1.0, std::ilogb(x)), u = x < 1 ? 1 : 2 * l;
      EXPECT_LE(std::fabs(sum / n - sign * x), 5 * std::sqrt((x - l) * (u - x) / n)) << sign * x;
    }
}

// On the grid every draw gives the same code (idempotence); odd under one draw; monotone.
TEST(Radix2, GridOddMonotone) {
  for (unsigned code = 0; code < 16; ++code)
    for (int u = 0; u < 65536 && code != 8; u += 257)
      ASSERT_EQ(encodeRadix2Stochastic(float(decodeLog(code, 2)), 1.0f, uint16_t(u)), code);
  int last = -64;
  for (float x : finiteBf16()) {
    int q = decodeLog(encodeRadix2Stochastic(x, 0.37f, 30000), 2);
    ASSERT_EQ(decodeLog(encodeRadix2Stochastic(-x, 0.37f, 30000), 2), -q);
    ASSERT_LE(last, q);
    last = q;
  }
}

// 15 codes, no negative zero, NaN is zero, infinities saturate.
TEST(Radix2, CodesAndEnds) {
  std::set<unsigned> codes;
  for (float x : finiteBf16())
    for (int u : {0, 30000, 65535})
      codes.insert(encodeRadix2Stochastic(x, 1.0f, uint16_t(u)));
  EXPECT_EQ(codes.size(), static_cast<size_t>(kLogCodes));
  EXPECT_EQ(codes.count(8), 0u);
  EXPECT_EQ(encodeRadix2Stochastic(kNan, 1.0f, 0), 0u);
  EXPECT_EQ(encodeRadix2Stochastic(kInfinity, 1.0f, 65535), 7u);
  EXPECT_EQ(encodeRadix2Stochastic(-kInfinity, 1.0f, 65535), 15u);
}

// A power of two in x and alpha alike changes no code.
TEST(Radix2, ScaleEquivariance) {
  for (float x : finiteBf16()) {
    if (std::fabs(x) < 0x1p-60f || std::fabs(x) > 0x1p+60f)
      continue;
    for (float power : {0x1p-30f, 2.0f, 0x1p+31f})
      ASSERT_EQ(encodeRadix2Stochastic(x * power, 0.37f * power, 20000),
                encodeRadix2Stochastic(x, 0.37f, 20000));
  }
}
