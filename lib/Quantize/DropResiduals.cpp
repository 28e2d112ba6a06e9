//===- DropResiduals.cpp - what other kept values tell is not kept -------------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

namespace nibble {
#define GEN_PASS_DEF_DROPRESIDUALS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

static bool isZero(Value value) { return matchPattern(value, m_AnyZeroFloat()); }

namespace {

struct DropResidualsPass : nibble::impl::DropResidualsBase<DropResidualsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    SmallVector<train::SaveOp> saves(function.getOps<train::SaveOp>());
    for (train::SaveOp save : saves) {
      if (auto compare = save.getValue().getDefiningOp<nn::CompareOp>())
        signFromCodes(save, compare);
      else if (cast<RankedTensorType>(save.getType()).getElementType().isF32())
        remake(save);
    }
  }

private:
  /// relu's bit x > 0 beside a one-sided clip of the same x: x is above 0 where it is inside the
  /// clip, or its code is above zero's, as at the clip's upper end.
  static void signFromCodes(train::SaveOp save, nn::CompareOp compare) {
    if (compare.getPredicate() != nn::Comparison::GT || !isZero(compare.getB()) ||
        !llvm::all_of(save->getUsers(), [&](Operation *user) {
          auto mask = dyn_cast<nn::MaskOp>(user);
          return mask && mask.getBits() == save.getSaved();
        }))
      return;
    Value x = compare.getA();
    for (Operation *user : x.getUsers()) {
      auto inside = dyn_cast<nn::InsideOp>(user);
      if (!inside || inside.getX() != x || !isZero(inside.getLo()))
        continue;
      train::SaveOp bits = saveOf(inside.getResult());
      q4::QuantizeOp quantize = codesOfClip(x, inside.getHi());
      train::SaveOp codes = quantize ? saveOf(quantize.getCodes()) : train::SaveOp();
      if (bits && codes && usersAreBehind(save, bits) && usersAreBehind(save, codes))
        return maskByCodes(save, compare, bits, codes, quantize);
    }
  }

  /// mask(dy, x > 0) = inside ? dy : mask(dy, worth of the code > 0); a scale is positive.
  static void maskByCodes(train::SaveOp save, nn::CompareOp compare, train::SaveOp bits,
                          train::SaveOp codes, q4::QuantizeOp quantize) {
    OpBuilder builder(save.getContext());
    SmallVector<Operation *> masks(save->getUsers());
    Value scale = quantize.getScale();
    if (!saveOf(scale)) {
      builder.setInsertionPointAfterValue(scale);
      train::SaveOp::create(builder, scale.getLoc(), scale);
    }
    for (Operation *user : masks) {
      auto mask = cast<nn::MaskOp>(user);
      Location loc = mask.getLoc();
      builder.setInsertionPoint(mask);
      Value worth =
          q4::DequantizeOp::create(builder, loc, quantize.getX().getType(), codes.getSaved(),
                                   saveOf(scale).getSaved(), quantize.getZeroPoint());
      Value zero = builder.clone(*compare.getB().getDefiningOp())->getResult(0);
      Value above =
          nn::CompareOp::create(builder, loc, save.getType(), worth, zero, nn::Comparison::GT);
      Value outside = nn::MaskOp::create(builder, loc, mask.getType(), mask.getX(), above);
      Value all =
          nn::SelectOp::create(builder, loc, mask.getType(), bits.getSaved(), mask.getX(), outside);
      mask.getResult().replaceAllUsesWith(all);
      mask.erase();
    }
    save.erase();
  }

  static bool usersAreBehind(Operation *op, Operation *place) {
    return llvm::all_of(op->getUsers(),
                        [&](Operation *user) { return place->isBeforeInBlock(user); });
  }

  /// The one-sided codes of clip(x, 0, α) whose scale is α's, so that α has the highest code.
  static q4::QuantizeOp codesOfClip(Value x, Value alpha) {
    for (Operation *user : x.getUsers()) {
      auto clip = dyn_cast<nn::ClipLearnedOp>(user);
      if (!clip || !clip.getOneSided() || clip.getAlpha() != alpha)
        continue;
      for (Operation *reader : clip.getResult().getUsers())
        if (auto quantize = dyn_cast<q4::QuantizeOp>(reader);
            quantize && quantize.getZeroPoint() && !quantize.getNoise())
          if (auto scale = quantize.getScale().getDefiningOp<q4::ScaleOp>();
              scale && scale.getMax() == alpha)
            return quantize;
    }
    return {};
  }

  /// A kept value that is one operation with a constant away from another kept one. Only where its
  /// readers take bf16, since the other one may be narrowed for want of readers of its own that do
  /// not.
  static void remake(train::SaveOp save) {
    Operation *op = save.getValue().getDefiningOp();
    if (!isa_and_nonnull<nn::AddOp, nn::SubOp, nn::MulOp, nn::NegOp>(op) ||
        !bearsNarrowing(save.getSaved()))
      return;
    IRMapping map;
    train::SaveOp from;
    for (Value operand : op->getOperands()) {
      if (matchPattern(operand, m_Constant()))
        continue;
      train::SaveOp kept = saveOf(operand);
      if (!kept || from || kept.getType() != save.getType())
        return;
      from = kept;
      map.map(operand, kept.getSaved());
    }
    if (!from)
      return;
    Operation *last = from->isBeforeInBlock(save) ? save : from;
    if (!usersAreBehind(save, last))
      return;
    OpBuilder builder(save.getContext());
    builder.setInsertionPointAfter(last);
    save.getSaved().replaceAllUsesWith(builder.clone(*op, map)->getResult(0));
    save.erase();
  }
};

} // namespace
