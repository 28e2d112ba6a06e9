//===- Sums.h - reductions whose order is defined ------------------*- C++ -*-===//
//
// The loops of Numerics/Reduce.h (numerics.md, section 5), vectorized without changing an order.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "Group.h"

namespace nibble::codegen {

/// Lanes of the flat reduction.
inline constexpr int64_t kLanes = 16;

/// The k terms of 16 elements from `at` on, as vector<16xf32> each. Only the first `active` lanes
/// count; no more may be read.
using Terms = function_ref<SmallVector<Value>(Value at, int64_t active)>;

/// numerics::flatBlockSum of terms begin … begin + length − 1 (length ≤ 4096): k values of f32.
SmallVector<Value> flatBlockSums(LoopBuilder &e, Value begin, int64_t length, unsigned k,
                                 Terms terms);
/// numerics::flatSum of `length` terms from `begin` on, on this thread: k values of f64.
SmallVector<Value> rowSums(LoopBuilder &e, Value begin, int64_t length, unsigned k, Terms terms);
/// numerics::flatSum of n terms, on several threads: k values of f64. Scratch: flatSumsScratch(n,
/// k) bytes in part `part`.
SmallVector<Value> flatSums(Group &group, unsigned part, int64_t n, unsigned k, Terms terms);
int64_t flatSumsScratch(int64_t n, unsigned k);

/// A fold over all elements whose order does not matter: maxima, flags, counts.
struct FlatFold {
  /// What each accumulator starts from: a constant vector of 32 lanes, or a constant scalar.
  SmallVector<Value> init;
  /// The accumulators after the block at element `at`; with a mask, only lanes where it is set take
  /// part.
  std::function<SmallVector<Value>(Value at, ValueRange soFar, std::optional<VectorOps::B> mask)>
      step;
  /// Accumulator i: two values of it, vectors or scalars, to one.
  std::function<Value(unsigned i, Value a, Value b)> merge;
  /// The last block is stepped over as a whole, like every other, once only (a step may then write
  /// blocks of its own, since buffers are padded); where n is no multiple of 32, every step gets a
  /// mask.
  bool wholeBlocks = false;
  /// Called before the steps over the `blocks` blocks from element `at` on: `together` of them, or
  /// one where fewer are left.
  std::function<void(Value at, int64_t blocks)> prepare;
  int64_t together = 1;
};
/// Several chunks, each by one thread: the accumulators after `chunk`, merged in ascending order.
/// `work`: elements of a chunk. Scratch: foldChunksScratch(chunks, accumulators) bytes in part
/// `part`.
using Chunk = function_ref<SmallVector<Value>(Value chunk)>;
SmallVector<Value> foldChunks(Group &group, unsigned part, int64_t chunks, int64_t work,
                              const FlatFold &fold, Chunk body);
int64_t foldChunksScratch(int64_t chunks, unsigned accumulators);

/// The same in several loops, each over some of the chunks, in any order.
class ChunkFolds {
public:
  /// Scratch: bytesOf(chunks, accumulators) in part `part`.
  ChunkFolds(Group &group, unsigned part, int64_t chunks, const FlatFold &fold);
  static int64_t bytesOf(int64_t chunks, unsigned accumulators) {
    return chunks * accumulators * 4;
  }
  /// What a chunk found, kept as scalars.
  void keep(Value chunk, Chunk body);
  /// The accumulators of all chunks, once all are kept.
  SmallVector<Value> merged();

private:
  LoopBuilder &e;
  int64_t chunks;
  const FlatFold &fold;
  SmallVector<Value> partial;
};
/// The accumulators as scalars. Scratch: foldFlatScratch(n, accumulators) bytes in part `part`.
SmallVector<Value> foldFlat(Group &group, unsigned part, int64_t n, const FlatFold &fold);
int64_t foldFlatScratch(int64_t n, unsigned accumulators);

/// The bits of max|x| as i32, where a NaN counts as more than infinity: 0x7F800000 < result iff
/// some element is NaN.
Value maxMagnitudeBits(Group &group, unsigned part, const Buffer &x);
/// The same as f32, 0x7FC00000 where any element is NaN.
Value magnitudeOf(LoopBuilder &e, Value bits);
/// max|x| as f32, 0x7FC00000 where any element is NaN.
Value absMax(Group &group, unsigned part, const Buffer &x);

} // namespace nibble::codegen
