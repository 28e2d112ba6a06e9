//===- Grouping.h - which ops become one loop nest ------------------*- C++ -*-===//
#pragma once

#include "nibble/Interfaces/Interfaces.h"

#include "llvm/ADT/BitVector.h"

namespace nibble::schedule {

using namespace mlir;

/// Registers are finite: a group past this many ops would spill more than it saves.
inline constexpr size_t largestGroup = 48;

/// Ops that become one piece of code, in an order that respects what they read.
struct OpGroup {
  SmallVector<Operation *> ops;
  bool elementwise = false;
  int64_t elements = 0;
  int segment = 0;
  llvm::BitVector dependsOn;   // groups that this one needs, directly or not
  SmallVector<size_t> readers; // groups that need this one directly, some more than once
};

/// Finds the groups of one block. What a `HardlyReads` op reads is copied for it.
class Grouping {
public:
  explicit Grouping(Block &block);

  SmallVector<OpGroup> groups;
  DenseMap<Operation *, size_t> groupOf;

  /// The groups in an order that respects dependences, otherwise by their last op's place in the
  /// program.
  SmallVector<size_t> order() const;

  /// Puts the ops of one group in front of those of another, which reads them; the first is empty
  /// then. No third group may need the first and be needed by the second.
  void merge(size_t maker, size_t reader);

private:
  void place(Operation *op);
  void placeLeaf(Operation *op);
  size_t newGroup(bool elementwise, int64_t elements);
  size_t partner(Operation *op, const llvm::BitVector &direct, const llvm::BitVector &needs,
                 int64_t elements);
  void join(Operation *op, size_t target, llvm::BitVector direct, const llvm::BitVector &needs);
  SmallVector<Operation *> copyForReader(Operation *op);

  int segment = 0;
  SmallVector<size_t> lonelyLeaves; // groups, one leaf each
  size_t capacity = 0;              // bits in each dependsOn
  DenseMap<Value, SmallVector<size_t>> readers;
  SmallVector<std::pair<Operation *, size_t>> sequence;
};

/// Elements of a tensor.
int64_t elementsOf(Value value);
/// An op that no group makes, a decoder or one that moves elements: each group that reads it has a
/// copy.
bool isCopiedToReaders(Operation *op);
/// Is an operand read at other places of the memory than its own, through such a copy?
bool isMoved(Value operand);
/// Is what an operand reads of its maker there only after the maker's loop?
bool isAfterLoop(Operation *maker, Value operand);
/// The values in memory that an operand is read from: more than one behind a decoder.
void forEachSource(Value operand, llvm::function_ref<void(Value)> body);
/// The one of them that has an operand's elements.
Value sourceOf(Value operand);
/// The ops of the group that make `value` from what comes from outside the group, the last one last.
/// Empty where one of them is not element-wise, or where there are more than `most`.
SmallVector<Operation *> coneOf(Value value, const Grouping &grouping, size_t group, size_t most);

/// Copies of a cone's ops where the builder stands, in the same order.
SmallVector<Operation *> cloneCone(OpBuilder &builder, ArrayRef<Operation *> cone);
/// The value, reshaped to `type` where that is another.
Value shapedLike(OpBuilder &builder, Value value, Type type);

/// Do the sums per channel of two groups fit into one loop?
bool channelFoldsFit(const OpGroup &a, const OpGroup &b);
/// Can a loop that hands a tensor to a later one become one with it? (MergeGroups.cpp)
bool mayMerge(const Grouping &grouping, size_t maker, size_t reader);
/// Computes cheap values again where that moves fewer bytes than storing them (Rematerialize.cpp).
void rematerialize(Grouping &grouping);

} // namespace nibble::schedule
