//===- ScaleTest.cpp - From statistics to scales ----------------------------===//

#include "Laws.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

// A scale is max/divisor; a maximum below 2^-100 gives 1 and only zero's codes; s and 1/s are
// finite and positive whatever the maximum.
TEST(Scale, FromMax) {
  EXPECT_EQ(scaleFromMax(3.5f, 7.0f), 0.5f);
  EXPECT_EQ(scaleFromMax(0.0f, 7.0f), 1.0f);
  EXPECT_EQ(scaleFromMax(0x1.fffffep-101f, 7.0f), 1.0f);
  EXPECT_EQ(scaleFromMax(0x1p-100f, 64.0f), 0x1p-106f);
  EXPECT_EQ(scaleFromMax(kNan, 7.0f), 1.0f);
  EXPECT_EQ(quantizeNearest(0x1p-101f, 1.0f, kTwoSided15), 0);
  for (float max : {0.0f, 1.0e-38f, 0x1p-100f, 1.0f, 3.4e38f, kInfinity})
    for (float divisor : {7.0f, 15.0f, 64.0f, 127.0f}) {
      float s = scaleFromMax(max, divisor), r = reciprocal(s);
      EXPECT_TRUE(s > 0 && s < kInfinity && r > 0 && r < kInfinity) << max;
    }
}

// The maximum of a tensor gets the outermost code, for every bf16 maximum and every level set.
TEST(Scale, MaximumReachesTheEnd) {
  for (float max : finiteBf16()) {
    if (max < 0x1p-100f)
      continue;
    for (LevelSet set : {kOneSided, kTwoSided15, kInt8}) {
      float s = scaleFromMax(max, float(set.steps()));
      ASSERT_EQ(quantizeNearest(max, reciprocal(s), set), set.qmax) << max;
    }
  }
}

// minmax: both ends of the range reach the ends of the codes (one of them may be a step off, where
// the zero point was rounded), zero is exact, pixels in [0, 1] go 0 -> -8 and 1 -> 7.
TEST(Scale, MinMax) {
  auto pixels = minMaxScale(0.0f, 1.0f);
  EXPECT_EQ(pixels.zeroPoint, -8);
  EXPECT_EQ(quantizeNearest(0.0f, reciprocal(pixels.scale), minMax(pixels.zeroPoint)), -8);
  EXPECT_EQ(quantizeNearest(1.0f, reciprocal(pixels.scale), minMax(pixels.zeroPoint)), 7);
  auto positive = minMaxScale(3.0f, 5.0f);
  EXPECT_EQ(positive.zeroPoint, -8);
  EXPECT_EQ(positive.scale, 5.0f / 15.0f);
  EXPECT_EQ(minMaxScale(-5.0f, -3.0f).zeroPoint, 7);
  auto nothing = minMaxScale(0.0f, 0.0f);
  EXPECT_EQ(nothing.scale, 1.0f);
  EXPECT_EQ(nothing.zeroPoint, -8);
  EXPECT_EQ(minMaxScale(-kInfinity, kInfinity).zeroPoint, 7);
  RandomBits bits(2, 0, 0);
  for (int i = 0; i < 5000; ++i) {
    float lo = -std::fabs(uniform(bits, 2 * i)), hi = std::fabs(uniform(bits, 2 * i + 1));
    auto [s, z] = minMaxScale(lo, hi);
    ASSERT_GE(z, -8);
    ASSERT_LE(z, 7);
    int qlo = quantizeNearest(lo, reciprocal(s), minMax(z));
    int qhi = quantizeNearest(hi, reciprocal(s), minMax(z));
    ASSERT_LE(qlo, -7);
    ASSERT_GE(qhi, 6);
    ASSERT_EQ(quantizeNearest(0.0f, reciprocal(s), minMax(z)), z);
  }
}

