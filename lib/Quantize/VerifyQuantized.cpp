//===- VerifyQuantized.cpp - the door of room 3 ---------------------------------===//
//
// Reads only, and shares no code with the passes that insert and share quantizers: where both are
// wrong in the same way, nobody notices.
//
//===----------------------------------------------------------------------===//
#include "nibble/Quantize/Passes.h"

#include "State.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace nibble {
#define GEN_PASS_DEF_VERIFYQUANTIZED
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

static Value unsaved(Value value) {
  while (auto save = value.getDefiningOp<train::SaveOp>())
    value = save.getValue();
  return value;
}
static bool isSaved(Value value) { return value.getDefiningOp<train::SaveOp>() != nullptr; }
static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

namespace {

/// One operand of a q4 product with its companions.
struct Operand {
  StringRef side;
  Value codes, scale, zeroPoint;
};

struct Checker {
  explicit Checker(const Recipe &recipe) : recipe(recipe) {}

  const Recipe &recipe;
  bool failed = false;

  InFlightDiagnostic error(ContractionOpInterface op) {
    failed = true;
    return op.emitError() << "door of quantize: layer '" << op.getLayerName() << "', "
                          << stringifyProduct(op.getProductKind()) << ": ";
  }

  /// An error about one operand, with a note where its codes come from.
  void blame(ContractionOpInterface op, const Operand &operand, StringRef what, Location source) {
    InFlightDiagnostic diagnostic = error(op);
    diagnostic << operand.side << " operand: " << what;
    diagnostic.attachNote(source) << "the codes are made here";
  }

  //===--- products that multiply reals ---===//

  void checkReal(ContractionOpInterface op) {
    Precision precision = op.getPrecisionKind();
    if (precision != Precision::Float) {
      error(op) << "precision is " << stringifyPrecision(precision) << ", but its operands are "
                << op.getLeft().getType() << " and " << op.getRight().getType()
                << "; codes were expected";
      return;
    }
    checkReason(op);
  }

  void checkReason(ContractionOpInterface op) {
    auto reason = op->getAttrOfType<StringAttr>("reason");
    if (op.getPrecisionKind() != Precision::Int4 && (!reason || reason.getValue().empty()))
      error(op) << "runs in " << stringifyPrecision(op.getPrecisionKind())
                << " and does not say why (attribute reason)";
  }

  //===--- products of codes ---===//

  template <typename Op> void checkCoded(Op op) {
    ContractionOpInterface product = op;
    checkReason(product);
    Operand left = {"left", op.getLeft(), op.getLeftScale(), op.getLeftZeroPoint()};
    Operand right = {"right", op.getRight(), op.getRightScale(), op.getRightZeroPoint()};
    for (const Operand &operand : {left, right}) {
      checkWidth(product, operand);
      checkSource(product, operand);
    }
    if (product.getPrecisionKind() == Precision::Int4 &&
        product.getProductKind() != Product::Forward)
      checkGradientKind(product, left, right);
    coded[product.getLayerName()].push_back({product, {left, right}});
  }

  void checkWidth(ContractionOpInterface op, const Operand &operand) {
    unsigned expected = op.getPrecisionKind() == Precision::Int8 ? 8 : 4;
    if (q4::storageBits(elementOf(operand.codes)) != expected)
      error(op) << "is an " << stringifyPrecision(op.getPrecisionKind()) << " product; its "
                << operand.side << " operand is " << operand.codes.getType();
  }

  /// The codes' quantizer is known, and scale and zero point of the product are its own.
  void checkSource(ContractionOpInterface op, const Operand &operand) {
    Operation *quantizer = unsaved(operand.codes).getDefiningOp();
    Value scale, zeroPoint;
    if (auto quantize = dyn_cast_or_null<q4::QuantizeOp>(quantizer)) {
      scale = quantize.getScale(), zeroPoint = quantize.getZeroPoint();
      if (isa<q4::Int4Type>(elementOf(quantize.getCodes())) &&
          quantize.getQmax() - quantize.getQmin() > 15)
        error(op) << "the " << operand.side << " operand has more than 16 codes";
    } else if (auto quantize = dyn_cast_or_null<q4::QuantizeLogOp>(quantizer)) {
      scale = quantize.getScale();
    } else {
      error(op) << "the " << operand.side << " operand's codes come from no quantizer";
      return;
    }
    if (unsaved(operand.scale) != unsaved(scale))
      blame(op, operand, "the scale is not the one that the codes were made with",
            quantizer->getLoc());
    Value used = operand.zeroPoint ? unsaved(operand.zeroPoint) : Value();
    if (used != (zeroPoint ? unsaved(zeroPoint) : Value()))
      blame(op, operand, "the zero point is not the one that the codes were made with",
            quantizer->getLoc());
    checkScale(op, operand);
  }

  /// A scale is made of a value of this step.
  void checkScale(ContractionOpInterface op, const Operand &operand) {
    Operation *source = unsaved(operand.scale).getDefiningOp();
    if (!isa_and_nonnull<q4::ScaleOp, q4::AffineScaleOp, q4::LogScaleOp>(source)) {
      InFlightDiagnostic diagnostic = error(op);
      diagnostic << "the " << operand.side
                 << " operand's scale is open: it comes from no op that makes scales";
      if (source)
        diagnostic.attachNote(source->getLoc()) << "it comes from '" << source->getName() << "'";
    }
  }

