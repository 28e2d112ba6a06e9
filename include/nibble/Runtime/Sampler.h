//===- Sampler.h - The order of samples -------------------------*- C++ -*-===//
//
// The order of an epoch is a function of (seed, epoch) alone: it depends neither on threads nor on
// where a run was stopped and resumed. It is the identity shuffled by numerics::shuffle: Fisher–Yates
// downward, Philox 4×32-10 in a stream of its own, the word u becoming the place ⌊u·(i + 1)/2^32⌋
// (multiply-shift: relative bias of a place at most (i + 1)/2^32, 1.4e-5 at 60,000 samples).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_SAMPLER_H
#define NIBBLE_RUNTIME_SAMPLER_H

#include <cstdint>
#include <span>
#include <vector>

namespace nibble::runtime {

/// The permutation of 0 … count − 1 of one epoch.
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

  /// The next `batch` indices; starts the next epoch when no full batch is left. Valid until the
  /// next call.
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
