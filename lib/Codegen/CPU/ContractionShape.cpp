//===- ContractionShape.cpp - what a contraction op computes ------------------===//
#include "ContractionShape.h"

#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

using namespace nibble;
using namespace nibble::contraction;

WindowAxis WindowAxis::ascending() const {
  if (inTapStep >= 0)
    return *this;
  WindowAxis r = *this;
  r.tapFirst += (taps - 1) * tapStep;
  r.inFirst += (taps - 1) * inTapStep;
  r.tapStep = -tapStep;
  r.inTapStep = -inTapStep;
  return r;
}

//===----------------------------------------------------------------------===//
// Window products
//===----------------------------------------------------------------------===//

static WindowProduct forwardWindow(const nn::ConvShape &s) {
  WindowProduct p;
  int64_t channels = s.channels / s.groups, taps = s.kernelHeight * s.kernelWidth;
  p.images = s.batch;
  p.inHeight = s.height, p.inWidth = s.width, p.inChannels = s.channels;
  p.outHeight = s.outHeight, p.outWidth = s.outWidth, p.outChannels = s.outChannels;
  p.groups = s.groups;
  p.weightElements = s.outChannels * taps * channels;
  p.weightGroup = p.weightElements / s.groups;
  p.weightRow = s.kernelWidth * channels, p.weightColumn = channels;
  p.weightTerm = 1, p.weightResult = taps * channels;
  p.classes.push_back(
      {{s.outHeight, 0, 1, -s.padTop, s.strideH, s.kernelHeight, 0, 1, s.dilationH},
       {s.outWidth, 0, 1, -s.padLeft, s.strideW, s.kernelWidth, 0, 1, s.dilationW}});
  return p;
}

/// The classes of one axis of an input gradient: position + pad = tap·dilation (mod stride).
static SmallVector<WindowAxis> gradientAxis(int64_t size, int64_t padding, int64_t stride,
                                            int64_t kernel, int64_t dilation) {
  SmallVector<WindowAxis> classes;
  for (int64_t residue = 0; residue < stride; ++residue) {
    int64_t first = ((residue - padding) % stride + stride) % stride;
    if (first >= size)
      continue;
    int64_t tapStep = stride / std::gcd(stride, dilation), tap = 0;
    while (tap < kernel && (first + padding - tap * dilation) % stride != 0)
      ++tap;
    WindowAxis axis{(size - first + stride - 1) / stride, first, stride, 0, 1, 0, tap, tapStep,
                    -(tapStep * dilation / stride)};
    if (tap < kernel) {
      axis.taps = (kernel - tap + tapStep - 1) / tapStep;
      axis.inFirst = (first + padding - tap * dilation) / stride;
    }
    classes.push_back(axis);
  }
  return classes;
}

static WindowProduct gradientWindow(const nn::ConvShape &s) {
  WindowProduct p = forwardWindow(s);
  std::swap(p.inHeight, p.outHeight);
  std::swap(p.inWidth, p.outWidth);
  std::swap(p.inChannels, p.outChannels);
  std::swap(p.weightTerm, p.weightResult);
  p.classes.clear();
  for (const WindowAxis &h :
       gradientAxis(s.height, s.padTop, s.strideH, s.kernelHeight, s.dilationH))
    for (const WindowAxis &w :
         gradientAxis(s.width, s.padLeft, s.strideW, s.kernelWidth, s.dilationW))
      p.classes.push_back({h, w});
  return p;
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

static void readMatMul(Operation *op, Contraction &c) {
  bool transposeA = op->hasAttr("transpose_a"), transposeB = op->hasAttr("transpose_b");
  auto a = cast<RankedTensorType>(op->getOperand(0).getType());
  auto y = cast<RankedTensorType>(op->getResult(0).getType());
  int64_t m = y.getDimSize(y.getRank() - 2), n = y.getDimSize(y.getRank() - 1),
          k = nn::matMulLength(a, transposeA);
  c.matrices = y.getRank() == 3 ? y.getDimSize(0) : 1;
  c.left.format.elements /= c.matrices;
  c.right.format.elements /= c.matrices;
  c.isWindow = !transposeA;
  if (c.isWindow) {
    // The rows are images of one pixel, the contraction their channels.
    nn::ConvShape s{m, 1, 1, k, 1, 1, n, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1};
    c.window = forwardWindow(s);
    if (!transposeB)
      c.window.weightTerm = n, c.window.weightResult = 1;
    return;
  }
  // The contraction is the pixels of a row of one image; long ones are cut into images.
  int64_t pixels = k <= 1024 ? (k + 1) / 2 * 2 : 512;
  nn::ConvShape s{
      (k + pixels - 1) / pixels, 1, pixels, n, 1, pixels, m, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1};
  c.pixels = {s, k, /*rowsAreRight=*/false, transposeB};
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static LogicalResult readFormat(Value value, OperandInfo &info) {
  auto type = cast<RankedTensorType>(value.getType());
  CodeFormat &f = info.format;
  f.elements = type.getNumElements();
  info.isFloat = type.getElementType().isF32();
  if (info.isFloat)
    return success();
  f.hasZeroPoint = info.zeroPoint >= 0;
  f.magnitude = q4::largestMagnitude(type.getElementType(), f.hasZeroPoint);
  return TypeSwitch<Type, LogicalResult>(type.getElementType())
      .Case<q4::Int4Type>([&](auto) { return f.kind = CodeFormat::Int4, success(); })
      .Case<q4::Int8Type>([&](auto) { return f.kind = CodeFormat::Int8, success(); })
      .Case<q4::LogType>([&](q4::LogType log) {
        return f.kind = CodeFormat::Log, f.radix = log.getRadix(), success();
      })

      .Default([](Type) { return failure(); });
}

/// Numbers of the operands in the list of those that are present.
static void readOperandNumbers(Operation *op, Contraction &c) {
  c.right.input = 1;
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  if (auto inherent = op->getInherentAttr("operandSegmentSizes"); !segments && inherent)
    segments = dyn_cast<DenseI32ArrayAttr>(*inherent);
  if (!segments)
    return;
  int *const slots[] = {&c.left.input,     &c.right.input,     &c.left.scale, &c.right.scale,
                        &c.left.zeroPoint, &c.right.zeroPoint, &c.gain};
  int number = 0;
  for (auto [slot, size] : llvm::zip(slots, segments.asArrayRef()))
    *slot = size ? number++ : -1;
}

FailureOr<Contraction> contraction::readContraction(Operation *op) {
  Contraction c;
  c.hasPanel = op->getOperand(1).getDefiningOp<plan::PackedOp>() != nullptr;
  readOperandNumbers(op, c);
  if (failed(readFormat(op->getOperand(0), c.left)) ||
      failed(readFormat(op->getOperand(1), c.right)) || c.left.isFloat != c.right.isFloat)
    return failure();
  StringRef name = op->getName().stripDialect();
  if (name == "matmul") {
    readMatMul(op, c);
    return c;
  }
  nn::ConvShape s = nn::convShape(op);
  if (name == "conv2d") {
    c.window = forwardWindow(s);
  } else if (name == "conv2d_input_grad") {
    c.window = gradientWindow(s);
  } else if (name == "conv2d_weight_grad") {
    c.isWindow = false;
    c.pixels = {s, s.batch * s.outHeight * s.outWidth, /*rowsAreRight=*/true};
  } else {
    return failure();
  }
  return c;
}
