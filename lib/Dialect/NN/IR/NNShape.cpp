//===- NNShape.cpp - verifiers and folders of shape ops, reductions, pools ---===//
#include "nibble/Dialect/NN/IR/NN.h"

#include "mlir/Dialect/Traits.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::nn;

//===----------------------------------------------------------------------===//
// Reshape, transpose, broadcast
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getX().getType()), to = cast<RankedTensorType>(getResult().getType());
  if (from.getNumElements() != to.getNumElements() || from.getElementType() != to.getElementType())
    return emitOpError() << "turns " << from << " into " << to << ": the number or the type of the elements differs";
  return success();
}
OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getResult().getType())
    return getX();
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().assign(inner.getX());
    return getResult();
  }
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(adaptor.getX()))
    return dense.reshape(cast<ShapedType>(getResult().getType()));
  return {};
}

void TransposeOp::build(OpBuilder &builder, OperationState &state, Value x, ArrayRef<int64_t> perm) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> shape;
  for (int64_t source : perm)
    shape.push_back(type.getDimSize(source));
  build(builder, state, RankedTensorType::get(shape, type.getElementType()), x, perm);
}
LogicalResult TransposeOp::verify() {
  auto from = getX().getType(), to = getResult().getType();
  SmallVector<bool> seen(from.getRank(), false);
  if (static_cast<int64_t>(getPerm().size()) != from.getRank() || to.getRank() != from.getRank())
    return emitOpError() << "perm has " << getPerm().size() << " entries for an operand of rank " << from.getRank();
  for (auto [i, source] : llvm::enumerate(getPerm())) {
    if (source < 0 || source >= from.getRank() || seen[source])
      return emitOpError("perm is not a permutation");
    seen[source] = true;
    if (to.getDimSize(i) != from.getDimSize(source))
      return emitOpError() << "result dimension " << i << " is " << to.getDimSize(i) << ", the operand's dimension " << source
                           << " is " << from.getDimSize(source);
  }
  return success();
}
OpFoldResult TransposeOp::fold(FoldAdaptor) {
  bool same = llvm::all_of(llvm::enumerate(getPerm()), [](auto p) { return p.value() == static_cast<int64_t>(p.index()); });
  if (same)
    return getX();
  auto inner = getX().getDefiningOp<TransposeOp>();
  if (!inner)
    return {};
  for (auto [i, source] : llvm::enumerate(getPerm()))
    if (inner.getPerm()[source] != static_cast<int64_t>(i))
      return {};
  return inner.getX();
}

namespace {
/// A transpose that only moves dimensions of 1 keeps the flat order: a reshape says that, and costs nothing.
struct TransposeOfOnes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    int64_t last = -1;
    for (int64_t source : op.getPerm()) {
      if (op.getX().getType().getDimSize(source) == 1)
        continue;
      if (source < last)
        return failure();
      last = source;
    }
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getX());
    return success();
  }
};
/// transpose(transpose(x, p), q) is transpose(x, p∘q).
struct TransposeTwice : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner)
      return failure();
    SmallVector<int64_t> perm;
    for (int64_t source : op.getPerm())
      perm.push_back(inner.getPerm()[source]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getX(), perm);
    return success();
  }
};
} // namespace
void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<TransposeOfOnes, TransposeTwice>(context);
}

LogicalResult BroadcastOp::verify() {
  SmallVector<int64_t> joined;
  auto result = getResult().getType().getShape();
  if (!OpTrait::util::getBroadcastedShape(getX().getType().getShape(), result, joined) || ArrayRef<int64_t>(joined) != result)
    return emitOpError() << getX().getType() << " does not broadcast to " << getResult().getType();
  return success();
}
OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getResult().getType())
    return getX();
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(adaptor.getX()); dense && dense.isSplat())
    return dense.resizeSplat(cast<ShapedType>(getResult().getType()));
  return {};
}

