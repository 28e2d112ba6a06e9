//===- Sampler.cpp - The order of samples --------------------------------------------===//

#include "nibble/Runtime/Sampler.h"

#include "nibble/Numerics/Random.h"

#include <algorithm>
#include <numeric>

using namespace nibble::runtime;

std::vector<uint32_t> nibble::runtime::epochOrder(uint64_t seed, uint32_t epoch, uint32_t count) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  numerics::shuffle(order.data(), order.size(), seed, epoch);
  return order;
}

Sampler::Sampler(uint64_t seed, uint32_t count, uint32_t batch)
    : seed(seed), count(count), batch(std::clamp(batch, 1u, std::max(count, 1u))) {}

std::span<const uint32_t> Sampler::next() {
  if (count - here.offset < batch) {
    ++here.epoch;
    here.offset = 0;
    order.clear();
  }
  if (order.empty())
    order = epochOrder(seed, here.epoch, count);
  std::span<const uint32_t> indices = std::span<const uint32_t>(order).subspan(here.offset, batch);
  here.offset += batch;
  return indices;
}

void Sampler::seek(Position position) {
  if (position.epoch != here.epoch)
    order.clear();
  here = position;
  here.offset = std::min(here.offset, count);
}
