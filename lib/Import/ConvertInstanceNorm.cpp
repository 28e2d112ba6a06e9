//===- ConvertInstanceNorm.cpp - normalization of a sample's own channels or groups -===//
//
// Spelled out in ordinary ops: mean and variance over a sample's own elements, so training and evaluation compute the same and nothing
// is remembered. InstanceNormalization (opset 1 to 22), GroupNormalization (opset 18, 21).
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// (x − mean)/√(variance + ε) over the axes.
static Value normalized(NodeContext &n, Value x, ArrayRef<int64_t> axes, float epsilon) {
  auto &b = n.b();
  Value mean = nn::ReduceMeanOp::create(b, n.loc(), x, axes);
  Value centered = n.binary<nn::SubOp>(x, mean);
  Value variance = nn::ReduceMeanOp::create(b, n.loc(), n.binary<nn::MulOp>(centered, centered), axes);
  Value deviation = n.unary<nn::SqrtOp>(n.binary<nn::AddOp>(variance, n.splat(epsilon)));
  return n.binary<nn::DivOp>(centered, deviation);
}

/// x·scale + shift along the last dimension; null: reported.
static Value scaled(NodeContext &n, Value x) {
  Value scale = n.parameter(1, train::Role::Norm), shift = scale ? n.parameter(2, train::Role::Norm) : Value();
  return shift ? n.binary<nn::AddOp>(n.binary<nn::MulOp>(x, scale), shift) : Value();
}

/// x of at least (N, C, one more), scale and shift of `channels` each.
static LogicalResult checkOperands(NodeContext &n, const Shape &x, int64_t channels) {
  if (x.size() < 3 || !n.isValue(0))
    return n.error("normalizes a tensor of shape " + shapeText(x) + ", (N, C, …) expected");
  for (size_t i : {1, 2}) {
    llvm::StringRef what = i == 1 ? "scale" : "shift";
    if (!n.constant(i))
      return n.error("its " + what + " is missing or depends on the data", "it has to be an initializer");
    if (n.shape(i) != Shape{channels})
      return n.error("its " + what + " has the shape " + shapeText(n.shape(i)) + ", " + Twine(channels) + " numbers expected");
  }
  return success();
}

static LogicalResult convertInstanceNormalization(NodeContext &n) {
  Shape shape = n.shape(0);
  if (failed(checkOperands(n, shape, shape.size() > 1 ? shape[1] : 1)))
    return failure();
  Value x = n.value(0);
  if (!x)
    return failure();
  SmallVector<int64_t> axes;
  for (size_t d = 1; d + 1 < shape.size(); ++d)
    axes.push_back(d);
  Value y = scaled(n, normalized(n, n.toChannelsLast(x), axes, static_cast<float>(n.real("epsilon", 1e-5))));
  if (!y)
    return failure();
  n.importer.normalizations++;
  n.set(0, n.fromChannelsLast(y));
  return success();
}

static LogicalResult convertGroupNormalization(NodeContext &n) {
  Shape shape = n.shape(0);
  int64_t groups = n.integer("num_groups", 1), channels = shape.size() > 1 ? shape[1] : 1;
  if (groups < 1 || channels % groups != 0)
    return n.error("has " + Twine(groups) + " groups of " + Twine(channels) + " channels");
  if (n.opset < 21 && groups != channels)
    return n.error("scales each group (opset below 21)", "export with opset 21 or newer, which scales each channel");
  if (failed(checkOperands(n, shape, channels)))
    return failure();
  Value x = n.value(0);
  if (!x)
    return failure();
  Value grouped = n.reshape(x, {shape[0], groups, countElements(shape) / (shape[0] * groups)});
  Value y = n.reshape(normalized(n, grouped, {2}, static_cast<float>(n.real("epsilon", 1e-5))), shape);
  y = scaled(n, n.toChannelsLast(y));
  if (!y)
    return failure();
  n.importer.normalizations++;
  n.set(0, n.fromChannelsLast(y));
  return success();
}

void nibble::importer::addInstanceNormConverters(ConverterTable &table) {
  table["InstanceNormalization"] = convertInstanceNormalization;
  table["GroupNormalization"] = convertGroupNormalization;
}
