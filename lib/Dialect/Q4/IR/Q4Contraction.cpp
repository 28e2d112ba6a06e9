//===- Q4Contraction.cpp - verifiers of products of codes --------------------===//
#include "nibble/Dialect/Q4/IR/Q4.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::q4;

static RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

template <typename Op>
static LogicalResult verifyZeroPoints(Op op) {
  if (op.getLeftZeroPoint() && !isa<Int4Type>(op.getLeft().getType().getElementType()))
    return op.emitOpError("the left operand has a zero point but is not int4");
  if (op.getRightZeroPoint() && !isa<Int4Type>(op.getRight().getType().getElementType()))
    return op.emitOpError("the right operand has a zero point but is not int4");
  return success();
}

LogicalResult MatMulOp::verify() {
  if (failed(verifyZeroPoints(*this)))
    return failure();
  return nn::verifyMatMul(*this, tensorType(getLeft()), tensorType(getRight()), getResult().getType(), getTransposeA(),
                          getTransposeB());
}
LogicalResult Conv2DOp::verify() {
  if (failed(verifyZeroPoints(*this)))
    return failure();
  return nn::verifyConv(*this, tensorType(getLeft()), tensorType(getRight()), tensorType(getResult()));
}
LogicalResult Conv2DInputGradOp::verify() {
  if (failed(verifyZeroPoints(*this)))
    return failure();
  return nn::verifyConv(*this, tensorType(getResult()), tensorType(getRight()), tensorType(getLeft()));
}
LogicalResult Conv2DWeightGradOp::verify() {
  if (failed(verifyZeroPoints(*this)))
    return failure();
  return nn::verifyConv(*this, tensorType(getLeft()), tensorType(getResult()), tensorType(getRight()));
}

int64_t MatMulOp::getContractionLength() { return nn::matMulLength(tensorType(getLeft()), getTransposeA()); }
int64_t MatMulOp::getMultiplyAdds() { return getResult().getType().getNumElements() * getContractionLength(); }

static int64_t multiplyAdds(Operation *op) {
  nn::ConvShape s = nn::convShape(op);
  return s.batch * s.outHeight * s.outWidth * s.outChannels * s.kernelHeight * s.kernelWidth * (s.channels / s.groups);
}
int64_t Conv2DOp::getMultiplyAdds() { return multiplyAdds(*this); }
int64_t Conv2DInputGradOp::getMultiplyAdds() { return multiplyAdds(*this); }
int64_t Conv2DWeightGradOp::getMultiplyAdds() { return multiplyAdds(*this); }
int64_t Conv2DOp::getContractionLength() {
  nn::ConvShape s = nn::convShape(*this);
  return s.kernelHeight * s.kernelWidth * (s.channels / s.groups);
}
int64_t Conv2DInputGradOp::getContractionLength() {
  nn::ConvShape s = nn::convShape(*this);
  return s.kernelHeight * s.kernelWidth * (s.outChannels / s.groups);
}
int64_t Conv2DWeightGradOp::getContractionLength() {
  nn::ConvShape s = nn::convShape(*this);
  return s.batch * s.outHeight * s.outWidth;
}
