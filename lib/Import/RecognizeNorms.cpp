//===- RecognizeNorms.cpp - layer norms that a file spells out ---------------===//
#include "nibble/Import/Passes.h"

#include "nibble/Dialect/NN/IR/NN.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nibble {
#define GEN_PASS_DEF_RECOGNIZENORMS
#include "nibble/Import/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

static std::optional<float> constantNumber(Value value) {
  DenseElementsAttr constant;
  if (!matchPattern(value, m_Constant(&constant)) || !constant.isSplat() ||
      !constant.getElementType().isF32())
    return std::nullopt;
  return constant.getSplatValue<float>();
}

/// The mean over the last dimension of `value`'s operand, kept as 1; null where it is no such mean.
static Value rowMeanOf(Value value) {
  auto mean = value.getDefiningOp<nn::ReduceMeanOp>();
  if (!mean)
    return {};
  int64_t rank = mean.getX().getType().getRank();
  return mean.getAxes() == ArrayRef<int64_t>{rank - 1} ? mean.getX() : Value();
}

namespace {
/// √(mean of d² over the row + ε).
struct RootMeanSquare {
  Value d;
  float epsilon;
};
} // namespace

static std::optional<RootMeanSquare> rootMeanSquare(Value value) {
  auto root = value.getDefiningOp<nn::SqrtOp>();
  auto sum = root ? root.getX().getDefiningOp<nn::AddOp>() : nn::AddOp();
  if (!sum)
    return std::nullopt;
  Value mean = sum.getA(), other = sum.getB();
  if (constantNumber(mean))
    std::swap(mean, other);
  auto epsilon = constantNumber(other);
  Value square = epsilon ? rowMeanOf(mean) : Value();
  auto product = square ? square.getDefiningOp<nn::MulOp>() : nn::MulOp();
  if (!product || product.getA() != product.getB())
    return std::nullopt;
  return RootMeanSquare{product.getA(), *epsilon};
}

/// d/√(…), d·(1/√(…)): the operand d and the root; nothing for other ops.
static std::optional<RootMeanSquare> normalizedBy(Operation *op) {
  auto matches = [](Value d, Value root) -> std::optional<RootMeanSquare> {
    auto found = rootMeanSquare(root);
    return found && found->d == d ? found : std::nullopt;
  };
  if (auto div = dyn_cast<nn::DivOp>(op))
    return matches(div.getA(), div.getB());
  auto mul = cast<nn::MulOp>(op);
  for (auto [d, reciprocal] :
       {std::pair(mul.getA(), mul.getB()), std::pair(mul.getB(), mul.getA())}) {
    auto div = reciprocal.getDefiningOp<nn::DivOp>();
    if (div && constantNumber(div.getA()) == 1.0f)
      if (auto found = matches(d, div.getB()))
        return found;
  }
  return std::nullopt;
}

static nn::LayerNormOp layerNorm(PatternRewriter &b, Location loc, Value x, Value scale, Value bias,
                                 APFloat epsilon, bool rms) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t rows = type.getNumElements() / type.getDimSize(type.getRank() - 1);
  auto statistic = RankedTensorType::get({rows}, type.getElementType());
  return nn::LayerNormOp::create(b, loc, type, statistic, statistic, x, scale, bias, epsilon, rms);
}

/// A vector with one element for each of a row's.
static bool isRowVector(Value vector, RankedTensorType x) {
  auto type = cast<RankedTensorType>(vector.getType());
  return type.getRank() == 1 && type.getDimSize(0) == x.getDimSize(x.getRank() - 1);
}

namespace {
/// (x − mean)/√(variance + ε), or x/√(mean of x² + ε), becomes a norm with a scale of ones.
template <typename Op> struct Normalize : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto found = normalizedBy(op);
    if (!found || found->d.getType() != op.getResult().getType())
      return failure();
    auto centred = found->d.template getDefiningOp<nn::SubOp>();
    bool isLayerNorm = centred && rowMeanOf(centred.getB()) == centred.getA();
    Value x = isLayerNorm ? centred.getA() : found->d;
    auto type = cast<RankedTensorType>(x.getType());
    auto vector =
        RankedTensorType::get({type.getDimSize(type.getRank() - 1)}, rewriter.getF32Type());
    Value ones =
        arith::ConstantOp::create(rewriter, op.getLoc(), DenseElementsAttr::get(vector, 1.0f));
    auto norm =
        layerNorm(rewriter, op.getLoc(), x, ones, Value(), APFloat(found->epsilon), !isLayerNorm);
    rewriter.replaceOp(op, norm.getResult());
    return success();
  }
};

/// The norm that is one operand of a binary op, and used by nothing else, and the other operand, a
/// vector along the row; nothing where they are not that.
struct NormAndVector {
  nn::LayerNormOp norm;
  Value vector;
};
template <typename Op> std::optional<NormAndVector> normAndVector(Op op) {
  for (auto [y, vector] : {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
    auto norm = y.template getDefiningOp<nn::LayerNormOp>();
    if (norm && y == norm.getResult() && y.hasOneUse() && !norm.getBias() &&
        isRowVector(vector, norm.getX().getType()))
      return NormAndVector{norm, vector};
  }
  return std::nullopt;
}

/// x̂·γ: the vector becomes the norm's scale.
struct Scale : OpRewritePattern<nn::MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(nn::MulOp op, PatternRewriter &rewriter) const override {
    auto found = normAndVector(op);
    if (!found || constantNumber(found->norm.getScale()) != 1.0f)
      return failure();
    nn::LayerNormOp norm = found->norm;
    auto scaled = layerNorm(rewriter, norm.getLoc(), norm.getX(), found->vector, Value(),
                            norm.getEpsilon(), norm.getRms());
    rewriter.replaceOp(op, scaled.getResult());
    return success();
  }
};

/// x̂·γ + β: the vector becomes the norm's shift.
struct Shift : OpRewritePattern<nn::AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(nn::AddOp op, PatternRewriter &rewriter) const override {
    auto found = normAndVector(op);
    if (!found || constantNumber(found->norm.getScale()))
      return failure();
    nn::LayerNormOp norm = found->norm;
    auto shifted = layerNorm(rewriter, norm.getLoc(), norm.getX(), norm.getScale(), found->vector,
                             norm.getEpsilon(), norm.getRms());
    rewriter.replaceOp(op, shifted.getResult());
    return success();
  }
};

struct RecognizeNormsPass : nibble::impl::RecognizeNormsBase<RecognizeNormsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Normalize<nn::DivOp>, Normalize<nn::MulOp>, Scale, Shift>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
