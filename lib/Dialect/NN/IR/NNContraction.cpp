//===- NNContraction.cpp - verifiers of products -----------------------------===//
#include "nibble/Dialect/NN/IR/NN.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::nn;

static RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

/// "nn.conv2d 'conv1'": what an error is about.
static InFlightDiagnostic error(Operation *op) {
  auto diagnostic = op->emitOpError();
  if (auto layer = op->getAttrOfType<StringAttr>("layer"); layer && !layer.getValue().empty())
    diagnostic << "(layer '" << layer.getValue() << "') ";
  return diagnostic;
}

static LogicalResult verifyWindow(Operation *op) {
  const std::pair<StringRef, size_t> fields[] = {{"strides", 2}, {"pads", 4}, {"dilations", 2}};
  for (auto [name, size] : fields) {
    auto values = op->getAttrOfType<DenseI64ArrayAttr>(name);
    if (!values || static_cast<size_t>(values.size()) != size)
      return error(op) << "'" << name << "' takes " << size << " numbers";
    for (int64_t value : values.asArrayRef())
      if (value < (name == "pads" ? 0 : 1) || value > (int64_t(1) << 31))
        return error(op) << "'" << name << "' holds " << value;
  }
  if (auto groups = op->getAttrOfType<IntegerAttr>("groups"); groups && groups.getInt() < 1)
    return error(op) << "'groups' is " << groups.getInt();
  return success();
}

static ConvShape shapeOf(Operation *op, RankedTensorType x, RankedTensorType w, RankedTensorType y) {
  auto strides = op->getAttrOfType<DenseI64ArrayAttr>("strides").asArrayRef();
  auto pads = op->getAttrOfType<DenseI64ArrayAttr>("pads").asArrayRef();
  auto dilations = op->getAttrOfType<DenseI64ArrayAttr>("dilations").asArrayRef();
  auto groups = op->getAttrOfType<IntegerAttr>("groups");
  return {x.getDimSize(0), x.getDimSize(1), x.getDimSize(2), x.getDimSize(3),
          y.getDimSize(1), y.getDimSize(2), y.getDimSize(3), w.getDimSize(1),
          w.getDimSize(2), strides[0],      strides[1],      pads[0],
          pads[1],         pads[2],         pads[3],         dilations[0],
          dilations[1],    groups ? groups.getInt() : 1};
}

LogicalResult nn::verifyConv(Operation *op, RankedTensorType x, RankedTensorType w, RankedTensorType y) {
  if (x.getRank() != 4 || w.getRank() != 4 || y.getRank() != 4)
    return error(op) << "takes tensors of rank 4 (N,H,W,C and O,KH,KW,I), got ranks " << x.getRank() << ", " << w.getRank()
                     << " and " << y.getRank();
  if (failed(verifyWindow(op)))
    return failure();
  ConvShape s = shapeOf(op, x, w, y);
  if (w.getDimSize(3) * s.groups != s.channels)
    return error(op) << "weight has " << w.getDimSize(3) << " input channels in " << s.groups << " group(s), input has "
                     << s.channels;
  if (w.getDimSize(0) != s.outChannels || s.outChannels % s.groups != 0)
    return error(op) << "weight has " << w.getDimSize(0) << " output channels in " << s.groups << " group(s), output has "
                     << s.outChannels;
  if (y.getDimSize(0) != s.batch)
    return error(op) << "batch sizes differ: " << s.batch << " and " << y.getDimSize(0);
  auto size = [](int64_t n, int64_t before, int64_t after, int64_t kernel, int64_t dilation, int64_t stride) {
    int64_t room = n + before + after - dilation * (kernel - 1) - 1;
    return room < 0 ? int64_t(0) : room / stride + 1;
  };
  int64_t h = size(s.height, s.padTop, s.padBottom, s.kernelHeight, s.dilationH, s.strideH);
  int64_t ww = size(s.width, s.padLeft, s.padRight, s.kernelWidth, s.dilationW, s.strideW);
  if (h != s.outHeight || ww != s.outWidth)
    return error(op) << "output is " << s.outHeight << "x" << s.outWidth << " where the window gives " << h << "x" << ww;
  return success();
}

