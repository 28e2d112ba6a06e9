//===- FormGroups.cpp - ops to pieces that become one loop nest --------------===//
#include "nibble/Schedule/Passes.h"

#include "Grouping.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Schedule/Storage.h"

#include "mlir/IR/IRMapping.h"

namespace nibble {
#define GEN_PASS_DEF_FORMGROUPS
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;
using namespace nibble::schedule;

namespace {

/// Writes the groups into the function.
class Rewriter {
public:
  Rewriter(func::FuncOp function, const Grouping &grouping)
      : block(function.getBody().front()), grouping(grouping), builder(function.getContext()) {
    for (Operation &op : block)
      if (!isa<arith::ConstantOp>(op))
        old.push_back(&op);
  }

  void run() {
    builder.setInsertionPoint(block.getTerminator());
    // Reads first (each sees the value from before the step), then groups, with guard and writes at
    // their place.
    for (Operation *op : old)
      if (isa<train::ReadOp>(op))
        cloneGlue(op);
    int segment = 0;
    for (size_t g : grouping.order()) {
      for (; segment < grouping.groups[g].segment; ++segment)
        emitGuard(segment);
      emit(grouping.groups[g]);
    }
    for (Operation *op : old)
      if (isa<train::GuardOp>(op) && segment-- <= 0)
        cloneGlue(op);
    for (Operation *op : old)
      if (isa<train::ReportOp, train::WriteOp>(op))
        cloneGlue(op);
    Operation *terminator = block.getTerminator();
    for (OpOperand &operand : terminator->getOpOperands())
      operand.set(mapped(operand.get()));
    for (Operation *op : llvm::reverse(old))
      if (op != terminator)
        op->erase();
  }

private:
  void emitGuard(int index) {
    for (Operation *op : old)
      if (isa<train::GuardOp>(op) && index-- == 0)
        cloneGlue(op);
  }

  void cloneGlue(Operation *op) {
    IRMapping map;
    for (Value operand : op->getOperands())
      map.map(operand, mapped(operand));
    values.map(op->getResults(), builder.clone(*op, map)->getResults());
  }

  /// The new function's value for an old one; reshapes are cloned where they are first needed.
  Value mapped(Value value) {
    if (Value known = values.lookupOrNull(value))
      return known;
    auto reshape = value.getDefiningOp<nn::ReshapeOp>();
    if (!reshape)
      return value; // an argument or a constant
    Value result =
        nn::ReshapeOp::create(builder, reshape.getLoc(), reshape.getType(), mapped(reshape.getX()));
    values.map(value, result);
    return result;
  }

  /// The value inside the group's body.
  Value inside(Value value, IRMapping &body, const DenseSet<Operation *> &members,
               SmallVectorImpl<Value> &inputs, SmallVectorImpl<Value> &arguments,
               OpBuilder &inner) {
    if (Value known = body.lookupOrNull(value))
      return known;
    if (auto constant = value.getDefiningOp<arith::ConstantOp>()) {
      Value copy = inner.clone(*constant)->getResult(0);
      body.map(value, copy);
      return copy;
    }
    if (Operation *decoder = value.getDefiningOp(); isCopiedToReaders(decoder)) {
      for (Value operand : decoder->getOperands())
        inside(operand, body, members, inputs, arguments, inner);
      body.map(value, inner.clone(*decoder, body)->getResult(0));
      return body.lookup(value);
    }
    auto reshape = value.getDefiningOp<nn::ReshapeOp>();
    Operation *root = viewRoot(value).getDefiningOp();
    if (reshape && (members.contains(root) || isCopiedToReaders(root))) {
      Value x = inside(reshape.getX(), body, members, inputs, arguments, inner);
      Value copy = nn::ReshapeOp::create(inner, reshape.getLoc(), reshape.getType(), x);
      body.map(value, copy);
      return copy;
    }
    inputs.push_back(mapped(value));
    Value argument = inner.getInsertionBlock()->addArgument(value.getType(), value.getLoc());
    arguments.push_back(argument);
    body.map(value, argument);
    return argument;
  }

  bool isUsedOutside(Value value, const DenseSet<Operation *> &members) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      if (members.contains(user))
        return false;
      bool isLookedThrough = isa<nn::ReshapeOp>(user) || isCopiedToReaders(user);
      return !isLookedThrough || isUsedOutside(user->getResult(0), members);
    });
  }

  void emit(const OpGroup &group) {
    DenseSet<Operation *> members(group.ops.begin(), group.ops.end());
    Region region;
    OpBuilder inner(builder.getContext()); // a region without a parent knows no context
    inner.setInsertionPointToEnd(&region.emplaceBlock());
    IRMapping body;
    SmallVector<Value> inputs, arguments, results, yielded;
    SmallVector<Location> locations;
    for (Operation *op : group.ops) {
      for (Value operand : op->getOperands())
        inside(operand, body, members, inputs, arguments, inner);
      body.map(op->getResults(), inner.clone(*op, body)->getResults());
      locations.push_back(op->getLoc());
      for (Value result : op->getResults())
        if (isUsedOutside(result, members)) {
          results.push_back(result);
          yielded.push_back(body.lookup(result));
        }
    }
    if (yielded.empty())
      return; // nobody reads it
    plan::YieldOp::create(inner, locations.back(), yielded);
    Location location =
        locations.size() == 1 ? locations.front() : FusedLoc::get(builder.getContext(), locations);
    auto fused = plan::FusedOp::create(builder, location, ValueRange(yielded).getTypes(), inputs);
    fused.getBody().takeBody(region);
    values.map(results, fused.getResults());
  }

  Block &block;
  const Grouping &grouping;
  OpBuilder builder;
  SmallVector<Operation *> old;
  IRMapping values;
};

struct FormGroupsPass : nibble::impl::FormGroupsBase<FormGroupsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration())
      return;
    dissolveSaves(function);
    Grouping grouping(function.getBody().front());
    chainProducts(grouping);
    rematerialize(grouping);
    Rewriter(function, grouping).run();
  }

  /// Sums what is kept for the backward pass, each place once, and takes the marks away.
  void dissolveSaves(func::FuncOp function) {
    DenseSet<Value> kept;
    int64_t bytes = 0;
    SmallVector<train::SaveOp> saves(function.getOps<train::SaveOp>());
    for (train::SaveOp save : saves) {
      if (kept.insert(viewRoot(save.getValue())).second)
        bytes += storageBytes(cast<RankedTensorType>(save.getSaved().getType()));
      save.replaceAllUsesWith(save.getValue());
      save.erase();
    }
    function->setAttr("nibble.saved_bytes",
                      IntegerAttr::get(IntegerType::get(&getContext(), 64), bytes));
  }
};
} // namespace