/// One row of a table of `rows` for each token.
static LogicalResult verifyEmbedding(Operation *op, RankedTensorType table, RankedTensorType tokens, RankedTensorType rows) {
  if (table.getRank() != 2)
    return op->emitOpError() << "has a table of rows, rank 2, got " << table;
  if (rows.getRank() != tokens.getRank() + 1 || rows.getShape().drop_back() != tokens.getShape() ||
      rows.getShape().back() != table.getDimSize(1))
    return op->emitOpError() << "has rows of " << table.getDimSize(1) << " for tokens " << tokens << ", got " << rows;
  return success();
}
LogicalResult EmbeddingOp::verify() {
  return verifyEmbedding(*this, getTable().getType(), getTokens().getType(), getResult().getType());
}
LogicalResult EmbeddingGradOp::verify() {
  return verifyEmbedding(*this, getResult().getType(), getTokens().getType(), getDy().getType());
}

//===----------------------------------------------------------------------===//
// Concat, slice
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::verify() {
  auto result = getResult().getType();
  int64_t axis = getAxis(), sum = 0;
  if (getParts().empty() || axis < 0 || axis >= result.getRank())
    return emitOpError() << "joins " << getParts().size() << " tensors along axis " << axis << " of a result of rank "
                         << result.getRank();
  for (Value part : getParts()) {
    auto type = cast<RankedTensorType>(part.getType());
    for (int64_t i = 0; i < result.getRank(); ++i)
      if (type.getRank() != result.getRank() || (i != axis && type.getDimSize(i) != result.getDimSize(i)))
        return emitOpError() << "part " << type << " does not fit " << result << " along axis " << axis;
    sum += type.getDimSize(axis);
  }
  if (sum != result.getDimSize(axis))
    return emitOpError() << "parts have " << sum << " elements along axis " << axis << ", the result has "
                         << result.getDimSize(axis);
  return success();
}

/// Is every index starts + i·steps, i below `part`'s size, inside `whole`?
static LogicalResult verifySlice(Operation *op, RankedTensorType part, RankedTensorType whole, ArrayRef<int64_t> starts,
                                 ArrayRef<int64_t> steps) {
  auto rank = static_cast<size_t>(whole.getRank());
  if (starts.size() != rank || steps.size() != rank || part.getRank() != whole.getRank())
    return op->emitOpError() << "takes a start and a step for each of the " << rank << " dimensions";
  for (size_t i = 0; i < rank; ++i) {
    int64_t n = part.getDimSize(i), last = starts[i] + (n - 1) * steps[i];
    if (steps[i] == 0 || starts[i] < 0 || starts[i] >= whole.getDimSize(i) || last < 0 || last >= whole.getDimSize(i))
      return op->emitOpError() << "dimension " << i << ": " << n << " elements from " << starts[i] << " in steps of " << steps[i]
                               << " leave the " << whole.getDimSize(i) << " that there are";
  }
  return success();
}
LogicalResult SliceOp::verify() {
  return verifySlice(*this, getResult().getType(), getX().getType(), getStarts(), getSteps());
}
OpFoldResult SliceOp::fold(FoldAdaptor) {
  bool forward = llvm::all_of(getSteps(), [](int64_t s) { return s == 1; });
  return forward && getX().getType() == getResult().getType() ? OpFoldResult(getX()) : OpFoldResult();
}
LogicalResult UnsliceOp::verify() {
  return verifySlice(*this, getX().getType(), getResult().getType(), getStarts(), getSteps());
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static RankedTensorType reducedType(RankedTensorType type, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> shape(type.getShape());
  for (int64_t axis : axes)
    if (axis >= 0 && axis < type.getRank())
      shape[axis] = 1;
  return RankedTensorType::get(shape, type.getElementType());
}
static LogicalResult verifyReduce(Operation *op, RankedTensorType x, RankedTensorType y, ArrayRef<int64_t> axes) {
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= x.getRank() || (i && axes[i] <= axes[i - 1]))
      return op->emitOpError("axes are not ascending numbers of dimensions");
  if (reducedType(x, axes) != y)
    return op->emitOpError() << "result is " << y << " where the axes give " << reducedType(x, axes);
  return success();
}
void ReduceSumOp::build(OpBuilder &builder, OperationState &state, Value x, ArrayRef<int64_t> axes) {
  build(builder, state, reducedType(cast<RankedTensorType>(x.getType()), axes), x, axes);
}
void ReduceMeanOp::build(OpBuilder &builder, OperationState &state, Value x, ArrayRef<int64_t> axes) {
  build(builder, state, reducedType(cast<RankedTensorType>(x.getType()), axes), x, axes);
}
LogicalResult ReduceSumOp::verify() { return verifyReduce(*this, getX().getType(), getResult().getType(), getAxes()); }
LogicalResult ReduceMeanOp::verify() { return verifyReduce(*this, getX().getType(), getResult().getType(), getAxes()); }

