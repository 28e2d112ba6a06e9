//===- InsertQuantizers.cpp - a quantizer before each coded operand -----------===//
#include "nibble/Quantize/Passes.h"

#include "Quantizers.h"

namespace nibble {
#define GEN_PASS_DEF_INSERTQUANTIZERS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

static bool wantsCodes(ContractionOpInterface op) {
  Precision precision = op.getPrecisionKind();
  return precision == Precision::Int4 || precision == Precision::Int8;
}

/// Which of the two operands carries the gain: dY's, the only one that has it.
static Value gainOf(const Coded &left, const Coded &right) {
  return left.gain ? left.gain : right.gain;
}

template <typename To, typename From>
static Value convolutionOnCodes(OpBuilder &b, From op, const Coded &left, const Coded &right) {
  return To::create(b, op.getLoc(), op.getResult().getType(), left.codes, right.codes, left.scale,
                    right.scale, left.zeroPoint, right.zeroPoint, gainOf(left, right),
                    op.getStrides(), op.getPads(), op.getDilations(), op.getGroups(), op.getLayer(),
                    op.getProduct(), op.getPrecision(), op.getReason());
}

/// The q4 op of the same name and attributes; null where there is none.
static Value productOnCodes(OpBuilder &b, Operation *op, const Coded &left, const Coded &right) {
  if (auto matmul = dyn_cast<nn::MatMulOp>(op))
    return q4::MatMulOp::create(b, op->getLoc(), matmul.getResult().getType(), left.codes,
                                right.codes, left.scale, right.scale, left.zeroPoint,
                                right.zeroPoint, gainOf(left, right), matmul.getTransposeA(),
                                matmul.getTransposeB(), matmul.getLayer(), matmul.getProduct(),
                                matmul.getPrecision(), matmul.getReason());
  if (auto conv = dyn_cast<nn::Conv2DOp>(op))
    return convolutionOnCodes<q4::Conv2DOp>(b, conv, left, right);
  if (auto conv = dyn_cast<nn::Conv2DInputGradOp>(op))
    return convolutionOnCodes<q4::Conv2DInputGradOp>(b, conv, left, right);
  if (auto conv = dyn_cast<nn::Conv2DWeightGradOp>(op))
    return convolutionOnCodes<q4::Conv2DWeightGradOp>(b, conv, left, right);
  return {};
}

namespace {

struct InsertQuantizersPass : nibble::impl::InsertQuantizersBase<InsertQuantizersPass> {
  using InsertQuantizersBase::InsertQuantizersBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Recipe> resolved = resolveRecipe(module, recipe);
    if (failed(resolved))
      return signalPassFailure();
    State state(module);
    Streams streams(module);
    Quantizers quantizers(*resolved, state, streams);
    // @train_step first, so that variables come in the order of its layers.
    for (StringRef name : {"train_step", "eval_step"})
      if (auto function = module.lookupSymbol<func::FuncOp>(name))
        if (failed(runOnFunction(function, *resolved, quantizers)))
          return signalPassFailure();
  }

private:
  LogicalResult runOnFunction(func::FuncOp function, const Recipe &recipe, Quantizers &quantizers) {
    // All roles first: products are replaced on the way.
    llvm::DenseMap<Operation *, OperandRoles> roles = operandRoles(function);
    SmallVector<ContractionOpInterface> products;
    function.walk([&](ContractionOpInterface op) {
      if (wantsCodes(op) && isa<nn::NNDialect>(op->getDialect()))
        products.push_back(op);
    });
    bool training = function.getName() == "train_step";
    for (ContractionOpInterface op : products) {
      bool keepsReals =
          recipe.gradients == Gradients::Float && op.getProductKind() != Product::Forward;
      LogicalResult done =
          keepsReals ? decodeOperands(function, op, roles.lookup(op), quantizers)
                     : encodeOperands(function, op, roles.lookup(op), quantizers, training);
      if (failed(done))
        return failure();
    }
    return success();
  }

  /// The product becomes its q4 twin.
  LogicalResult encodeOperands(func::FuncOp function, ContractionOpInterface op, OperandRoles roles,
                               Quantizers &quantizers, bool training) {
    FailureOr<Coded> left = quantizers.quantize({function, op, 0, roles[0], training});
    FailureOr<Coded> right = quantizers.quantize({function, op, 1, roles[1], training});
    if (failed(left) || failed(right))
      return failure();
    OpBuilder builder(op);
    Value result = productOnCodes(builder, op, *left, *right);
    if (!result)
      return op.emitError() << "quantize: layer '" << op.getLayerName() << "': '" << op->getName()
                            << "' has no twin in q4";
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
    return success();
  }

  /// A gradient that the recipe keeps float: a product of reals, with the codes of X or W decoded.
  LogicalResult decodeOperands(func::FuncOp function, ContractionOpInterface op, OperandRoles roles,
                               Quantizers &quantizers) {
    for (unsigned i : {0u, 1u}) {
      if (roles[i] == OperandRole::OutputGradient)
        continue;
      FailureOr<Coded> coded = quantizers.quantize({function, op, i, roles[i], /*training=*/true});
      if (failed(coded))
        return failure();
      OpBuilder builder(op);
      Value real = q4::DequantizeOp::create(builder, op.getLoc(), op->getOperand(i).getType(),
                                            coded->codes, coded->scale, coded->zeroPoint);
      op->setOperand(i, real);
    }
    MLIRContext *context = op.getContext();
    op->setAttr("precision", nn::PrecisionAttr::get(context, Precision::Float));
    op->setAttr("reason", StringAttr::get(context, "gradient float (recipe)"));
    return success();
  }
};

} // namespace
