//===- Int4Test.cpp - The laws of INT4 and INT8 codes -----------------------===//

#include "Laws.h"
#include <gtest/gtest.h>
#include <set>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

namespace {

std::vector<LevelSet> levelSets() {
  return {kOneSided, kTwoSided15, kInt8, minMax(-8), minMax(-3), minMax(0), minMax(7)};
}

/// The law as it is written: clamp(RNE(x*r) + Z, qmin, qmax), in double.
int lawNearest(float x, float r, LevelSet set) {
  float y = x * r;
  double q = std::nearbyint(static_cast<double>(y)) + set.zeroPoint;
  return static_cast<int>(std::fmin(std::fmax(q, set.qmin), set.qmax));
}

/// The law as it is written: t = x*r, l = floor(t), clamp(l + [u < RNE((t - l)*65536)] + Z).
int lawStochastic(float x, float r, LevelSet set, uint16_t u) {
  float t = x * r, l = std::floor(t);
  float rest = t - l;
  double up = u < std::nearbyint(static_cast<double>(rest) * 65536.0) ? 1 : 0;
  double q = static_cast<double>(l) + up + set.zeroPoint;
  return static_cast<int>(std::fmin(std::fmax(q, set.qmin), set.qmax));
}

} // namespace

// Clamping before rounding gives the code of the law for every bf16 input, however large.
TEST(Int4, NearestIsTheLaw) {
  for (float s : {1.0f, 0.3f, 7.7e-5f, 0x1p-107f, 1.0e30f})
    for (LevelSet set : levelSets())
      for (float x : finiteBf16())
        ASSERT_EQ(quantizeNearest(x, reciprocal(s), set), lawNearest(x, reciprocal(s), set))
            << x << " scale " << s << " zero point " << set.zeroPoint;
}

// Halves go to the even whole number, before the zero point is added.
TEST(Int4, TiesGoToEven) {
  EXPECT_EQ(quantizeNearest(0.5f, 1.0f, kTwoSided15), 0);
  EXPECT_EQ(quantizeNearest(1.5f, 1.0f, kTwoSided15), 2);
  EXPECT_EQ(quantizeNearest(2.5f, 1.0f, kTwoSided15), 2);
  EXPECT_EQ(quantizeNearest(-2.5f, 1.0f, kTwoSided15), -2);
  EXPECT_EQ(quantizeNearest(2.5f, 1.0f, minMax(-3)), -1);
}

// The stochastic code is the law's for every bf16 input and draws at and around each threshold.
TEST(Int4, StochasticIsTheLaw) {
  for (float s : {1.0f, 0.3f, 1.0e30f})
    for (LevelSet set : levelSets())
      for (float x : finiteBf16())
        for (int u : {0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF})
          ASSERT_EQ(quantizeStochastic(x, reciprocal(s), set, uint16_t(u)),
                    lawStochastic(x, reciprocal(s), set, uint16_t(u)))
              << x << " scale " << s << " zero point " << set.zeroPoint << " draw " << u;
}

// Quantizing a quantized number changes nothing: every code, every bf16 scale.
TEST(Int4, Idempotent) {
  for (float s : finiteBf16()) {
    if (!(s >= 0x1p-107f) || s > 1.0e36f)
      continue;
    for (LevelSet set : {kOneSided, kTwoSided15, kInt8, minMax(-3)})
      for (int q = set.qmin; q <= set.qmax; ++q) {
        float x = dequantize(q, set.zeroPoint, s);
        ASSERT_EQ(quantizeNearest(x, reciprocal(s), set), q) << "scale " << s;
      }
  }
}

// A symmetric level set is odd: Q(-x) = -Q(x).
TEST(Int4, OddSymmetry) {
  for (LevelSet set : {kTwoSided15, kInt8})
    for (float x : finiteBf16())
      ASSERT_EQ(quantizeNearest(-x, 3.7f, set), -quantizeNearest(x, 3.7f, set));
}

// A larger number never gets a smaller code, nearest or with one and the same draw.
TEST(Int4, Monotone) {
  for (LevelSet set : levelSets()) {
    int last = set.qmin, lastStochastic = set.qmin;
    for (float x : finiteBf16()) {
      int q = quantizeNearest(x, 3.7f, set), p = quantizeStochastic(x, 3.7f, set, 20000);
      ASSERT_LE(last, q) << x;
      ASSERT_LE(lastStochastic, p) << x;
      last = q;
      lastStochastic = p;
    }
    EXPECT_EQ(last, set.qmax);
  }
}

