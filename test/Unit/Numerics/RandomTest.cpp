//===- RandomTest.cpp - Philox and its use ----------------------------------===//

#include "Laws.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

using namespace nibble::numerics;

using Block = std::array<uint32_t, 4>;

// The published known-answer vectors of Random123 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Key, counter and half-word of an element are those of the law, far into a tensor as well.
TEST(RandomBits, Mapping) {
  const uint64_t seed = 0x123456789ABCDEF0ull;
  const uint32_t step = 77, stream = 0xDEADBEEF;
  RandomBits bits(seed, step, stream);
  for (uint64_t i : {uint64_t(0), uint64_t(1), uint64_t(7), uint64_t(8), uint64_t(12345),
                     (uint64_t(1) << 36) + 5}) {
    uint64_t b = i / 8, j = i % 8;
    Block words = philox4x32({uint32_t(b & 0xFFFFFFFF), uint32_t(b >> 32), step, stream},
                             {0x9ABCDEF0u, 0x12345678u});
    EXPECT_EQ(bits.at(i), uint16_t(words[j / 2] >> (16 * (j % 2))));
  }
}

// The order of asking does not matter.
TEST(RandomBits, OrderFree) {
  RandomBits forward(3, 4, 5), backward(3, 4, 5);
  std::vector<uint16_t> a(1000), b(1000);
  for (int i = 0; i < 1000; ++i)
    a[i] = forward.at(i);
  for (int i = 999; i >= 0; --i)
    b[i] = backward.at(i);
  EXPECT_EQ(a, b);
}

// Half-words of neighbouring elements, steps and streams look independent: their mean and the
// correlation of pairs stay within 5 sigma.
TEST(RandomBits, MomentsAndCorrelation) {
  const int n = 100000;
  RandomBits a(1, 10, 100), b(1, 11, 100), c(1, 10, 101);
  double sum = 0, neighbour = 0, steps = 0, streams = 0;
  auto centred = [](uint16_t u) { return (u + 0.5) / 65536.0 - 0.5; };
  for (int i = 0; i < n; ++i) {
    double x = centred(a.at(i));
    sum += x;
    neighbour += x * centred(a.at(i + 1));
    steps += x * centred(b.at(i));
    streams += x * centred(c.at(i));
  }
  EXPECT_LE(std::fabs(sum / n), 5 * std::sqrt(1.0 / 12 / n));
  for (double product : {neighbour, steps, streams})
    EXPECT_LE(std::fabs(product / n), 5 * (1.0 / 12) / std::sqrt(n));
}

// FNV-1a-32 of published vectors; streams are moved on until free, in program order.
TEST(Streams, FnvAndCollisions) {
  EXPECT_EQ(fnv1a32(""), 0x811C9DC5u);
  EXPECT_EQ(fnv1a32("a"), 0xE40C292Cu);
  EXPECT_EQ(fnv1a32("foobar"), 0xBF9CF968u);
  StreamAllocator streams;
  EXPECT_EQ(streams.take("y/dw/dy"), fnv1a32("y/dw/dy"));
  EXPECT_EQ(streams.take("y/dw/dy"), fnv1a32("y/dw/dy") + 1);
  EXPECT_EQ(streams.take("y/dx/dy"), fnv1a32("y/dx/dy"));
  EXPECT_EQ(randomStep(10, 4, 3), 43u);
}

// A shuffle is a permutation, another one each epoch, and the same one each time.
TEST(Shuffle, IsAPermutation) {
  std::vector<int> order(1000), again(1000), next(1000), sorted(1000);
  std::iota(sorted.begin(), sorted.end(), 0);
  order = again = next = sorted;
  shuffle(order.data(), order.size(), 42, 0);
  shuffle(again.data(), again.size(), 42, 0);
  shuffle(next.data(), next.size(), 42, 1);
  EXPECT_EQ(order, again);
  EXPECT_NE(order, next);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, sorted);
}

// The first item lands at every place about equally often: chi-square over 8 places, 5 sigma.
TEST(Shuffle, IsUniform) {
  const int n = 8, rounds = 8000;
  double counts[n] = {};
  for (int e = 0; e < rounds; ++e) {
    int items[n] = {0, 1, 2, 3, 4, 5, 6, 7};
    shuffle(items, n, 9, uint32_t(e));
    counts[std::find(items, items + n, 0) - items] += 1;
  }
  double chi = 0, expected = double(rounds) / n;
  for (double c : counts)
    chi += (c - expected) * (c - expected) / expected;
  EXPECT_LE(chi, (n - 1) + 5 * std::sqrt(2.0 * (n - 1)));
}

// The threshold of dropout is the nearest of 65,537 ones.
TEST(Dropout, Threshold) {
  EXPECT_EQ(dropThreshold(0.0), 0u);
  EXPECT_EQ(dropThreshold(0.5), 32768u);
  EXPECT_EQ(dropThreshold(1.0), 65536u);
  EXPECT_EQ(dropThreshold(0.3), 19661u);
  EXPECT_EQ(dropThreshold(0.5 / 65536), 0u);
  EXPECT_EQ(dropThreshold(1.5 / 65536), 2u);
}
