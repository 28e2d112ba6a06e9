//===- Sampler.h - The order of samples -------------------------*- C++ -*-===//
//
// The order of an epoch is a function of (seed, epoch) alone: it depends neither on threads nor on where
// a run was stopped and resumed. Fisher–Yates from the identity, downward: for i = n − 1 … 1 swap i with
// j drawn uniformly from 0 … i. Random words: Philox 4×32-10 (numerics.md, section 6), key the seed,
// counter (low, high word of the draw's block, epoch, stream of its own); draw d takes word d mod 4 of
// block ⌊d/4⌋. A word u becomes j = ⌊u·(i + 1)/2^32⌋, drawn again while the low half of the product is
// below 2^32 mod (i + 1), which makes j exactly uniform (Lemire, ACM TOMACS 29(1), 2019).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_SAMPLER_H
#define NIBBLE_RUNTIME_SAMPLER_H

#include <cstdint>
#include <span>
#include <vector>

namespace nibble::runtime {

/// A permutation of 0 … count − 1 for one epoch; the identity where `shuffle` is false.
std::vector<uint32_t> epochOrder(uint64_t seed, uint32_t epoch, uint32_t count);

class Sampler {
public:
  /// All that is needed to go on: save it, restore it, and the same samples follow.
  struct Position {
    uint32_t epoch = 0;
    /// Samples of this epoch already given out.
    uint32_t offset = 0;
    bool operator==(const Position &) const = default;
  };

  /// `count` samples, at least one; `batch` rows, at least one and at most `count`.
  Sampler(uint64_t seed, uint32_t count, uint32_t batch);

  /// Full batches of an epoch; the last partial one is dropped.
  uint32_t batchesPerEpoch() const { return count / batch; }

  /// The next `batch` indices; starts the next epoch when no full batch is left. Valid until the next call.
  std::span<const uint32_t> next();

  Position position() const { return here; }
  /// Goes to a saved position (offset a multiple of the batch, at most the epoch's).
  void seek(Position position);

private:
  uint64_t seed;
  uint32_t count;
  uint32_t batch;
  Position here;
  std::vector<uint32_t> order;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_SAMPLER_H
