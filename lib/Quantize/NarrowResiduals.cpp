//===- NarrowResiduals.cpp - what backward keeps of real values ----------------===//
#include "nibble/Quantize/Passes.h"

#include "Operands.h"
#include "State.h"

#include "nibble/Numerics/Int4.h"
#include "nibble/Quantize/PrecisionTable.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

namespace nibble {
#define GEN_PASS_DEF_NARROWRESIDUALS
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

/// Where x̂ is clipped (numerics.md, section 5).
static constexpr float kClipInt8 = 8.0f, kClipInt4 = 3.5f;

/// Terms of a sum that are multiplied again rather than kept.
static constexpr int64_t kShortProduct = 256;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static RankedTensorType withElement(Value value, Type element) {
  return RankedTensorType::get(typeOf(value).getShape(), element);
}

namespace {

/// Narrows in one training step.
class Narrower {
public:
  Narrower(func::FuncOp function, Residuals residuals)
      : function(function), residuals(residuals), b(function.getContext()) {}

  void run() {
    SmallVector<nn::BatchStatsOp> norms(function.getOps<nn::BatchStatsOp>());
    for (nn::BatchStatsOp stats : norms)
      batchNorm(stats);
    SmallVector<train::SaveOp> saves(function.getOps<train::SaveOp>());
    for (train::SaveOp save : saves)
      if (mayNarrow(save))
        keepNarrow(save, narrowed(save.getValue()));
  }

private:
  //===--------------------------------------------------------------------===//
  // Batch norm
  //===--------------------------------------------------------------------===//

  void batchNorm(nn::BatchStatsOp stats) {
    Value z = stats.getX();
    train::SaveOp save = saveOf(z);
    if (!save)
      return;
    if (multiplyAgain(z, save))
      return;
    if (isCoded() && keepNormalized(stats, save))
      return;
    // Forward reads what it stored, statistics included: backward's formulas are then the exact
    // derivative of what was computed.
    Value copy = narrowed(z);
    b.setInsertionPointAfterValue(copy);
    Value forward = q4::WidenOp::create(b, z.getLoc(), z.getType(), copy);
    z.replaceUsesWithIf(forward, [&](OpOperand &use) {
      return use.getOwner() != copy.getDefiningOp() && use.getOwner() != save;
    });
    keepNarrow(save, copy);
  }

  bool isCoded() const { return residuals == Residuals::Int8 || residuals == Residuals::Int4; }

  /// Where the product that made z is of saved codes: backward multiplies these again. Done for
  /// every such product if asked for, and in any case where a 1×1 window makes few terms.
  bool multiplyAgain(Value z, train::SaveOp save) {
    auto product = z.getDefiningOp<ContractionOpInterface>();
    if (!product || !isa<q4::Q4Dialect>(product->getDialect()))
      return false;
    if (residuals != Residuals::Recompute && !isShort(product))
      return false;
    Operation *first = nullptr;
    for (Operation *user : save->getUsers())
      if (!first || user->isBeforeInBlock(first))
        first = user;
    if (!first)
      return false;
    IRMapping map;
    for (Value operand : product->getOperands())
      if (!operand.getDefiningOp<arith::ConstantOp>() && !isa<BlockArgument>(operand))
        map.map(operand, kept(operand));
    b.setInsertionPoint(first);
    Operation *again = b.clone(*product, map);
    again->setAttr(repeatedAttributeName, b.getUnitAttr());
    save.getSaved().replaceAllUsesWith(again->getResult(0));
    save.erase();
    return true;
  }

  /// A 1×1 convolution with fewer terms than a sweep over z costs much: the shortcuts of a residual
  /// network.
  static bool isShort(ContractionOpInterface product) {
    auto convolution = dyn_cast<q4::Conv2DOp>(product.getOperation());
    return convolution &&
           typeOf(convolution.getRight()).getShape().slice(1, 2) == ArrayRef<int64_t>{1, 1} &&
           product.getContractionLength() <= kShortProduct;
  }

  Value kept(Value value) {
    if (train::SaveOp save = saveOf(value))
      return save.getSaved();
    b.setInsertionPointAfterValue(value);
    return train::SaveOp::create(b, value.getLoc(), value);
  }

