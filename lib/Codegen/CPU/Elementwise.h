//===- Elementwise.h - the loop of an element-wise group ------------*- C++ -*-===//
//
// ElementwiseEmitter.cpp begins with what the loop is; ElementwiseFolds.cpp has what rides in it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ChannelSums.h"
#include "ElementwiseRules.h"
#include "Emitters.h"
#include "Sums.h"

namespace nibble::codegen {

inline int64_t countOf(Value v) { return cast<RankedTensorType>(v.getType()).getNumElements(); }
inline Type elementOf(Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); }

inline bool isRandom(Operation &op) { return isa<train::RandomBitsOp>(op); }
/// A fold over several elements, or an op that hardly ever folds them.
bool isFold(Operation &op);
/// The operand that a fold walks.
Value walkedBy(Operation &op);
/// Is it what a fold gives?
bool isFolded(Value v);

/// All of a group's ops in one loop.
class Elementwise {
public:
  explicit Elementwise(Group &group)
      : group(group), e(group.e), body(group.op.getBody().front()), n(iterationCount(body)),
        rules(e) {}
  /// The elements of the iteration space: the most that any value of the body has.
  static int64_t iterationCount(Block &body);

  LogicalResult emit();

private:
  /// In a group of several elements, operands of one element, and what is made of them alone, are
  /// outside the loop. In a group of one element everything is.
  bool isOutside(Value v) const { return countOf(v) == 1; }
  LogicalResult emitAll();
  LogicalResult checkShapes();
  void loadScalars();
  Value makeTable(Value argument, unsigned part);
  LogicalResult applyAll(bool inLoop);
  void prepareRandom();
  void makeRandom(Value at, int64_t blocks);
  LogicalResult emitBlock(Value at);
  LogicalResult emitLoop();
  LogicalResult emitFolds();
  LogicalResult emitChannels();
  LogicalResult checkChannelFold(Operation &op);
  void prepareFolds();
  SmallVector<Value> updateFolds(ValueRange soFar, std::optional<VectorOps::B> mask);
  void finishFolds(ValueRange found);
  SmallVector<Value> emitRow(Value at, int64_t tile, ArrayRef<SmallVector<Value>> prepared,
                             ValueRange soFar);
  SmallVector<SmallVector<Value>> prepareTile(Value first, int64_t tile);
  void forTileSums(const ChannelShape &shape, Value block, Value first, int64_t tile,
                   function_ref<void(Value memory, Value at)> fn);
  SmallVector<Value> sumNarrowBlock(const ChannelShape &shape, Value block, int64_t tile);
  SmallVector<Value> sumWideBlock(const ChannelShape &shape, Value block, int64_t tile);
  Value loadInLoop(Value argument, Value at);
  Value loadAt(Value value, Value at);
  Value loadJoined(Operation *concat, ArrayRef<int64_t> lengths, Value at);
  void storeAll(bool inLoop, Value at);

  Group &group;
  LoopBuilder &e;
  Block &body;
  int64_t n;
  Rules rules;
  llvm::DenseMap<Value, Value> tables;
  /// Random bits: their makers, and the blocks that are made and not yet used, the next one last.
  SmallVector<std::pair<train::RandomBitsOp, RandomBlocks>> random;
  SmallVector<SmallVector<Value>> madeBits;
  /// Where the block lies that is being made.
  Value here;
  unsigned foldPart = 0;
  /// Folds with their rules, and all of their accumulators.
  SmallVector<std::pair<Operation *, FoldRule>> folds;
  FlatFold all;
  /// Sums per channel.
  SmallVector<std::pair<Operation *, ChannelRule>> sums;
  SmallVector<Value> sumsMemory;
  /// What the fold of an op found that hardly ever runs it.
  Value lastingBits;
  LogicalResult result = success();
};

} // namespace nibble::codegen
