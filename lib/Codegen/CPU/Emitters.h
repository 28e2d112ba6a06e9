//===- Emitters.h - one emitter an op, a file a family -------------*- C++ -*-===//
//
// An emitter writes, at the group's builder, the loops of one op from its operands' buffers to its
// results' buffers. What it computes is said by lib/Reference, whose bits it has to give. Scratch:
// `scratchParts` lists the sizes of the pieces that the emitter takes by number (Group::scratch).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "Group.h"
#include "nibble/Codegen/CPU/CpuTarget.h"
#include "nibble/Dialect/Train/IR/Train.h"

namespace nibble::codegen {

// ElementwiseEmitter.cpp: all of a group's ops in one loop.
bool isElementwiseBody(Block &body);
/// May the op be one of several in a loop?
bool isInLoop(Operation &op);
/// `chained`: the body's argument that a product makes just before it is read; may be null.
SmallVector<int64_t> elementwiseScratch(Block &body, Value chained = nullptr);
/// What makes that argument, the body's last.
struct Chained {
  /// Emits it, and `read` within its loops, once: the code that reads a unit, by its number. The
  /// units, each of `elements`, come in no particular order.
  std::function<void(int64_t elements, function_ref<void(Value unit)> read)> emit;
  /// Are results of so many bytes stored past the caches? A unit that stored some ends with
  /// `drain`.
  std::function<bool(int64_t bytes)> streams;
  std::function<void()> drain;
};
LogicalResult emitElementwise(Group &group, const Chained *chained = nullptr);
/// A unit is what sums per channel take as a block: an image, or 96 rows.
struct ChannelShape;
ChannelShape unitOf(Block &body, Value chained);

// ProductChain.cpp: a product, and element-wise ops that read its results while they are in the
// caches.
Operation *chainedProduct(Block &body);
int64_t chainScratchBytes(Block &body, const CpuTarget &target);
LogicalResult emitChain(plan::GroupOp op, OpBuilder &b, ConstantPool &pool,
                        const CpuTarget &target);

/// Rows of a 16 x 16 matrix become its columns, in registers (ShapeEmitters.cpp).
void transposeTile(LoopBuilder &e, SmallVector<Value> &rows);

/// A fold (trait FoldLike) in the making: what FlatFold needs, with the operand's block handed in,
/// and what becomes of the accumulators after the loop.
struct FoldRule {
  SmallVector<Value> init;
  std::function<Value(unsigned i, Value a, Value b)> merge;
  std::function<SmallVector<Value>(Value block, ValueRange soFar, std::optional<VectorOps::B> mask)>
      update;
  std::function<void(ValueRange found)> finish;
};
FoldRule foldRule(Group &group, Operation *op); // FlatEmitters.cpp
/// How many accumulators it has.
unsigned foldWidth(Operation *op);
/// Code of an op with the trait HardlyReads; `maximum` writes what finds max|x|, where it is
/// needed.
void emitLasting(Group &group, Operation *op, function_ref<Value()> maximum); // FlatEmitters.cpp

/// The elements of a train.random_bits, made in registers. Construct it outside the loop.
class RandomBlocks {
public:
  /// Blocks of 32 elements whose bits are best made together.
  static constexpr int64_t kAtOnce = 4;
  RandomBlocks(Group &group, train::RandomBitsOp op);
  /// `blocks` blocks from `element`, a multiple of 32, on, each as vector<32xi16>.
  SmallVector<Value> at(Value element, int64_t blocks) const;

private:
  Value some(Value element, int64_t elements) const;

  LoopBuilder &e;
  Value key0, key1, step; ///< i32
  int32_t stream;
};

// The families. Each emits `op` and returns success, or failure with an error; `nullopt` where it
// is none of theirs.
using Emitted = std::optional<LogicalResult>;
Emitted emitStatistics(Group &group,
                       Operation *op); // FlatEmitters.cpp: absmax, range, non_finite, sawb_clip, …
Emitted emitScale(Group &group, Operation *op); // ScaleEmitters.cpp: scalars from scalars
Emitted emitLoss(Group &group, Operation *op);  // LossEmitters.cpp: softmax, cross-entropy, mse
Emitted emitChannel(Group &group,
                    Operation *op); // ChannelEmitters.cpp: sums per channel, batch norm
Emitted emitLayerNorm(Group &group, Operation *op); // LayerNormEmitters.cpp
Emitted emitShape(Group &group, Operation *op);     // ShapeEmitters.cpp: moves
Emitted emitReduce(Group &group, Operation *op);    // ReduceEmitters.cpp: reduce_sum, reduce_mean
Emitted emitPool(Group &group, Operation *op);      // PoolEmitters.cpp
Emitted emitRandom(Group &group, Operation *op);    // RandomEmitters.cpp

SmallVector<int64_t> statisticsScratch(Operation *op);
SmallVector<int64_t> lossScratch(Operation *op);
SmallVector<int64_t> channelScratch(Operation *op);
SmallVector<int64_t> layerNormScratch(Operation *op);

/// An op that makes no code of its own. A decoder beside another op is part of how that reads.
bool isSilent(Operation *op);
/// The one op of a body that is no constant, reshape, save or yield; null where there is none, or
/// more than one.
Operation *singleOp(Block &body);
/// The buffers of a product's operands; an error where one has none.
FailureOr<SmallVector<Value>> operandBuffers(plan::GroupOp group, Operation *op);
/// Scratch of a body that is no contraction.
SmallVector<int64_t> scratchParts(Block &body);
/// Bytes of scratch of any body.
int64_t scratchBytes(Block &body, const CpuTarget &target);
/// Code of the group before its op; the caller erases the op.
LogicalResult emitGroup(plan::GroupOp op, OpBuilder &b, ConstantPool &pool,
                        const CpuTarget &target);

} // namespace nibble::codegen