namespace {

/// Mean squared error of 15-level quantization with clip alpha.
double meanError(const std::vector<float> &w, float alpha) {
  float s = scaleFromMax(alpha, 7.0f), r = reciprocal(s);
  double sum = 0;
  for (float x : w) {
    double e = x - dequantize(quantizeNearest(x, r, kTwoSided15), 0, s);
    sum += e * e;
  }
  return sum / double(w.size());
}

float clipOf(const std::vector<float> &w) {
  double squares = flatSum(w.size(), [&](size_t i) { return w[i] * w[i]; });
  double magnitudes = flatSum(w.size(), [&](size_t i) { return std::fabs(w[i]); });
  float max = 0;
  for (float x : w)
    max = maxAbs(max, x);
  return sawbClip(squares, magnitudes, int64_t(w.size()), max);
}

} // namespace

// On Gaussian weights of any size the clip's error is within 2 % of the best clip's.
TEST(Sawb, NearTheOptimumOnGaussians) {
  RandomBits bits(13, 0, fnv1a32("sawb"));
  for (float sigma : {0.02f, 1.0f}) {
    std::vector<float> w(20000);
    for (size_t i = 0; i < w.size(); ++i)
      w[i] = sigma * static_cast<float>(gaussian(bits, i));
    double best = INFINITY;
    for (float alpha = 1.0f; alpha < 5.0f; alpha += 0.02f)
      best = std::min(best, meanError(w, alpha * sigma));
    double got = meanError(w, clipOf(w));
    std::printf("sawb: clip %.4f sigma, error %.4f of the best\n", clipOf(w) / sigma, got / best);
    EXPECT_LE(got, 1.02 * best);
  }
}

// The formula in f64, rounded once; nearly constant weights fall back to the maximum.
TEST(Sawb, FormulaAndFallback) {
  double squares = 123.25, magnitudes = 98.5;
  double alpha = 12.035 * std::sqrt(squares / 100) + -12.03 * (magnitudes / 100);
  EXPECT_EQ(sawbClip(squares, magnitudes, 100, 9.0f), static_cast<float>(alpha));
  std::vector<float> constant(100, -0.25f);
  EXPECT_GT(clipOf(constant), 0.0f);
  EXPECT_EQ(sawbClip(1.0, 101.0, 100, 3.0f), 3.0f);
  EXPECT_EQ(sawbClip(0.0, 0.0, 100, 0.0f), 0.0f);
}

// GradScale moves by one octave towards 32 ... 64, keeps its value where it knows nothing, and
// stays in its bounds.
TEST(GradScale, Rule) {
  EXPECT_EQ(updateGradScale(1024.0f, 0.1f), 512.0f);
  EXPECT_EQ(updateGradScale(1024.0f, 0.05f), 1024.0f);
  EXPECT_EQ(updateGradScale(1024.0f, 0.03f), 2048.0f);
  EXPECT_EQ(updateGradScale(1024.0f, 0.0625f), 1024.0f);  // a = 64
  EXPECT_EQ(updateGradScale(1024.0f, 0.03125f), 1024.0f); // a = 32
  EXPECT_EQ(updateGradScale(1024.0f, 0.0f), 1024.0f);
  EXPECT_EQ(updateGradScale(1024.0f, kInfinity), 1024.0f);
  EXPECT_EQ(updateGradScale(1024.0f, kNan), 1024.0f);
  EXPECT_EQ(updateGradScale(0x1p61f, 1.0e-30f), 0x1p61f);
  EXPECT_EQ(updateGradScale(0x1p-18f, 1.0e30f), 0x1p-18f);
  GradScaleRule rule;
  rule.shrinkAbove = 16.0f;
  rule.growBelow = 8.0f;
  EXPECT_EQ(updateGradScale(1024.0f, 0.03f, rule), 512.0f);
}

// From any start the rule settles with the maximum in [32, 64], and then stays.
TEST(GradScale, Settles) {
  for (float max : {1.0e-12f, 3.3e-4f, 0.9f, 70.0f, 1.0e4f}) {
    float s = GradScaleRule().start;
    for (int i = 0; i < 90; ++i)
      s = updateGradScale(s, max);
    EXPECT_GE(s * max, 32.0f);
    EXPECT_LE(s * max, 64.0f);
    EXPECT_EQ(updateGradScale(s, max), s);
  }
}

