//===- NNNorm.cpp - verifiers of normalization and losses --------------------===//
#include "nibble/Dialect/NN/IR/NN.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::nn;

/// Every one of `vectors` is a vector with one element a channel (last dimension) of `x`.
static LogicalResult verifyChannels(Operation *op, Value x, ValueRange vectors) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getRank() < 2)
    return op->emitOpError() << "normalizes over channels, the operand has rank " << type.getRank();
  int64_t channels = type.getDimSize(type.getRank() - 1);
  for (Value vector : vectors)
    if (auto v = cast<RankedTensorType>(vector.getType()); v.getRank() != 1 || v.getDimSize(0) != channels)
      return op->emitOpError() << "the operand has " << channels << " channels, a vector is " << v;
  return success();
}
LogicalResult BatchNormOp::verify() {
  if (getX().getType() != getResult().getType())
    return emitOpError("operand and result have different types");
  return verifyChannels(*this, getX(), {getScale(), getBias(), getMean(), getVariance()});
}
LogicalResult BatchStatsOp::verify() {
  SmallVector<Value> vectors{getScale(), getBias(), getMean(), getVariance()};
  vectors.append(getResults().begin(), getResults().end());
  return verifyChannels(*this, getX(), vectors);
}
LogicalResult BatchNormFoldOp::verify() {
  auto type = getScale().getType();
  for (Value value : {Value(getBias()), Value(getMean()), Value(getVariance()), Value(getA()), Value(getB()), Value(getRstd())})
    if (value.getType() != type || type.getRank() != 1)
      return emitOpError("takes and gives vectors of one length");
  return success();
}
LogicalResult BatchNormGradOp::verify() {
  if (getX().getType() != getDy().getType())
    return emitOpError("value and gradient have different types");
  SmallVector<Value> vectors{getScale(), getBatchMean(), getRstd()};
  vectors.append(getResults().begin(), getResults().end());
  return verifyChannels(*this, getX(), vectors);
}

LogicalResult NormalizedGradOp::verify() {
  if (getX().getType() != getDy().getType())
    return emitOpError("value and gradient have different types");
  SmallVector<Value> vectors{getSlope()};
  vectors.append(getResults().begin(), getResults().end());
  return verifyChannels(*this, getX(), vectors);
}

/// `scale` has an element for each of a row of `x`, `mean` and `rstd` one for each row.
static LogicalResult verifyRowNorm(Operation *op, RankedTensorType x, ValueRange vectors, Value mean, Value rstd) {
  if (x.getRank() < 1)
    return op->emitOpError("normalizes rows, the operand has rank 0");
  int64_t length = x.getDimSize(x.getRank() - 1), rows = x.getNumElements() / std::max<int64_t>(length, 1);
  for (Value vector : vectors)
    if (auto v = cast<RankedTensorType>(vector.getType()); v.getRank() != 1 || v.getDimSize(0) != length)
      return op->emitOpError() << "the operand has rows of " << length << " elements, a vector is " << v;
  for (Value vector : {mean, rstd})
    if (auto v = cast<RankedTensorType>(vector.getType()); v.getRank() != 1 || v.getDimSize(0) != rows)
      return op->emitOpError() << "the operand has " << rows << " rows, mean and rstd are " << v;
  return success();
}
LogicalResult LayerNormOp::verify() {
  if (getX().getType() != getResult().getType())
    return emitOpError("operand and result have different types");
  SmallVector<Value> vectors{getScale()};
  if (getBias())
    vectors.push_back(getBias());
  return verifyRowNorm(*this, getX().getType(), vectors, getMean(), getRstd());
}
LogicalResult LayerNormGradOp::verify() {
  if (getX().getType() != getDy().getType() || getDx().getType() != getX().getType())
    return emitOpError("value, gradient and result have different types");
  return verifyRowNorm(*this, getX().getType(), {getScale(), getDscale(), getDbias()}, getMean(), getRstd());
}

static LogicalResult verifyRows(Operation *op, RankedTensorType logits, RankedTensorType labels) {
  if (logits.getRank() < 2 || logits.getShape().drop_back() != labels.getShape())
    return op->emitOpError() << "takes rows of logits and one label a row, got " << logits << " and " << labels;
  return success();
}
LogicalResult SoftmaxCrossEntropyOp::verify() {
  if (getLoss().getType().getRank() != 0 || getCorrect().getType().getRank() != 0 ||
      (getValid() && getValid().getType().getRank() != 0))
    return emitOpError("loss, count and number of valid rows have rank 0");
  return verifyRows(*this, getLogits().getType(), getLabels().getType());
}
LogicalResult SoftmaxCrossEntropyGradOp::verify() {
  if (getResult().getType() != getLogits().getType() || getDloss().getType().getRank() != 0)
    return emitOpError("the result has the logits' type, the loss's gradient rank 0");
  return verifyRows(*this, getLogits().getType(), getLabels().getType());
}
LogicalResult MseOp::verify() {
  if (getY().getType() != getTarget().getType() || getLoss().getType().getRank() != 0)
    return emitOpError("value and target have one type, the loss rank 0");
  return success();
}
LogicalResult BinaryCrossEntropyOp::verify() {
  if (getLogits().getType() != getTarget().getType() || getLoss().getType().getRank() != 0 ||
      getCorrect().getType().getRank() != 0 || (getValid() && getValid().getType().getRank() != 0))
    return emitOpError("logits and target have one type; loss, count and number of valid rows have rank 0");
  return success();
}
LogicalResult BinaryCrossEntropyGradOp::verify() {
  if (getLogits().getType() != getTarget().getType() || getResult().getType() != getLogits().getType() ||
      getDloss().getType().getRank() != 0)
    return emitOpError("logits, target and result have one type, the loss's gradient rank 0");
  return success();
}
LogicalResult MseGradOp::verify() {
  if (getY().getType() != getTarget().getType() || getResult().getType() != getY().getType() ||
      getDloss().getType().getRank() != 0)
    return emitOpError("value, target and result have one type, the loss's gradient rank 0");
  return success();
}