ConvShape nn::convShape(Operation *op) {
  auto type = [](Value v) { return tensorType(v); };
  auto product = cast<ContractionOpInterface>(op);
  Value left = product.getLeft(), right = product.getRight(), result = op->getResult(0);
  StringRef name = op->getName().stripDialect();
  if (name == "conv2d_input_grad")
    return shapeOf(op, type(result), type(right), type(left));
  if (name == "conv2d_weight_grad")
    return shapeOf(op, type(left), type(result), type(right));
  return shapeOf(op, type(left), type(right), type(result));
}

LogicalResult nn::verifyMatMul(Operation *op, RankedTensorType a, RankedTensorType b, RankedTensorType y, bool transposeA,
                               bool transposeB) {
  int64_t rank = a.getRank();
  if ((rank != 2 && rank != 3) || b.getRank() != rank || y.getRank() != rank)
    return error(op) << "takes tensors of rank 2, or all of rank 3, got ranks " << a.getRank() << ", " << b.getRank() << " and "
                     << y.getRank();
  if (rank == 3 && (a.getDimSize(0) != b.getDimSize(0) || a.getDimSize(0) != y.getDimSize(0)))
    return error(op) << "multiplies stacks of " << a.getDimSize(0) << " and " << b.getDimSize(0) << " matrices to one of "
                     << y.getDimSize(0);
  auto size = [](RankedTensorType t, bool column) { return t.getDimSize(t.getRank() - 2 + column); };
  int64_t k = size(a, !transposeA), kb = size(b, transposeB);
  if (k != kb)
    return error(op) << "contracts " << k << " elements of the left operand with " << kb << " of the right";
  if (size(y, false) != size(a, transposeA) || size(y, true) != size(b, !transposeB))
    return error(op) << "result is " << size(y, false) << "x" << size(y, true) << " where the operands give "
                     << size(a, transposeA) << "x" << size(b, !transposeB);
  return success();
}

int64_t nn::matMulLength(RankedTensorType a, bool transposeA) {
  return a.getDimSize(a.getRank() - (transposeA ? 2 : 1));
}

LogicalResult MatMulOp::verify() {
  return verifyMatMul(*this, getA().getType(), getB().getType(), getResult().getType(), getTransposeA(), getTransposeB());
}
int64_t MatMulOp::getContractionLength() { return matMulLength(getA().getType(), getTransposeA()); }
int64_t MatMulOp::getMultiplyAdds() { return getResult().getType().getNumElements() * getContractionLength(); }

LogicalResult Conv2DOp::verify() {
  return verifyConv(*this, getX().getType(), getW().getType(), getResult().getType());
}
LogicalResult Conv2DInputGradOp::verify() {
  return verifyConv(*this, getResult().getType(), getW().getType(), getDy().getType());
}
LogicalResult Conv2DWeightGradOp::verify() {
  return verifyConv(*this, getX().getType(), getResult().getType(), getDy().getType());
}

static int64_t convMultiplyAdds(Operation *op) {
  ConvShape s = convShape(op);
  return s.batch * s.outHeight * s.outWidth * s.outChannels * s.kernelHeight * s.kernelWidth * (s.channels / s.groups);
}
int64_t Conv2DOp::getMultiplyAdds() { return convMultiplyAdds(*this); }
int64_t Conv2DInputGradOp::getMultiplyAdds() { return convMultiplyAdds(*this); }
int64_t Conv2DWeightGradOp::getMultiplyAdds() { return convMultiplyAdds(*this); }
int64_t Conv2DOp::getContractionLength() {
  return getW().getType().getNumElements() / getW().getType().getDimSize(0);
}
int64_t Conv2DInputGradOp::getContractionLength() {
  ConvShape s = convShape(*this);
  return s.kernelHeight * s.kernelWidth * (s.outChannels / s.groups);
}
int64_t Conv2DWeightGradOp::getContractionLength() {
  return getDy().getType().getNumElements() / getDy().getType().getDimSize(3);
}
