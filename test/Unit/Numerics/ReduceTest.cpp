//===- ReduceTest.cpp - The order of sums -----------------------------------===//

#include "Laws.h"
#include <gtest/gtest.h>

using namespace nibble::numerics;
using namespace nibble::numerics::test;

namespace {

std::vector<float> samples(size_t n) {
  RandomBits bits(5, 0, fnv1a32("reduce"));
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i)
    x[i] = std::ldexp(uniform(bits, i), static_cast<int>(i % 13));
  return x;
}

/// The law once more, written as a tree instead of loops over lanes.
float lane(const std::vector<float> &x, size_t begin, size_t end, size_t j) {
  float sum = 0;
  for (size_t i = begin + j; i < end; i += 16)
    sum += x[i];
  return sum;
}
float combined(const std::vector<float> &x, size_t begin, size_t end, size_t j, size_t distance) {
  if (distance == 16)
    return lane(x, begin, end, j);
  return combined(x, begin, end, j, 2 * distance) +
         combined(x, begin, end, j + distance, 2 * distance);
}

} // namespace

// Lanes, the tree over them and the blocks are added in the order of the law, bit for bit.
TEST(FlatSum, Order) {
  for (size_t n : {0, 1, 15, 16, 17, 4095, 4096, 4097, 20000}) {
    auto x = samples(n);
    double want = 0;
    for (size_t b = 0; b < n; b += 4096)
      want += combined(x, b, std::min(n, b + 4096), 0, 1);
    EXPECT_EQ(flatSum(n, [&](size_t i) { return x[i]; }), want) << n;
  }
}

// The order is visible: terms that cancel only in one order give that order's result.
TEST(FlatSum, OrderMatters) {
  std::vector<float> x(32, 0.0f);
  x[0] = 1.0e8f;
  x[16] = 1.0f; // the same lane: lost
  x[8] = -1.0e8f;
  x[1] = 1.0f; // another lane: kept
  EXPECT_EQ(flatSum(32, [&](size_t i) { return x[i]; }), 1.0);
}

// Against the exact sum the error is at most (256 + 4 + blocks) half-ulps of the sum of magnitudes.
TEST(FlatSum, Error) {
  const size_t n = 100000;
  auto x = samples(n);
  double exact = 0, magnitude = 0;
  for (float v : x) {
    exact += v;
    magnitude += std::fabs(v);
  }
  double error = std::fabs(flatSum(n, [&](size_t i) { return x[i]; }) - exact);
  EXPECT_LE(error, 260 * 0x1p-24 * magnitude);
  EXPECT_GT(magnitude, 0);
}

// In double the same order gives a sum without visible error.
TEST(FlatSum, Double) {
  const size_t n = 10000;
  double sum = flatSum(n, [](size_t i) { return double(i) * 0.1; });
  EXPECT_NEAR(sum, 0.1 * (double(n) * (n - 1) / 2), 1e-6);
}

// A per-channel block is one f32 accumulator, and blocks are added in f64.
TEST(ChannelSum, Order) {
  EXPECT_EQ(channelBlockRows(4, 5, 7), 35u);
  EXPECT_EQ(channelBlockRows(2, 0, 0), 96u);
  auto x = samples(1000);
  double want = 0;
  float block = 0;
  for (size_t i = 0; i < 1000; ++i) {
    block += x[i];
    if (i % 96 == 95 || i == 999) {
      want += block;
      block = 0;
    }
  }
  EXPECT_EQ(channelSum(1000, 96, [&](size_t i) { return x[i]; }), want);
}

// A whole-tensor sum adds the channels' sums in ascending order.
TEST(ChannelSum, Tensor) {
  auto x = samples(300 * 4);
  auto term = [&](size_t row, size_t c) { return x[row * 4 + c]; };
  double want = 0;
  for (size_t c = 0; c < 4; ++c)
    want += channelSum(300, 96, [&](size_t row) { return term(row, c); });
  EXPECT_EQ(tensorSum(300, 4, 96, term), want);
}

// Every other sum is one accumulator, ascending.
TEST(PlainSum, Order) {
  auto x = samples(777);
  float want = 0;
  for (float v : x)
    want += v;
  EXPECT_EQ(plainSum(777, [&](size_t i) { return x[i]; }), want);
}

// Maxima of magnitudes skip NaN and do not depend on the order.
TEST(MaxAbs, SkipsNan) {
  FloatOps o;
  float forward = 0, backward = 0;
  std::vector<float> x = {1.0f, -3.0f, kNan, 2.0f};
  for (size_t i = 0; i < 4; ++i) {
    forward = maxAbs(forward, x[i]);
    backward = generic::maxAbs(o, backward, x[3 - i]);
  }
  EXPECT_EQ(forward, 3.0f);
  EXPECT_EQ(backward, 3.0f);
}