  /// Keeps x̂'s codes where z is read by its own batch norm's gradient alone: the op that makes
  /// the coefficients, and the inner half of dz.
  bool keepNormalized(nn::BatchStatsOp stats, train::SaveOp save) {
    nn::BatchNormGradOp grad;
    SmallVector<nn::FmaOp> inner;
    for (Operation *user : save->getUsers()) {
      if (auto op = dyn_cast<nn::BatchNormGradOp>(user); op && !grad)
        grad = op;
      else if (auto fma = dyn_cast<nn::FmaOp>(user); fma && fma.getB() == save.getSaved())
        inner.push_back(fma);
      else
        return false;
    }
    if (!grad || grad.getX() != save.getSaved() ||
        throughSaves(grad.getBatchMean()) != stats.getBatchMean() ||
        llvm::any_of(inner, [&](nn::FmaOp fma) {
          return fma.getA() != grad.getK2() || fma.getC() != grad.getK3();
        }))
      return false;
    Value normalized = normalize(stats);
    auto [codes, scale] = encode(normalized);
    b.setInsertionPointAfterValue(codes);
    Value kept = train::SaveOp::create(b, codes.getLoc(), codes);
    b.setInsertionPointAfterValue(stats.getA());
    Value slope = train::SaveOp::create(b, stats.getLoc(), stats.getA());
    b.setInsertionPoint(grad);
    Value x = q4::DequantizeOp::create(b, grad.getLoc(), save.getType(), kept, scale, Value());
    Type vector = slope.getType();
    auto made = nn::NormalizedGradOp::create(b, grad.getLoc(), vector, vector, vector, vector,
                                             grad.getDy(), x, slope);
    grad.getK1().replaceAllUsesWith(slope);
    grad.getK2().replaceAllUsesWith(made.getK2());
    grad.getK3().replaceAllUsesWith(made.getK3());
    grad.getDscale().replaceAllUsesWith(made.getDscale());
    grad.getDbias().replaceAllUsesWith(made.getDbias());
    grad.erase();
    save.getSaved().replaceAllUsesWith(x);
    save.erase();
    return true;
  }

  /// x̂ = (z − mean)·rstd.
  Value normalize(nn::BatchStatsOp stats) {
    b.setInsertionPointAfter(stats);
    Value z = stats.getX();
    Value centred = nn::SubOp::create(b, stats.getLoc(), z.getType(), z, stats.getBatchMean());
    return nn::MulOp::create(b, stats.getLoc(), z.getType(), centred, stats.getRstd());
  }

  /// Symmetric codes with a scale that does not change: x̂ has deviation 1 whatever the step.
  std::pair<Value, Value> encode(Value x) {
    bool wide = residuals == Residuals::Int8;
    numerics::LevelSet set = wide ? numerics::kInt8 : numerics::kTwoSided15;
    float step = (wide ? kClipInt8 : kClipInt4) / static_cast<float>(set.steps());
    Type element =
        wide ? Type(q4::Int8Type::get(b.getContext())) : q4::Int4Type::get(b.getContext());
    auto scalar = RankedTensorType::get({}, b.getF32Type());
    b.setInsertionPointAfterValue(x);
    Value scale = arith::ConstantOp::create(b, x.getLoc(), DenseElementsAttr::get(scalar, step));
    Value codes = q4::QuantizeOp::create(b, x.getLoc(), withElement(x, element), x, scale, Value(),
                                         Value(), set.qmin, set.qmax);
    return {codes, scale};
  }

  //===--------------------------------------------------------------------===//
  // bf16 copies
  //===--------------------------------------------------------------------===//

  /// The value as bf16, made once.
  Value narrowed(Value value) {
    if (auto widen = value.getDefiningOp<q4::WidenOp>())
      return widen.getX();
    Value &copy = copies[value];
    if (!copy) {
      b.setInsertionPointAfterValue(value);
      copy = q4::NarrowOp::create(b, value.getLoc(), withElement(value, b.getBF16Type()), value);
    }
    return copy;
  }

  /// Backward reads the copy in place of the value.
  void keepNarrow(train::SaveOp save, Value copy) {
    b.setInsertionPoint(save);
    Value kept = train::SaveOp::create(b, save.getLoc(), copy);
    Value read = q4::WidenOp::create(b, save.getLoc(), save.getType(), kept);
    save.getSaved().replaceAllUsesWith(read);
    save.erase();
  }

  /// A real tensor, more than a vector, that gradients only read in ways which bear 8 bits of
  /// mantissa: no operand of a product that stays float, no logits of the loss.
  static bool mayNarrow(train::SaveOp save) {
    RankedTensorType type = typeOf(save.getSaved());
    if (!type.getElementType().isF32() || type.getRank() < 2 || isa<BlockArgument>(save.getValue()))
      return false;
    return bearsNarrowing(save.getSaved());
  }

  func::FuncOp function;
  Residuals residuals;
  OpBuilder b;
  llvm::DenseMap<Value, Value> copies;
};

struct NarrowResidualsPass : nibble::impl::NarrowResidualsBase<NarrowResidualsPass> {
  using NarrowResidualsBase::NarrowResidualsBase;

  void runOnOperation() override {
    FailureOr<Recipe> resolved = resolveRecipe(getOperation(), recipe);
    if (failed(resolved))
      return signalPassFailure();
    auto function = getOperation().lookupSymbol<func::FuncOp>("train_step");
    if (function && resolved->residuals != Residuals::F32 && hasCodes(function))
      Narrower(function, resolved->residuals).run();
  }

private:
  /// With every layer kept float, a step is the float step, bit for bit.
  static bool hasCodes(func::FuncOp function) {
    return function
        .walk([](ContractionOpInterface product) {
          return isa<q4::Q4Dialect>(product->getDialect()) ? WalkResult::interrupt()
                                                           : WalkResult::advance();
        })
        .wasInterrupted();
  }
};

} // namespace