// Zero of either sign, and NaN, get zero's code, which stands for exactly 0; infinities saturate.
TEST(Int4, ZeroNanInfinity) {
  for (LevelSet set : levelSets())
    for (float r : {1.0f, 1.0e-30f, 1.0e30f}) {
      for (float x : {0.0f, -0.0f, kNan}) {
        EXPECT_EQ(quantizeNearest(x, r, set), set.zeroPoint);
        EXPECT_EQ(quantizeStochastic(x, r, set, 0), set.zeroPoint);
      }
      EXPECT_EQ(dequantize(set.zeroPoint, set.zeroPoint, 1 / r), 0.0f);
      EXPECT_EQ(quantizeNearest(kInfinity, r, set), set.qmax);
      EXPECT_EQ(quantizeNearest(-kInfinity, r, set), set.qmin);
      EXPECT_EQ(quantizeStochastic(kInfinity, r, set, 0xFFFF), set.qmax);
      EXPECT_EQ(quantizeStochastic(-kInfinity, r, set, 0), set.qmin);
    }
}

// Scaling input and scale by one power of two changes no code.
TEST(Int4, ScaleEquivariance) {
  for (LevelSet set : levelSets())
    for (float x : finiteBf16()) {
      if (std::fabs(x) < 0x1p-80f || std::fabs(x) > 0x1p+80f)
        continue;
      for (float power : {0x1p-40f, 0x1p-1f, 0x1p+20f}) {
        float s = 0.3f;
        ASSERT_EQ(quantizeNearest(x * power, reciprocal(s * power), set),
                  quantizeNearest(x, reciprocal(s), set));
        ASSERT_EQ(quantizeStochastic(x * power, reciprocal(s * power), set, 12345),
                  quantizeStochastic(x, reciprocal(s), set, 12345));
      }
    }
}

// No level set has more codes than its bits allow, and every code is reached.
TEST(Int4, DistinctCodes) {
  for (LevelSet set : levelSets()) {
    std::set<int> codes, stochastic;
    for (float x : finiteBf16())
      for (float r : {1.0f, 64.0f}) {
        codes.insert(quantizeNearest(x, r, set));
        stochastic.insert(quantizeStochastic(x, r, set, 40000));
      }
    EXPECT_EQ(codes.size(), static_cast<size_t>(set.size()));
    EXPECT_EQ(stochastic.size(), static_cast<size_t>(set.size()));
    if (set != kInt8) {
      EXPECT_LE(set.size(), 16);
    }
  }
}

// The mean of n stochastic roundings is x within 5 sigma, with the real generator.
TEST(Int4, StochasticIsUnbiased) {
  const int n = 8192;
  RandomBits bits(7, 1, fnv1a32("unbiased"));
  uint64_t element = 0;
  for (float x = -6.9f; x < 6.9f; x += 0.0913f) {
    double sum = 0;
    for (int i = 0; i < n; ++i)
      sum += quantizeStochastic(x, 1.0f, kTwoSided15, bits.at(element++));
    double l = std::floor(x), u = l + 1;
    EXPECT_LE(std::fabs(sum / n - x), 5 * std::sqrt((x - l) * (u - x) / n)) << x;
  }
}

// A whole number on the grid is never moved by any draw.
TEST(Int4, StochasticKeepsGridPoints) {
  for (int q = -7; q <= 7; ++q)
    for (int u = 0; u < 65536; ++u)
      ASSERT_EQ(quantizeStochastic(float(q), 1.0f, kTwoSided15, uint16_t(u)), q);
}

// NaN and infinities are reported apart from the code.
TEST(Int4, NonfiniteIsReported) {
  FloatOps o;
  for (float x : finiteBf16()) {
    ASSERT_FALSE(generic::isNan(o, x));
    ASSERT_FALSE(generic::isNonfinite(o, x));
    ASSERT_FALSE(isNonfinite(x));
  }
  for (float x : {kInfinity, -kInfinity, kNan, -kNan}) {
    EXPECT_EQ(generic::isNan(o, x), std::isnan(x));
    EXPECT_TRUE(generic::isNonfinite(o, x));
    EXPECT_TRUE(isNonfinite(x));
  }
}
