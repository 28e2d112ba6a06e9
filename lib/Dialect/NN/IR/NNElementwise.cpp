//===- NNElementwise.cpp - verifiers and folders of element-wise ops ---------===//
//
// Folders call Numerics, the one definition that interpreter and generated code also follow.
//
//===----------------------------------------------------------------------===//
#include "nibble/Dialect/NN/IR/NN.h"

#include "mlir/Dialect/Traits.h"
#include "mlir/IR/PatternMatch.h"

#include "nibble/Numerics/Math.h"

#include <bit>

using namespace mlir;
using namespace nibble;
using namespace nibble::nn;

/// Larger constants are left to run time: a folded copy would only swell the IR.
static constexpr int64_t foldLimit = 4096;

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

static std::string text(ArrayRef<int64_t> shape) {
  std::string s = "(";
  for (auto [i, n] : llvm::enumerate(shape))
    s += (i ? "x" : "") + std::to_string(n);
  return s + ")";
}

/// Operands broadcast to exactly the result's shape.
static LogicalResult verifyBroadcast(Operation *op, ValueRange operands) {
  auto result = cast<RankedTensorType>(op->getResult(0).getType()).getShape();
  SmallVector<int64_t> shape;
  for (Value operand : operands) {
    SmallVector<int64_t> joined;
    auto other = cast<RankedTensorType>(operand.getType()).getShape();
    if (!OpTrait::util::getBroadcastedShape(shape, other, joined))
      return op->emitOpError() << "operands of shapes " << text(shape) << " and " << text(other) << " do not broadcast";
    shape = joined;
  }
  if (ArrayRef<int64_t>(shape) != result)
    return op->emitOpError() << "result has shape " << text(result) << " where the operands give " << text(shape);
  return success();
}

LogicalResult AddOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult SubOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult MulOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult DivOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult MinOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult MaxOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult FmaOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult CompareOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult InsideOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult SelectOp::verify() { return verifyBroadcast(*this, getOperands()); }
LogicalResult MaskOp::verify() {
  if (getX().getType().getShape() != getBits().getType().getShape() || getX().getType() != getResult().getType())
    return emitOpError("value, mask and result have different shapes");
  return success();
}
LogicalResult ClipLearnedOp::verify() {
  if (getAlpha().getType().getRank() != 0)
    return emitOpError("the learned bound is of rank 0");
  if (getX().getType() != getResult().getType())
    return emitOpError("operand and result have different types");
  return success();
}
LogicalResult DropoutOp::verify() {
  double ratio = getRatio().convertToDouble();
  if (!(ratio >= 0 && ratio < 1))
    return emitOpError() << "ratio is " << ratio << ", it has to be in [0, 1)";
  return success();
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

using UnaryFunction = llvm::function_ref<float(float)>;

static OpFoldResult foldUnary(Attribute operand, UnaryFunction function) {
  auto dense = dyn_cast_or_null<DenseFPElementsAttr>(operand);
  if (!dense || !dense.getElementType().isF32() || (!dense.isSplat() && dense.getNumElements() > foldLimit))
    return {};
  if (dense.isSplat())
    return DenseElementsAttr::get(dense.getType(), function(dense.getSplatValue<float>()));
  SmallVector<float> values;
  for (float value : dense.getValues<float>())
    values.push_back(function(value));
  return DenseElementsAttr::get(dense.getType(), ArrayRef<float>(values));
}

OpFoldResult NegOp::fold(FoldAdaptor a) {
  return foldUnary(a.getX(), [](float x) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x) ^ 0x80000000u); });
}
OpFoldResult AbsOp::fold(FoldAdaptor a) {
  return foldUnary(a.getX(), [](float x) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7fffffffu); });
}
OpFoldResult SqrtOp::fold(FoldAdaptor a) { return foldUnary(a.getX(), [](float x) { return numerics::sqrt(x); }); }
OpFoldResult ExpOp::fold(FoldAdaptor a) { return foldUnary(a.getX(), [](float x) { return numerics::exp(x); }); }
OpFoldResult LogOp::fold(FoldAdaptor a) { return foldUnary(a.getX(), [](float x) { return numerics::log(x); }); }
OpFoldResult ErfOp::fold(FoldAdaptor a) { return foldUnary(a.getX(), [](float x) { return numerics::erf(x); }); }
OpFoldResult TanhOp::fold(FoldAdaptor a) { return foldUnary(a.getX(), [](float x) { return numerics::tanh(x); }); }
OpFoldResult SigmoidOp::fold(FoldAdaptor a) { return foldUnary(a.getX(), [](float x) { return numerics::sigmoid(x); }); }
OpFoldResult ReluOp::fold(FoldAdaptor a) {
  if (getX().getDefiningOp<ReluOp>())
    return getX();
  return foldUnary(a.getX(), [](float x) { return 0.0f > x ? 0.0f : x; });
}
OpFoldResult LeakyReluOp::fold(FoldAdaptor a) {
  float slope = getSlope().convertToFloat();
  return foldUnary(a.getX(), [=](float x) { return 0.0f > x ? slope * x : x; });
}
OpFoldResult ClipOp::fold(FoldAdaptor a) {
  float lo = getLo().convertToFloat(), hi = getHi().convertToFloat();
  return foldUnary(a.getX(), [=](float x) { return x < lo ? lo : x > hi ? hi : x; });
}

