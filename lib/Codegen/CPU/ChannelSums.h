//===- ChannelSums.h - per-channel reductions ----------------------*- C++ -*-===//
//
// numerics::channelSum (numerics.md, section 5): a tensor is rows × channels; a block is one image
// (rank 4) or 96 rows. Block sums are made in f32, each by one thread, rows ascending, and added
// ascending in f64. Vectorized over channels.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "Group.h"

namespace nibble::codegen {

struct ChannelShape {
  explicit ChannelShape(RankedTensorType type);
  int64_t rows, channels, blockRows, blocks;
  /// Channels in scratch: whole vectors.
  int64_t padded() const { return llvm::alignTo(channels, kBlock); }
};

/// How an op with the trait ChannelFoldLike is summed: alone, or in the loop of an element-wise
/// group.
struct ChannelRule {
  unsigned k = 1;
  /// Does it read packed operands, that is whole blocks of 32 elements only?
  bool packed = false;
  /// Per-channel values of `lanes` channels from `first` on.
  std::function<SmallVector<Value>(Value first, int64_t lanes, int64_t active)> prepare;
  /// The k terms of `lanes` elements, from the elements of the operands that are walked.
  using Elements = function_ref<Value(Value operand)>;
  std::function<SmallVector<Value>(Elements elements, ArrayRef<Value> prepared, int64_t lanes)>
      terms;
  /// Stores what follows from the block sums in part `part` of the scratch.
  std::function<void(unsigned part)> finish;
};
ChannelRule channelRule(Group &group, Operation *op); // ChannelEmitters.cpp
/// Terms of a row and channel that the op sums.
unsigned channelWidth(Operation *op);

/// Lanes of a vector of channels, where terms are read straight from memory.
inline constexpr int64_t kChannelLanes = 16;

/// Per-channel values of the channels from `first` on, loaded once a block.
using ChannelPrepare = function_ref<SmallVector<Value>(Value first, int64_t active)>;
/// The k terms of 16 channels of a row, at flat index `at`.
using ChannelTerms =
    function_ref<SmallVector<Value>(Value at, int64_t active, ArrayRef<Value> prepared)>;
/// Makes the block sums in part `part` of the scratch.
void channelBlockSums(Group &group, unsigned part, const ChannelShape &shape, unsigned k,
                      ChannelPrepare prepare, ChannelTerms terms);

/// The k terms of the 32 elements at flat index `at`, a multiple of 32: for operands that are
/// packed.
using FlatTerms = function_ref<SmallVector<Value>(Value at)>;
/// The same from terms of flat blocks; where rows do not begin at blocks, by way of part `part +
/// 1`.
void channelBlockSums(Group &group, unsigned part, const ChannelShape &shape, unsigned k,
                      FlatTerms terms);

/// One past the last row of a block.
Value endOfBlock(LoopBuilder &e, const ChannelShape &shape, Value firstRow);
/// Where the sums of a block begin that belong to `channel` and those behind it: term i of k.
Value sumAt(LoopBuilder &e, const ChannelShape &shape, unsigned k, Value block, unsigned i,
            Value channel);

/// body(first, active, sums): the k unrounded sums of 16 channels as vector<16xf64>.
void forChannelSums(Group &group, unsigned part, const ChannelShape &shape, unsigned k,
                    function_ref<void(Value first, int64_t active, ArrayRef<Value> sums)> body);
/// numerics::tensorSum: the channels' sums added ascending; k values of f64.
SmallVector<Value> sumChannels(Group &group, unsigned part, const ChannelShape &shape, unsigned k);

/// Bytes of part `part`, and of part `part + 1` for flat terms.
int64_t channelSumsScratch(const ChannelShape &shape, unsigned k);
int64_t channelStageScratch(const ChannelShape &shape, unsigned k);

} // namespace nibble::codegen
