//===- Arena.cpp - places in one block of memory -----------------------------===//
#include "nibble/Schedule/Arena.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace nibble {

Placement placeBuffers(const std::vector<Lifetime> &buffers) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return buffers[a].bytes != buffers[b].bytes ? buffers[a].bytes > buffers[b].bytes : a < b;
  });

  Placement result;
  result.offsets.assign(buffers.size(), 0);
  std::vector<size_t> placed; // ascending by offset
  for (size_t i : order) {
    const Lifetime &buffer = buffers[i];
    int64_t offset = 0;
    for (size_t j : placed) {
      const Lifetime &other = buffers[j];
      if (other.last < buffer.first || buffer.last < other.first)
        continue;
      if (result.offsets[j] - offset >= buffer.bytes)
        break;
      offset = std::max(offset, result.offsets[j] + other.bytes);
    }
    result.offsets[i] = offset;
    result.peak = std::max(result.peak, offset + buffer.bytes);
    auto place = std::upper_bound(placed.begin(), placed.end(), offset,
                                  [&](int64_t value, size_t j) { return value < result.offsets[j]; });
    placed.insert(place, i);
  }
  return result;
}

int64_t liveBound(const std::vector<Lifetime> &buffers) {
  std::map<int64_t, int64_t> change;
  for (const Lifetime &buffer : buffers) {
    change[buffer.first] += buffer.bytes;
    change[buffer.last + 1] -= buffer.bytes;
  }
  int64_t live = 0, most = 0;
  for (auto [step, bytes] : change)
    most = std::max(most, live += bytes);
  return most;
}

} // namespace nibble