LogicalResult ChannelSumOp::verify() {
  auto x = getX().getType();
  auto y = getResult().getType();
  if (x.getRank() < 1 || y.getRank() != 1 || y.getDimSize(0) != x.getDimSize(x.getRank() - 1))
    return emitOpError() << "sums " << x << " to one value a channel, the result is " << y;
  return success();
}
LogicalResult ClipAlphaGradOp::verify() {
  auto shape = getDy().getType().getShape();
  if (getInside().getType().getShape() != shape || cast<RankedTensorType>(getY().getType()).getShape() != shape ||
      getResult().getType().getRank() != 0)
    return emitOpError("gradient, pass bits and clipped value have one shape, the result has rank 0");
  return success();
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// Every window of the output touches the input (ceil mode may give one more than the floor formula).
static LogicalResult verifyPool(Operation *op, RankedTensorType x, RankedTensorType y, ArrayRef<int64_t> kernel,
                                ArrayRef<int64_t> strides, ArrayRef<int64_t> pads, ArrayRef<int64_t> dilations) {
  if (x.getRank() != 4 || y.getRank() != 4 || kernel.size() != 2 || strides.size() != 2 || pads.size() != 4 ||
      dilations.size() != 2)
    return op->emitOpError("takes rank-4 tensors (N,H,W,C), 2 kernel sizes, 2 strides, 4 pads, 2 dilations");
  if (x.getDimSize(0) != y.getDimSize(0) || x.getDimSize(3) != y.getDimSize(3))
    return op->emitOpError() << "batch or channels of " << x << " and " << y << " differ";
  for (int i = 0; i < 2; ++i) {
    int64_t extent = dilations[i] * (kernel[i] - 1) + 1;
    if (kernel[i] < 1 || strides[i] < 1 || dilations[i] < 1 || pads[i] < 0 || pads[i + 2] < 0 || pads[i] >= extent)
      return op->emitOpError("kernel, strides, dilations are positive, pads smaller than the window");
    int64_t in = x.getDimSize(i + 1), out = y.getDimSize(i + 1), room = in + pads[i] + pads[i + 2] - extent;
    int64_t floor = room < 0 ? 0 : room / strides[i] + 1;
    bool touches = out >= 1 && (out - 1) * strides[i] - pads[i] < in;
    if (!touches || out < floor || out > floor + 1)
      return op->emitOpError() << "output has " << out << " windows along dimension " << i + 1 << " where the window gives "
                               << floor;
  }
  return success();
}
LogicalResult MaxPoolOp::verify() {
  if (getIndex().getType().getShape() != getResult().getType().getShape())
    return emitOpError("index and result have different shapes");
  bool narrow = getKernel().size() == 2 && getKernel()[0] * getKernel()[1] <= 256;
  if (getIndex().getType().getElementType().isInteger(8) != narrow)
    return emitOpError("index is i8 for windows of up to 256 taps, i32 above");
  return verifyPool(*this, getX().getType(), getResult().getType(), getKernel(), getStrides(), getPads(), getDilations());
}
LogicalResult MaxPoolGradOp::verify() {
  if (getIndex().getType().getShape() != getDy().getType().getShape())
    return emitOpError("index and gradient have different shapes");
  return verifyPool(*this, getResult().getType(), getDy().getType(), getKernel(), getStrides(), getPads(), getDilations());
}
LogicalResult AvgPoolOp::verify() {
  return verifyPool(*this, getX().getType(), getResult().getType(), getKernel(), getStrides(), getPads(), getDilations());
}
LogicalResult AvgPoolGradOp::verify() {
  return verifyPool(*this, getResult().getType(), getDy().getType(), getKernel(), getStrides(), getPads(), getDilations());
}
