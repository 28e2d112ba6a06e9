//===- InsertFlags.cpp - NaN and infinities stop the step ----------------------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"

#include "llvm/ADT/MapVector.h"

namespace nibble {
#define GEN_PASS_DEF_INSERTFLAGS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

static Value nonFinite(OpBuilder &builder, Location loc, Value x, bool infinities) {
  return q4::NonFiniteOp::create(builder, loc, RankedTensorType::get({}, builder.getI1Type()), x,
                                 infinities);
}

/// A scalar that is NaN where the tensor holds a NaN, and infinite where it holds an infinity: its
/// maximum or an end of its range. `sawb_clip` tells NaN alone, which is all that is asked of
/// weights. That of a tensor tells of a slice of it, too (thin-windows).
static Value summaryOf(Value x, bool infinities) {
  for (Operation *user : x.getUsers()) {
    if (auto max = dyn_cast<q4::AbsMaxOp>(user))
      return max.getResult();
    if (auto range = dyn_cast<q4::RangeOp>(user); range && !infinities)
      return range.getHi();
    if (auto clip = dyn_cast<q4::SawbClipOp>(user); clip && !infinities)
      return clip.getAlpha();
  }
  if (auto slice = x.getDefiningOp<nn::SliceOp>())
    return summaryOf(slice.getX(), infinities);
  return {};
}

namespace {

struct InsertFlagsPass : nibble::impl::InsertFlagsBase<InsertFlagsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    auto guards = function.getBody().front().getOps<train::GuardOp>();
    if (guards.empty())
      return guardKeptRanges(function);
    train::GuardOp guard = *guards.begin();
    extend(guard, quantizerFlags(function));
  }

private:
  /// One flag a quantized tensor, beside what it looks at.
  SmallVector<Value> quantizerFlags(func::FuncOp function) {
    llvm::DenseSet<Operation *> forward = forwardPart(function);
    // Tensor → first quantizer, and whether it is a gradient.
    llvm::MapVector<Value, std::pair<Operation *, bool>> inputs;
    function.walk([&](Operation *op) {
      if (isa<q4::QuantizeOp, q4::QuantizeLogOp>(op))
        inputs.insert({throughSaves(op->getOperand(0)), {op, !forward.contains(op)}});
    });
    SmallVector<Value> flags;
    for (auto &[x, use] : inputs) {
      auto [op, gradient] = use;
      Value summary = summaryOf(x, gradient);
      OpBuilder builder(op);
      if (summary)
        builder.setInsertionPointAfter(summary.getDefiningOp());
      flags.push_back(nonFinite(builder, op->getLoc(), summary ? summary : x, gradient));
    }
    return flags;
  }

  /// The guard's flag becomes the OR of its own flags and these.
  static void extend(train::GuardOp guard, ArrayRef<Value> flags) {
    if (flags.empty())
      return;
    SmallVector<Value> all;
    auto before = guard.getFlag().getDefiningOp<q4::OrOp>();
    if (before)
      llvm::append_range(all, before.getFlags());
    else
      all.push_back(guard.getFlag());
    llvm::append_range(all, flags);
    OpBuilder builder(guard);
    Value flag = q4::OrOp::create(builder, guard.getLoc(), guard.getFlag().getType(), all);
    guard.getFlagMutable().assign(flag);
    if (before && before->use_empty())
      before.erase();
  }

  /// Evaluation writes only ranges that its first batch sets; those must be numbers.
  static void guardKeptRanges(func::FuncOp function) {
    Block &block = function.getBody().front();
    SmallVector<train::WriteOp> writes(block.getOps<train::WriteOp>());
    if (writes.empty())
      return;
    OpBuilder builder(writes.front());
    Location loc = function.getLoc();
    SmallVector<Value> flags;
    for (train::WriteOp write : writes)
      flags.push_back(nonFinite(builder, write.getLoc(), write.getValue(), /*infinities=*/true));
    auto type = RankedTensorType::get({}, builder.getI1Type());
    Value flag = q4::OrOp::create(builder, loc, type, flags);
    train::GuardOp::create(builder, loc, flag);
  }
};

} // namespace
