//===- SamplerTest.cpp - The order of samples ---------------------------------------------===//

#include "nibble/Runtime/Sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

using namespace nibble::runtime;

namespace {

std::vector<uint32_t> take(Sampler &sampler, int batches) {
  std::vector<uint32_t> all;
  for (int i = 0; i < batches; ++i) {
    std::span<const uint32_t> batch = sampler.next();
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

// Law: an epoch's order is a permutation.
TEST(Sampler, OrderIsAPermutation) {
  for (uint32_t count : {1u, 2u, 3u, 17u, 1000u}) {
    std::vector<uint32_t> order = epochOrder(7, 3, count), identity(count);
    std::iota(identity.begin(), identity.end(), 0u);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, identity);
  }
}

// Law: the order follows from seed and epoch alone, and differs when either does.
TEST(Sampler, OrderFollowsFromSeedAndEpoch) {
  EXPECT_EQ(epochOrder(7, 3, 500), epochOrder(7, 3, 500));
  EXPECT_NE(epochOrder(7, 3, 500), epochOrder(8, 3, 500));
  EXPECT_NE(epochOrder(7, 3, 500), epochOrder(7, 4, 500));
  EXPECT_NE(epochOrder(7, 3, 500), epochOrder(7 + (uint64_t(1) << 32), 3, 500));
}

// Law: every item is equally likely at every place: 24,000 shuffles of four, each of 16 cells
// within 5 σ of 6,000.
TEST(Sampler, ShuffleIsUniform) {
  int counts[4][4] = {};
  for (uint32_t epoch = 0; epoch < 24000; ++epoch) {
    std::vector<uint32_t> order = epochOrder(1, epoch, 4);
    for (size_t place = 0; place < 4; ++place)
      ++counts[place][order[place]];
  }
  for (auto &row : counts)
    for (int count : row)
      EXPECT_NEAR(count, 6000, 5 * 67.1); // √(24000 · ¼ · ¾)
}

// Law: an epoch gives full batches of distinct samples and drops the rest.
TEST(Sampler, LastPartialBatchIsDropped) {
  Sampler sampler(1, 10, 4);
  EXPECT_EQ(sampler.batchesPerEpoch(), 2u);
  std::vector<uint32_t> seen = take(sampler, 2);
  EXPECT_EQ(sampler.position().epoch, 0u);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
  (void)sampler.next();
  EXPECT_EQ(sampler.position(), (Sampler::Position{1, 4}));
}

// Law: a sampler that was put at a saved position goes on as the first one does, within an epoch
// and at its end.
TEST(Sampler, ResumesAnywhere) {
  for (int before = 0; before < 6; ++before) {
    Sampler first(5, 10, 3), second(5, 10, 3);
    (void)take(first, before);
    second.seek(first.position());
    EXPECT_EQ(take(first, 7), take(second, 7)) << before;
  }
}

} // namespace