// The gain makes a quantized copy as long along g as g is; a denominator that is not positive
// gives 1.
TEST(Gain, RestoresTheProjection) {
  RandomBits bits(17, 0, fnv1a32("gain"));
  double gg = 0, gq = 0;
  std::vector<std::pair<float, float>> pairs;
  for (int i = 0; i < 4096; ++i) {
    auto g = static_cast<float>(0.01 * gaussian(bits, i));
    float q = dequantizeLog(encodeRadix4Nearest(g, 1024.0f), 4, radix4Step(1024.0f));
    pairs.push_back({g, q});
    gg += double(g) * g;
    gq += double(g) * q;
  }
  float k = gain(gg, gq);
  double corrected = 0;
  for (auto [g, q] : pairs)
    corrected += double(g) * q * k;
  EXPECT_NEAR(corrected / gg, 1.0, 1e-6);
  EXPECT_EQ(gain(2.0, 1.0), 2.0f);
  EXPECT_EQ(gain(2.0, 0.0), 1.0f);
  EXPECT_EQ(gain(2.0, -1.0), 1.0f);
}

// An unset clip takes the maximum, a set one keeps its value, neither goes below the floor.
TEST(LearnedClip, InitAndFloor) {
  EXPECT_EQ(learnedClip(0.0f, 3.0f), 3.0f);
  EXPECT_EQ(learnedClip(2.0f, 3.0f), 2.0f);
  EXPECT_EQ(learnedClip(0.0f, 0.0f), 0x1p-10f);
  EXPECT_EQ(learnedClip(1.0e-6f, 3.0f), 0x1p-10f);
  EXPECT_EQ(learnedClip(0.01f, 3.0f, 0.05f), 0.05f);
}

// The gradient of the clip is the derivative of clip(x, lo, alpha) in x and in alpha.
TEST(LearnedClip, GradientIsTheDerivative) {
  for (bool twoSided : {false, true})
    for (double x : {-3.0, -1.0, -0.2, 0.3, 1.0, 2.5}) {
      double alpha = 1.7, h = 1e-6, dy = 0.8;
      auto f = [&](double x, double a) { return clip(x, twoSided ? -a : 0.0, a); };
      double dx = (f(x + h, alpha) - f(x - h, alpha)) / (2 * h);
      double dalpha = (f(x, alpha + h) - f(x, alpha - h)) / (2 * h);
      double lo = twoSided ? -alpha : 0.0;
      EXPECT_NEAR(clipPasses(x, lo, alpha) ? 1.0 : 0.0, dx, 1e-6);
      EXPECT_NEAR(clipTerm(x, dy, alpha, twoSided), dy * dalpha, 1e-6);
    }
  EXPECT_FALSE(clipPasses(0.0f, 0.0f, 1.0f));
  EXPECT_EQ(clipTerm(1.0f, 2.0f, 1.0f, false), 2.0f); // x = alpha counts
  EXPECT_EQ(clipTerm(-1.0f, 2.0f, 1.0f, true), -2.0f);
  EXPECT_EQ(clipTerm(-1.0f, 2.0f, 1.0f, false), 0.0f);
}

// A moving range takes the first value whole, then a hundredth of each; both ends move together.
TEST(MovingRange, Average) {
  EXPECT_EQ(movingRange(0.0f, 5.0f), 5.0f);
  float product = 0.99f * 5.0f, part = 0.01f * 7.0f;
  EXPECT_EQ(movingRange(5.0f, 7.0f), product + part);
  Range range = movingRange(Range{}, Range{-1.0f, 2.0f});
  EXPECT_EQ(range.lo, -1.0f);
  range = movingRange(Range{0.0f, 2.0f}, Range{-1.0f, 2.0f});
  EXPECT_EQ(range.lo, 0.01f * -1.0f);
}

// An exact integer is converted once, to nearest even, then scaled.
TEST(Product, OneConversion) {
  EXPECT_EQ(scaleProduct((int64_t(1) << 24) + 1, 1.0f), 16777216.0f);
  EXPECT_EQ(scaleProduct((int64_t(1) << 24) + 3, 1.0f), 16777220.0f);
  EXPECT_EQ(scaleProduct((int64_t(1) << 40) + 1, 1.0f), 0x1p40f);
  EXPECT_EQ(productScale(0.1f, 0.2f, 1.5f), (0.1f * 0.2f) * 1.5f);
}
