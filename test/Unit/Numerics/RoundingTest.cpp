//===- RoundingTest.cpp - bf16 and the rounding helpers ---------------------===//

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

// bf16 of every upper half with lower halves around each tie is the nearer neighbour, ties to even.
TEST(Bf16, NearestEven) {
  for (uint32_t upper = 0x0080; upper < 0x7F80; ++upper)
    for (uint32_t lower : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu})
      for (uint32_t sign : {0u, 0x8000u}) {
        uint32_t up = lower > 0x8000 || (lower == 0x8000 && (upper & 1)) ? 1 : 0;
        float x = fromBits(((upper | sign) << 16) | lower);
        ASSERT_EQ(toBf16(x), (upper + up) | sign) << x;
      }
}

// Denormals become zero of the same sign.
TEST(Bf16, DenormalsBecomeZero) {
  for (uint32_t b : {0u, 1u, 0x8000u, 0x400000u, 0x7FFFFFu}) {
    EXPECT_EQ(toBf16(fromBits(b)), 0x0000);
    EXPECT_EQ(toBf16(fromBits(b | 0x80000000u)), 0x8000);
  }
  EXPECT_EQ(toBf16(0x1p-126f), 0x0080);
}

// Infinities stay, overflow rounds to infinity, NaN stays NaN and becomes quiet.
TEST(Bf16, InfinityAndNan) {
  EXPECT_EQ(toBf16(kInfinity), 0x7F80);
  EXPECT_EQ(toBf16(-kInfinity), 0xFF80);
  EXPECT_EQ(toBf16(3.4028235e38f), 0x7F80);
  for (uint32_t b : {0x7F800001u, 0x7F80FFFFu, 0x7FFFFFFFu, 0xFF800001u, 0xFFC00000u}) {
    uint16_t h = toBf16(fromBits(b));
    EXPECT_EQ(h & 0x7FC0, 0x7FC0);
    EXPECT_EQ(h >> 15, b >> 31);
  }
}

// Narrowing a narrowed number changes nothing.
TEST(Bf16, Idempotent) {
  for (float x : finiteBf16())
    ASSERT_EQ(toBits(narrowToBf16(narrowToBf16(x))), toBits(narrowToBf16(x)));
}

// The add-and-subtract form of rounding is round-half-to-even in its whole range.
TEST(Rounding, RoundEvenAndFloor) {
  FloatOps o;
  for (float x : finiteBf16()) {
    if (std::fabs(x) > 4194304.0f)
      continue;
    ASSERT_EQ(generic::roundEven(o, x), std::nearbyint(x)) << x;
    ASSERT_EQ(generic::roundToInt(o, x), static_cast<int>(std::nearbyint(x))) << x;
    ASSERT_EQ(generic::floorSmall(o, x), std::floor(x)) << x;
  }
  for (int half = -4000; half <= 4000; ++half) {
    float x = half * 0.5f;
    ASSERT_EQ(generic::roundToInt(o, x), static_cast<int>(std::nearbyint(x)));
  }
}

// Products and sums are rounded one by one: with contraction this would be 2^-46, not 0.
TEST(Rounding, NothingIsContracted) {
  volatile float a = 1.0f + 0x1p-23f, c = -(1.0f + 0x1p-22f);
  float x = a, y = c;
  EXPECT_EQ(x * x + y, 0.0f);
  FloatOps o;
  EXPECT_EQ(o.add(o.mul(x, x), y), 0.0f);
  EXPECT_EQ(o.fma(x, x, y), 0x1p-46f);
}

// relu and clip are the comparisons of the law: NaN passes, and generic and scalar forms agree.
TEST(Rounding, ReluAndClip) {
  FloatOps o;
  EXPECT_TRUE(std::isnan(relu(kNan)));
  EXPECT_TRUE(std::isnan(clip(kNan, -1.0f, 1.0f)));
  EXPECT_EQ(toBits(relu(-0.0f)), toBits(-0.0f));
  for (float x : finiteBf16()) {
    ASSERT_EQ(toBits(generic::relu(o, x)), toBits(relu(x)));
    ASSERT_EQ(toBits(relu(x)), toBits(0.0f > x ? 0.0f : x));
    ASSERT_EQ(toBits(generic::clip(o, x, -1.5f, 2.5f)), toBits(clip(x, -1.5f, 2.5f)));
    ASSERT_EQ(toBits(generic::abs(o, x)), toBits(std::fabs(x)));
    ASSERT_EQ(toBits(generic::neg(o, x)), toBits(-x));
  }
}
