//===- SinkTransposes.cpp - feature maps become channels-last ----------------===//
//
// A transpose t = transpose(x, p) has dimension i of x's dimension p[i]. Moving it below an op
// renames what the op says of dimension i to p[i].
//
//===----------------------------------------------------------------------===//
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Import/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nibble {
#define GEN_PASS_DEF_SINKTRANSPOSES
#include "nibble/Import/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;
using Numbers = SmallVector<int64_t>;

static RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

/// result[p[i]] = values[i]: from the transposed order back to x's.
static Numbers renamed(ArrayRef<int64_t> values, ArrayRef<int64_t> perm) {
  Numbers result(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    result[perm[i]] = values[i];
  return result;
}

static Numbers inverseOf(ArrayRef<int64_t> perm) {
  Numbers counting;
  for (size_t i = 0; i < perm.size(); ++i)
    counting.push_back(i);
  return renamed(counting, perm);
}

static RankedTensorType withShape(Value like, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, tensorType(like).getElementType());
}

/// Replaces op's only result by a transpose of `sunk`.
static LogicalResult replaceWith(PatternRewriter &rewriter, Operation *op, Value sunk,
                                 ArrayRef<int64_t> perm) {
  rewriter.replaceOpWithNewOp<nn::TransposeOp>(op, op->getResult(0).getType(), sunk, perm);
  return success();
}

//===----------------------------------------------------------------------===//
// Element-wise ops
//===----------------------------------------------------------------------===//

namespace {
/// f(transpose(x)) -> transpose(f(x)).
struct SinkUnary : RewritePattern {
  explicit SinkUnary(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    bool elementwise = op->hasTrait<ElementwiseLike>() || isa<nn::DropoutOp>(op);
    if (!elementwise || op->getNumOperands() != 1 || op->getNumResults() != 1)
      return failure();
    auto transpose = op->getOperand(0).getDefiningOp<nn::TransposeOp>();
    if (!transpose || op->getResult(0).getType() != transpose.getType())
      return failure();
    OperationState state(op->getLoc(), op->getName());
    state.addOperands(transpose.getX());
    state.addTypes(transpose.getX().getType());
    state.addAttributes(op->getAttrs());
    return replaceWith(rewriter, op, rewriter.create(state)->getResult(0), transpose.getPerm());
  }
};

/// Does the value come from a constant or a weight through views? Then a view of it costs nothing
/// in a step.
bool isWeightLike(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<arith::ConstantOp, train::ReadOp>(op))
      return true;
    if (!isa<nn::ReshapeOp, nn::TransposeOp>(op))
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// The operand as the op below the transpose wants it: null where that would take a transpose of
/// data.
Value inOldOrder(PatternRewriter &rewriter, Location loc, Value value, ArrayRef<int64_t> perm) {
  auto transpose = value.getDefiningOp<nn::TransposeOp>();
  if (transpose && transpose.getPerm() == perm)
    return transpose.getX();
  Numbers shape(tensorType(value).getShape());
  if (llvm::all_of(shape, [](int64_t d) { return d == 1; }) &&
      shape.size() <= perm.size()) // a scalar broadcasts in any order
    return nn::ReshapeOp::create(rewriter, loc, withShape(value, {}), value);
  if (!isWeightLike(value) || shape.size() > perm.size())
    return {};
  shape.insert(shape.begin(), perm.size() - shape.size(), 1);
  Numbers moved = renamed(shape, perm);
  // Dimensions that are not 1, in order, before and after: where the order stays, a reshape moves
  // them.
  Numbers before, after;
  for (size_t i = 0; i < perm.size(); ++i) {
    if (shape[i] != 1)
      before.push_back(perm[i]);
    if (moved[i] != 1)
      after.push_back(i);
  }
  if (before == after) {
    auto first = llvm::find_if(moved, [](int64_t d) { return d != 1; });
    moved.erase(moved.begin(), first); // leading ones say nothing
    return nn::ReshapeOp::create(rewriter, loc, withShape(value, moved), value);
  }
  Value whole = nn::ReshapeOp::create(rewriter, loc, withShape(value, shape), value);
  return nn::TransposeOp::create(rewriter, loc, whole, inverseOf(perm));
}

/// f(transpose(x, p), y) -> transpose(f(x, y in x's order), p).
template <typename Op> struct SinkBinary : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    for (unsigned side : {0u, 1u}) {
      auto transpose = op->getOperand(side).template getDefiningOp<nn::TransposeOp>();
      if (!transpose || transpose.getType() != op.getResult().getType() || isWeightLike(transpose))
        continue;
      Value other =
          inOldOrder(rewriter, op.getLoc(), op->getOperand(1 - side), transpose.getPerm());
      if (!other)
        continue;
      Value a = side == 0 ? Value(transpose.getX()) : other,
            b = side == 0 ? other : Value(transpose.getX());
      return replaceWith(rewriter, op, Op::create(rewriter, op.getLoc(), a, b),
                         transpose.getPerm());
    }
    return failure();
  }
};

//===----------------------------------------------------------------------===//
// Ops that name dimensions
//===----------------------------------------------------------------------===//

template <typename Op> struct SinkReduce : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto transpose = op.getX().template getDefiningOp<nn::TransposeOp>();
    if (!transpose)
      return failure();
    Numbers axes;
    for (int64_t axis : op.getAxes())
      axes.push_back(transpose.getPerm()[axis]);
    llvm::sort(axes);
    return replaceWith(rewriter, op, Op::create(rewriter, op.getLoc(), transpose.getX(), axes),
                       transpose.getPerm());
  }
};

struct SinkConcat : OpRewritePattern<nn::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(nn::ConcatOp op, PatternRewriter &rewriter) const override {
    SmallVector<Value> parts;
    ArrayRef<int64_t> perm;
    for (Value part : op.getParts()) {
      auto transpose = part.getDefiningOp<nn::TransposeOp>();
      if (!transpose || (!parts.empty() && transpose.getPerm() != perm))
        return failure();
      perm = transpose.getPerm();
      parts.push_back(transpose.getX());
    }
    auto type = withShape(op.getResult(), renamed(op.getType().getShape(), perm));
    return replaceWith(rewriter, op,
                       nn::ConcatOp::create(rewriter, op.getLoc(), type, parts, perm[op.getAxis()]),
                       perm);
  }
};

/// nn.slice and nn.unslice.
template <typename Op> struct SinkSlice : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto transpose = op.getX().template getDefiningOp<nn::TransposeOp>();
    if (!transpose)
      return failure();
    ArrayRef<int64_t> perm = transpose.getPerm();
    auto type = withShape(op.getResult(), renamed(op.getType().getShape(), perm));
    Value sunk = Op::create(rewriter, op.getLoc(), type, transpose.getX(),
                            renamed(op.getStarts(), perm), renamed(op.getSteps(), perm));
    return replaceWith(rewriter, op, sunk, perm);
  }
};

struct SinkTransposes : nibble::impl::SinkTransposesBase<SinkTransposes> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns.add<SinkUnary, SinkConcat>(context);
    patterns.add<SinkBinary<nn::AddOp>, SinkBinary<nn::SubOp>, SinkBinary<nn::MulOp>,
                 SinkBinary<nn::DivOp>, SinkBinary<nn::MinOp>, SinkBinary<nn::MaxOp>>(context);
    patterns.add<SinkReduce<nn::ReduceSumOp>, SinkReduce<nn::ReduceMeanOp>, SinkSlice<nn::SliceOp>,
                 SinkSlice<nn::UnsliceOp>>(context);
    nn::TransposeOp::getCanonicalizationPatterns(patterns, context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
