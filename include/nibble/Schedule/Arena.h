//===- Arena.h - places in one block of memory --------------------*- C++ -*-===//
#pragma once

#include <cstdint>
#include <vector>

namespace nibble {

/// Every buffer starts at a multiple of this and is padded to one, so that generated code may read and write whole vectors.
inline constexpr int64_t bufferAlignment = 128;

inline int64_t alignedBytes(int64_t bytes) { return (bytes + bufferAlignment - 1) / bufferAlignment * bufferAlignment; }

/// A buffer that is alive from step `first` to step `last`, both included. `bytes` is a multiple of bufferAlignment.
struct Lifetime {
  int64_t bytes;
  int64_t first, last;
};

struct Placement {
  std::vector<int64_t> offsets;
  int64_t peak = 0;
};

/// Offsets such that buffers alive at the same step never overlap: largest first, each at the lowest free offset (greedy by
/// size; Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020). Deterministic.
Placement placeBuffers(const std::vector<Lifetime> &buffers);

/// The largest sum of bytes alive at one step: no placement needs less.
int64_t liveBound(const std::vector<Lifetime> &buffers);

} // namespace nibble