  /// Of the two operands of a gradient, the one that is not saved is dY.
  void checkGradientKind(ContractionOpInterface op, const Operand &left, const Operand &right) {
    // dY is the one that no forward part made; where neither was saved, the one that the product's order names.
    bool isRight = isSaved(left.codes) == isSaved(right.codes)
                       ? op.getProductKind() == Product::WeightGradient
                       : isSaved(left.codes);
    const Operand &dy = isRight ? right : left;
    Type element = elementOf(dy.codes);
    auto log = dyn_cast<q4::LogType>(element);
    bool good = true;
    switch (recipe.gradients) {
    case Gradients::Radix4:
      good = log && log.getRadix() == 4;
      break;
    case Gradients::Luq:
      good = log && log.getRadix() == 2;
      break;
    case Gradients::Int4:
      good = isa<q4::Int4Type>(element);
      break;
    case Gradients::Float:
      good = false;
      break;
    }
    if (!good)
      error(op) << "dY is " << dy.codes.getType() << ", which recipe '" << recipe.name
                << "' does not make of it";
  }

  //===--- forward and backward share ---===//

  /// A code tensor that a gradient reads through a save is one of the forward product's.
  void checkSharing() {
    for (auto &[layer, products] : coded) {
      llvm::SmallDenseSet<Value> forward;
      for (auto &[op, operands] : products)
        if (op.getProductKind() == Product::Forward)
          for (const Operand &operand : operands)
            forward.insert(operand.codes);
      if (!forward.empty())
        for (auto &[op, operands] : products)
          if (op.getProductKind() != Product::Forward)
            checkShared(op, operands, forward);
    }
  }

  void checkShared(ContractionOpInterface op, ArrayRef<Operand> operands,
                   const llvm::SmallDenseSet<Value> &forward) {
    unsigned shared = 0;
    for (const Operand &operand : operands) {
      bool saved = isSaved(operand.codes), known = forward.contains(unsaved(operand.codes));
      shared += known;
      if (known && !saved)
        error(op) << "the " << operand.side
                  << " operand's codes reach the backward part without a train.save";
      if (saved && !known)
        blame(op, operand, "the codes are saved, but are not those of the forward product",
              unsaved(operand.codes).getLoc());
    }
    if (shared != 1)
      error(op) << "one operand must be codes of the forward product, " << shared << " are";
  }

  /// What a reader of saved reals could have read as codes.
  void checkClipGradient(nn::ClipAlphaGradOp op) {
    if (!elementOf(op.getY()).isF32())
      return;
    for (Operation *user : unsaved(op.getY()).getUsers())
      if (isa<q4::QuantizeOp>(user)) {
        failed = true;
        op.emitError("door of quantize: the gradient of a clip keeps the clipped value as f32, "
                     "though its codes tell the same")
                .attachNote(user->getLoc())
            << "the codes are made here";
        return;
      }
  }

  void checkStream(train::RandomBitsOp op) {
    auto [known, isNew] = streams.insert({static_cast<uint32_t>(op.getStream()), op});
    if (isNew)
      return;
    failed = true;
    op.emitError() << "door of quantize: random bits '" << op.getName() << "' and '"
                   << known->second.getName() << "' have the same stream";
  }

  llvm::MapVector<StringRef,
                  SmallVector<std::pair<ContractionOpInterface, SmallVector<Operand, 2>>>>
      coded;
  llvm::DenseMap<uint64_t, train::RandomBitsOp> streams;
};

struct VerifyQuantizedPass : nibble::impl::VerifyQuantizedBase<VerifyQuantizedPass> {
  using VerifyQuantizedBase::VerifyQuantizedBase;

  void runOnOperation() override {
    FailureOr<Recipe> resolved = resolveRecipe(getOperation(), recipe);
    if (mlir::failed(resolved))
      return signalPassFailure();
    bool good = true;
    for (StringRef name : {"train_step", "eval_step"})
      if (auto function = getOperation().lookupSymbol<func::FuncOp>(name)) {
        Checker checker(*resolved);
        check(function, checker);
        good &= !checker.failed;
      }
    if (!good)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  static void check(func::FuncOp function, Checker &checker) {
    function.walk([&](Operation *op) {
      llvm::TypeSwitch<Operation *>(op)
          .Case<q4::MatMulOp, q4::Conv2DOp, q4::Conv2DInputGradOp, q4::Conv2DWeightGradOp>(
              [&](auto product) { checker.checkCoded(product); })
          .Case<nn::ClipAlphaGradOp>([&](auto gradient) { checker.checkClipGradient(gradient); })
          .Case<train::RandomBitsOp>([&](auto bits) { checker.checkStream(bits); })
          .Default([&](Operation *other) {
            if (auto product = dyn_cast<ContractionOpInterface>(other))
              checker.checkReal(product);
          });
    });
    checker.checkSharing();
  }
};

} // namespace
