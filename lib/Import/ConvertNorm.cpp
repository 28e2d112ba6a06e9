//===- ConvertNorm.cpp - batch, layer and root mean square normalization ------===//
//
// Batch normalization of any form (inference form, training_mode with three outputs, opset 7's and
// 9's with five) it trains with the batch's statistics, unless frozen. The updated statistics are
// the variables' own business, so the other outputs have no counterpart.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static LogicalResult checkVectors(NodeContext &n, int64_t channels) {
  static const char *const names[] = {"input", "scale", "shift", "running mean",
                                      "running variance"};
  for (size_t i = 1; i <= 4; ++i) {
    if (!n.has(i))
      return n.error("has no " + Twine(names[i]));
    if (!n.constant(i))
      return n.error("its " + Twine(names[i]) + " ('" + n.node.inputs[i] + "') depends on the data",
                     "it has to be an initializer");
    if (n.shape(i) != Shape{channels})
      return n.error("its " + Twine(names[i]) + " has the shape " + shapeText(n.shape(i)) +
                     " for " + Twine(channels) + " channels");
  }
  return success();
}

/// Outputs but the first have no counterpart.
static LogicalResult refuseStatistics(NodeContext &n) {
  for (size_t i = 1; i < n.node.outputs.size(); ++i)
    if (n.wants(i))
      return n.error("its output " + Twine(i) + " ('" + n.node.outputs[i] +
                         "', a statistic) is used",
                     "only the normalized output is imported");
  return success();
}

static LogicalResult convertBatchNormalization(NodeContext &n) {
  Shape shape = n.shape(0);
  if (shape.size() < 2 || !n.isValue(0))
    return n.error("normalizes a tensor of shape " + shapeText(shape));
  if (n.opset < 9 && n.integer("spatial", 1) == 0)
    return n.error("has spatial = 0 (statistics of each element)", "export with opset 9 or newer");
  if (failed(checkVectors(n, shape[1])))
    return failure();
  if (failed(refuseStatistics(n)))
    return failure();
  Value x = n.toChannelsLast(n.value(0));
  Value scale = n.parameter(1, train::Role::Norm),
        shift = scale ? n.parameter(2, train::Role::Norm) : Value();
  Value mean = shift ? n.parameter(3, train::Role::RunningStat) : Value(),
        variance = mean ? n.parameter(4, train::Role::RunningStat) : Value();
  if (!variance)
    return failure();
  auto &b = n.b();
  SmallVector<NamedAttribute> attributes{
      b.getNamedAttr("epsilon", b.getF32FloatAttr(static_cast<float>(n.real("epsilon", 1e-5)))),
      b.getNamedAttr("momentum", b.getF32FloatAttr(static_cast<float>(n.real("momentum", 0.9))))};
  std::string names[] = {n.node.name, n.constant(1)->root};
  if (n.importer.matches(n.importer.options.freeze, names) &&
      !n.importer.matches(n.importer.options.train, names))
    attributes.push_back(b.getNamedAttr("frozen", b.getUnitAttr()));
  n.importer.normalizations++;
  n.set(0, n.fromChannelsLast(nn::BatchNormOp::create(b, n.loc(), TypeRange{x.getType()},
                                                      ValueRange{x, scale, shift, mean, variance},
                                                      attributes)));
  return success();
}

/// Scale or shift of rows of `length` elements, as a vector; null: reported.
static Value rowVector(NodeContext &n, size_t i, const char *what, int64_t length) {
  Shape shape = n.shape(i);
  if (countElements(shape) != length)
    return (void)n.error("its " + Twine(what) + " has the shape " + shapeText(shape) + " for " +
                             Twine(length) + " normalized elements",
                         "only one value for each normalized element is imported"),
           Value();
  const Constant *constant = n.constant(i);
  return constant && constant->stored ? n.parameter(i, train::Role::Norm, {{false, {length}}})
         : n.value(i)                 ? n.reshape(n.value(i), {length})
                                      : Value();
}

/// Over the dimensions from `axis` on, which become the rows of nn.layer_norm.
static LogicalResult convertRowNorm(NodeContext &n) {
  bool rms = n.node.op == "RMSNormalization";
  if (!n.isValue(0) || !n.has(1))
    return n.error("takes data and a scale");
  Shape shape = n.shape(0);
  auto axis = n.axis(n.integer("axis", -1), shape.size());
  if (!axis)
    return failure();
  if (failed(refuseStatistics(n)))
    return failure();
  int64_t length = countElements(Shape(shape.begin() + *axis, shape.end()));
  Shape rows(shape.begin(), shape.begin() + *axis);
  rows.push_back(length);
  Value scale = rowVector(n, 1, "scale", length);
  if (!scale)
    return failure();
  SmallVector<Value> operands{n.reshape(n.value(0), rows), scale};
  bool hasBias = !rms && n.has(2);
  if (hasBias) {
    operands.push_back(rowVector(n, 2, "shift", length));
    if (!operands.back())
      return failure();
  }
  auto &b = n.b();
  SmallVector<NamedAttribute> attributes{
      b.getNamedAttr("epsilon", b.getF32FloatAttr(static_cast<float>(n.real("epsilon", 1e-5))))};
  if (rms)
    attributes.push_back(b.getNamedAttr("rms", b.getUnitAttr()));
  auto statistic = n.type({countElements(rows) / length});
  auto norm = nn::LayerNormOp::create(b, n.loc(), TypeRange{n.type(rows), statistic, statistic},
                                      operands, attributes);
  n.importer.normalizations++;
  n.set(0, n.reshape(norm.getResult(), shape));
  return success();
}

void nibble::importer::addNormConverters(ConverterTable &table) {
  table["LayerNormalization"] = convertRowNorm;
  table["RMSNormalization"] = convertRowNorm;
  table["BatchNormalization"] = convertBatchNormalization;
}
