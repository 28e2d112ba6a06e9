//===- ArenaTest.cpp - laws of the memory plan --------------------------------===//
#include "nibble/Schedule/Arena.h"

#include "gtest/gtest.h"

#include <random>

using namespace nibble;

namespace {

std::vector<Lifetime> randomBuffers(unsigned seed, size_t count) {
  std::mt19937 random(seed);
  std::vector<Lifetime> buffers;
  for (size_t i = 0; i < count; ++i) {
    int64_t first = random() % 100, length = random() % (i % 7 ? 5 : 80);
    buffers.push_back({alignedBytes(1 + random() % 100000), first, first + length});
  }
  return buffers;
}

// Buffers that are alive at the same step never share a byte, and every offset is aligned.
TEST(Arena, LivesThatMeetDoNotOverlap) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    auto buffers = randomBuffers(seed, 120);
    Placement placement = placeBuffers(buffers);
    for (size_t i = 0; i < buffers.size(); ++i) {
      EXPECT_EQ(placement.offsets[i] % bufferAlignment, 0);
      EXPECT_LE(placement.offsets[i] + buffers[i].bytes, placement.peak);
      for (size_t j = 0; j < i; ++j) {
        bool meet = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
        bool apart = placement.offsets[i] + buffers[i].bytes <= placement.offsets[j] ||
                     placement.offsets[j] + buffers[j].bytes <= placement.offsets[i];
        ASSERT_TRUE(!meet || apart) << "seed " << seed << ", buffers " << i << " and " << j;
      }
    }
  }
}

// No plan needs less than what is alive at once; this one stays within 1.3 times of it on random lives.
TEST(Arena, PeakIsNearTheBound) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    auto buffers = randomBuffers(seed, 200);
    Placement placement = placeBuffers(buffers);
    EXPECT_GE(placement.peak, liveBound(buffers));
    EXPECT_LE(placement.peak, liveBound(buffers) * 13 / 10) << "seed " << seed;
  }
}

// A chain in which each value dies at its only reader alternates between two places.
TEST(Arena, AChainTakesTwoPlaces) {
  std::vector<Lifetime> buffers;
  for (int64_t i = 0; i < 50; ++i)
    buffers.push_back({1024, i, i + 1});
  EXPECT_EQ(placeBuffers(buffers).peak, 2048);
}

// The same buffers get the same places, whatever ran before.
TEST(Arena, IsDeterministic) {
  auto buffers = randomBuffers(7, 100);
  EXPECT_EQ(placeBuffers(buffers).offsets, placeBuffers(buffers).offsets);
}

TEST(Arena, NothingNeedsNothing) { EXPECT_EQ(placeBuffers({}).peak, 0); }

} // namespace
