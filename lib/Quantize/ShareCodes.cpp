//===- ShareCodes.cpp - backward uses forward's codes -------------------------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"

#include "mlir/IR/Dominance.h"

namespace nibble {
#define GEN_PASS_DEF_SHARECODES
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

/// An op that computes codes, or what codes are made with, and draws nothing: the same operands
/// give the same result.
static bool isQuantizer(Operation *op) {
  if (auto quantize = dyn_cast_or_null<q4::QuantizeOp>(op))
    return !quantize.getNoise();
  return isa_and_nonnull<q4::AbsMaxOp, q4::RangeOp, q4::SawbClipOp, q4::ScaleOp, q4::AffineScaleOp>(
      op);
}

namespace {

/// Moves quantizers of saved values in front of the save.
class Hoister {
public:
  explicit Hoister(Block &block) : block(block) {}

  void run() {
    SmallVector<Operation *> quantizers;
    for (Operation &op : block)
      if (isQuantizer(&op) && readsSaved(&op))
        quantizers.push_back(&op);
    for (Operation *op : quantizers) {
      Operation *twin = twinOf(op);
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfter(twin);
      for (auto [result, forward] : llvm::zip(op->getResults(), twin->getResults()))
        result.replaceAllUsesWith(train::SaveOp::create(builder, forward.getLoc(), forward));
    }
    for (Operation *op : llvm::reverse(quantizers))
      op->erase();
  }

private:
  /// Does the quantizer, or one that it builds on, read a saved value?
  static bool readsSaved(Operation *op) {
    return llvm::any_of(op->getOperands(), [](Value operand) {
      Operation *source = operand.getDefiningOp();
      return isa_and_nonnull<train::SaveOp>(source) || (isQuantizer(source) && readsSaved(source));
    });
  }

  /// The forward part's version of the quantizer: operands without saves, right behind the last of
  /// them. CSE merges it with what the forward part has already.
  Operation *twinOf(Operation *op) {
    if (Operation *known = twins.lookup(op))
      return known;
    IRMapping mapping;
    Operation *last = nullptr;
    for (Value operand : op->getOperands()) {
      Value source = throughSaves(operand);
      if (auto result = dyn_cast<OpResult>(source); result && isQuantizer(source.getDefiningOp()))
        source = twinOf(source.getDefiningOp())->getResult(result.getResultNumber());
      else if (source.getDefiningOp<arith::ConstantOp>())
        source = atTop(source);
      mapping.map(operand, source);
      if (Operation *def = source.getDefiningOp(); def && (!last || last->isBeforeInBlock(def)))
        last = def;
    }
    OpBuilder builder(op->getContext());
    if (last)
      builder.setInsertionPointAfter(last);
    else
      builder.setInsertionPointToStart(&block);
    Operation *twin = builder.clone(*op, mapping);
    twins[op] = twins[twin] = twin;
    return twin;
  }

  /// Constants stand at the block's top, so that they hold nothing back.
  Value atTop(Value constant) {
    Operation *op = constant.getDefiningOp();
    op->moveBefore(&block, block.begin());
    return constant;
  }

  Block &block;
  DenseMap<Operation *, Operation *> twins;
};

/// Lets what crosses from forward to backward go through train.save.
class Saver {
public:
  explicit Saver(const llvm::DenseSet<Operation *> &forward) : forward(forward) {}

  void run(func::FuncOp function) {
    SmallVector<Operation *> readers;
    function.walk([&](Operation *op) {
      auto product = dyn_cast<ContractionOpInterface>(op);
      if (isa<q4::DequantizeOp>(op) || (product && product.getProductKind() != Product::Forward))
        if (!forward.contains(op))
          readers.push_back(op);
    });
    for (Operation *op : readers)
      for (OpOperand &operand : op->getOpOperands())
        if (crosses(operand.get()))
          operand.set(save(operand.get()));
  }

  Value save(Value value) {
    Value &copy = saved[value];
    for (Operation *user : value.getUsers())
      if (auto save = dyn_cast<train::SaveOp>(user); save && !copy)
        copy = save;
    if (!copy) {
      OpBuilder builder(value.getContext());
      builder.setInsertionPointAfter(value.getDefiningOp());
      copy = train::SaveOp::create(builder, value.getLoc(), value);
    }
    return copy;
  }

private:
  /// Codes, scales and zero points that the forward part made.
  bool crosses(Value value) const {
    Operation *op = value.getDefiningOp();
    return op && forward.contains(op) && isQuantizer(op);
  }

  const llvm::DenseSet<Operation *> &forward;
  DenseMap<Value, Value> saved;
};

struct ShareCodesPass : nibble::impl::ShareCodesBase<ShareCodesPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    Block &block = function.getBody().front();
    Hoister(block).run();
    llvm::DenseSet<Operation *> forward = forwardPart(function);
    Saver saver(forward);
    saver.run(function);
    function.walk([&](nn::ClipAlphaGradOp gradient) { readCodes(gradient, saver); });
  }

private:
  /// dα needs of the clipped value only the sign, which its codes have.
  static void readCodes(nn::ClipAlphaGradOp gradient, Saver &saver) {
    Value clipped = throughSaves(gradient.getY());
    for (Operation *user : clipped.getUsers()) {
      auto quantize = dyn_cast<q4::QuantizeOp>(user);
      if (!quantize || quantize.getNoise() || quantize->getBlock() != gradient->getBlock())
        continue;
      Value zero = quantize.getZeroPoint();
      gradient.getYMutable().assign(saver.save(quantize.getCodes()));
      if (zero)
        gradient.getZeroPointMutable().assign(
            zero.getDefiningOp<arith::ConstantOp>() ? zero : saver.save(zero));
      return;
    }
  }
};

} // namespace