/// Both operands constant and of the result's shape or splat.
static OpFoldResult foldBinary(Operation *op, Attribute left, Attribute right, llvm::function_ref<float(float, float)> function) {
  auto a = dyn_cast_or_null<DenseFPElementsAttr>(left), b = dyn_cast_or_null<DenseFPElementsAttr>(right);
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (!a || !b || !type.getElementType().isF32())
    return {};
  if (a.isSplat() && b.isSplat())
    return DenseElementsAttr::get(type, function(a.getSplatValue<float>(), b.getSplatValue<float>()));
  bool fits = (a.isSplat() || a.getType() == type) && (b.isSplat() || b.getType() == type);
  if (!fits || type.getNumElements() > foldLimit)
    return {};
  SmallVector<float> values;
  for (int64_t i = 0, n = type.getNumElements(); i < n; ++i)
    values.push_back(function(a.isSplat() ? a.getSplatValue<float>() : a.getValues<float>()[i],
                              b.isSplat() ? b.getSplatValue<float>() : b.getValues<float>()[i]));
  return DenseElementsAttr::get(type, ArrayRef<float>(values));
}

/// Is the operand this very number in every element (its bits compared)?
static bool isAll(Attribute value, float number) {
  auto dense = dyn_cast_or_null<DenseFPElementsAttr>(value);
  return dense && dense.isSplat() && dense.getElementType().isF32() &&
         std::bit_cast<uint32_t>(dense.getSplatValue<float>()) == std::bit_cast<uint32_t>(number);
}

/// x where the op returns it unchanged, bit for bit, and the shape stays.
static OpFoldResult identity(Operation *op, Value x) {
  return x.getType() == op->getResult(0).getType() ? OpFoldResult(x) : OpFoldResult();
}

OpFoldResult AddOp::fold(FoldAdaptor a) {
  if (isAll(a.getB(), -0.0f)) // x + (−0) is x for every x; x + (+0) is not (x = −0).
    return identity(*this, getA());
  return foldBinary(*this, a.getA(), a.getB(), [](float x, float y) { return x + y; });
}
OpFoldResult SubOp::fold(FoldAdaptor a) {
  if (isAll(a.getB(), 0.0f))
    return identity(*this, getA());
  return foldBinary(*this, a.getA(), a.getB(), [](float x, float y) { return x - y; });
}
OpFoldResult MulOp::fold(FoldAdaptor a) {
  if (isAll(a.getB(), 1.0f))
    return identity(*this, getA());
  if (isAll(a.getA(), 1.0f))
    return identity(*this, getB());
  return foldBinary(*this, a.getA(), a.getB(), [](float x, float y) { return x * y; });
}
OpFoldResult DivOp::fold(FoldAdaptor a) {
  if (isAll(a.getB(), 1.0f))
    return identity(*this, getA());
  return foldBinary(*this, a.getA(), a.getB(), [](float x, float y) { return x / y; });
}
OpFoldResult MinOp::fold(FoldAdaptor a) {
  return foldBinary(*this, a.getA(), a.getB(), [](float x, float y) { return y < x ? y : x; });
}
OpFoldResult MaxOp::fold(FoldAdaptor a) {
  return foldBinary(*this, a.getA(), a.getB(), [](float x, float y) { return x < y ? y : x; });
}

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

namespace {
/// mask(mask(x, m), m) is mask(x, m): a gradient that a bit has stopped is +0 already.
struct MaskTwice : OpRewritePattern<MaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaskOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<MaskOp>();
    if (!inner || inner.getBits() != op.getBits())
      return failure();
    rewriter.replaceOp(op, inner.getResult());
    return success();
  }
};
} // namespace

void MaskOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MaskTwice>(context);
}
