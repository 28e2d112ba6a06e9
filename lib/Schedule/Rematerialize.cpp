//===- Rematerialize.cpp - computing again instead of storing and reading ------===//
//
// A value that an element-wise group hands to others, and that cheap ops make from what is in
// memory anyway, may be computed again by each group that reads it. Bytes decide, counted for one
// value v of the group's size that k groups read:
//
//   stored       2 writes of v (a cache line is fetched before it is written) and k reads of v
//   again        in each of the k groups, reads of what makes v and is not read there already
//
// Values are looked at in the order of the groups, so what makes v has been decided before. The
// groups stand near, since what makes v has to live until the last of them.
//
//===----------------------------------------------------------------------===//
#include "Grouping.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Schedule/Storage.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::schedule;

/// Values smaller than this stay in caches.
static constexpr int64_t leastElements = 65536;
/// Ops that are computed again for one value.
static constexpr size_t mostOps = 6;
/// Groups between the one that makes a value and the last one that reads it.
static constexpr size_t nearby = 8;

/// An instruction or two an element.
static bool isCheap(Operation *op) {
  return isa<nn::AbsOp, nn::AddOp, nn::ClipLearnedOp, nn::ClipOp, nn::FmaOp, nn::LeakyReluOp,
             nn::MaskOp, nn::MaxOp, nn::MinOp, nn::MulOp, nn::NegOp, nn::ReluOp, nn::SelectOp,
             nn::SubOp>(op);
}

static int64_t bitsOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getNumElements() * q4::storageBits(type.getElementType());
}

namespace {

class Rematerializer {
public:
  explicit Rematerializer(Grouping &grouping) : grouping(grouping), order(grouping.order()) {
    position.resize(grouping.groups.size());
    for (auto [at, group] : llvm::enumerate(order))
      position[group] = at;
  }

  void run() {
    for (size_t group : order)
      for (size_t i = 0; i < grouping.groups[group].ops.size(); ++i) // copies come in front
        consider(grouping.groups[group].ops[i], group);
    for (size_t group : llvm::reverse(order))
      eraseUnread(group);
  }

private:
  using Uses = llvm::MapVector<size_t, SmallVector<OpOperand *>>;

  void consider(Operation *op, size_t group) {
    const OpGroup &maker = grouping.groups[group];
    if (!maker.elementwise || op->getNumResults() != 1 || !isCheap(op) ||
        elementsOf(op->getResult(0)) != maker.elements || maker.elements < leastElements)
      return;
    SmallVector<Operation *> cone = coneOf(op->getResult(0), grouping, group, mostOps);
    Uses uses;
    if (cone.empty() || !llvm::all_of(cone, isCheap) || !collect(op->getResult(0), uses))
      return;
    uses.erase(group);
    int64_t stored = (2 + uses.size()) * bitsOf(op->getResult(0)), again = 0;
    for (size_t reader : llvm::make_first_range(uses)) {
      if (!mayCompute(reader, group, cone.size()))
        return;
      again += bitsReadMore(cone, reader);
    }
    if (uses.empty() || again >= stored)
      return;
    for (auto &[reader, operands] : uses)
      computeAgain(cone, reader, operands);
  }

  /// The uses of a value and of its reshapes, by group; false where one is in no group.
  bool collect(Value value, Uses &uses) {
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      if (isa<nn::ReshapeOp>(user)) {
        if (!collect(user->getResult(0), uses))
          return false;
        continue;
      }
      auto found = grouping.groupOf.find(user);
      if (found == grouping.groupOf.end())
        return false;
      uses[found->second].push_back(&use);
    }
    return true;
  }

  bool mayCompute(size_t reader, size_t maker, size_t ops) {
    const OpGroup &from = grouping.groups[maker], &to = grouping.groups[reader];
    return to.elementwise && to.elements == from.elements && to.segment == from.segment &&
           position[reader] - position[maker] <= nearby && to.ops.size() + ops <= largestGroup;
  }

  /// What comes into the ops from elsewhere.
  llvm::SetVector<Value> inputsOf(ArrayRef<Operation *> ops) {
    DenseSet<Operation *> inside(ops.begin(), ops.end());
    llvm::SetVector<Value> inputs;
    for (Operation *op : ops)
      for (Value operand : op->getOperands())
        forEachSource(operand, [&](Value source) {
          Operation *maker = source.getDefiningOp();
          if (!inside.contains(maker) && !isa_and_nonnull<arith::ConstantOp>(maker))
            inputs.insert(source);
        });
    return inputs;
  }

  int64_t bitsReadMore(ArrayRef<Operation *> cone, size_t reader) {
    llvm::SetVector<Value> known = inputsOf(grouping.groups[reader].ops);
    int64_t bits = 0;
    for (Value input : inputsOf(cone))
      bits += known.contains(input) ? 0 : bitsOf(input);
    return bits;
  }

  void computeAgain(ArrayRef<Operation *> cone, size_t reader, ArrayRef<OpOperand *> operands) {
    Operation *op = cone.back();
    OpBuilder builder(op->getContext());
    builder.setInsertionPointAfter(op);
    SmallVector<Operation *> copies = cloneCone(builder, cone);
    for (Operation *copy : copies)
      grouping.groupOf[copy] = reader;
    SmallVector<Operation *> &ops = grouping.groups[reader].ops;
    ops.insert(ops.begin() + front[reader], copies.begin(), copies.end());
    front[reader] += copies.size();
    for (OpOperand *use : operands)
      use->set(shapedLike(builder, copies.back()->getResult(0), use->get().getType()));
  }

  void eraseUnread(size_t group) {
    SmallVector<Operation *> &ops = grouping.groups[group].ops;
    for (size_t i = ops.size(); i-- > 0;) {
      Operation *op = ops[i];
      for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
        if (isa<nn::ReshapeOp>(user) && user->use_empty())
          user->erase();
      if (!op->use_empty() || !isMemoryEffectFree(op))
        continue;
      grouping.groupOf.erase(op);
      ops.erase(ops.begin() + i);
      op->erase();
    }
  }

  Grouping &grouping;
  SmallVector<size_t> order, position;
  DenseMap<size_t, size_t> front; // how many copies stand at a group's front
};

} // namespace

void nibble::schedule::rematerialize(Grouping &grouping) { Rematerializer(grouping).run(); }
