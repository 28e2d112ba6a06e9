//===- ConvertActivation.cpp - nonlinear functions, softmax, dropout ---------===//
#include "Importer.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

template <typename Op> static LogicalResult convertUnary(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, n.unary<Op>(x));
  return success(x != nullptr);
}

static Value clip(NodeContext &n, Value x, float lo, float hi) {
  auto &b = n.b();
  return nn::ClipOp::create(b, n.loc(), x.getType(), x, b.getF32FloatAttr(lo),
                            b.getF32FloatAttr(hi));
}

static LogicalResult convertLeakyRelu(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, nn::LeakyReluOp::create(
                 n.b(), n.loc(), x.getType(), x,
                 n.b().getF32FloatAttr(static_cast<float>(n.real("alpha", 0.01)))));
  return success(x != nullptr);
}

/// max(x, 0) + slope·min(x, 0) with a trained slope: one number, or one a channel.
static LogicalResult convertPRelu(NodeContext &n) {
  Shape shape = n.shape(0), slope = n.shape(1);
  if (!n.constant(1))
    return n.error("its slope depends on the data", "it has to be an initializer");
  Value x = n.value(0);
  if (!x)
    return failure();
  bool ofChannels = shape.size() > 2 && slope.size() + 1 == shape.size() && slope[0] == shape[1] &&
                    countElements(slope) == slope[0];
  if (ofChannels)
    x = n.toChannelsLast(x);
  Value s = n.parameter(1, train::Role::Norm, ofChannels ? Layout{{false, {slope[0]}}} : Layout());
  if (!s || failed(n.checkBroadcast(NodeContext::shapeOf(x), NodeContext::shapeOf(s))))
    return failure();
  Value zero = n.splat(0);
  Value below = n.binary<nn::MulOp>(n.binary<nn::MinOp>(x, zero), s);
  if (NodeContext::shapeOf(below) != NodeContext::shapeOf(x))
    return n.error("its slope of shape " + shapeText(slope) + " is larger than " +
                   shapeText(shape));
  Value y = n.binary<nn::AddOp>(n.unary<nn::ReluOp>(x), below);
  n.set(0, ofChannels ? n.fromChannelsLast(y) : y);
  return success();
}

static LogicalResult convertClip(NodeContext &n) {
  constexpr float largest = std::numeric_limits<float>::max();
  float bounds[2] = {static_cast<float>(n.real("min", -largest)),
                     static_cast<float>(n.real("max", largest))};
  for (size_t i : {1, 2})
    if (n.has(i)) {
      auto bound = n.scalar(i);
      if (!bound)
        return n.error("its bound '" + n.node.inputs[i] + "' is not a constant scalar");
      bounds[i - 1] = static_cast<float>(*bound);
    }
  Value x = n.value(0);
  if (!x)
    return failure();
  if (!(bounds[0] <= bounds[1])) // ONNX: everything becomes the upper bound; no network means that
    return n.error("clips to the empty interval from " + numberText(bounds[0]) + " to " +
                   numberText(bounds[1]));
  bool below = bounds[0] > -largest, above = bounds[1] < largest;
  if (!below && !above)
    n.set(0, x);
  else if (bounds[0] == 0 && !above)
    n.set(0, n.unary<nn::ReluOp>(x));
  else
    n.set(0, clip(n, x, bounds[0], bounds[1]));
  return success();
}

//===----------------------------------------------------------------------===//
// Compositions
//===----------------------------------------------------------------------===//

static Value scaled(NodeContext &n, Value x, double factor) {
  return n.binary<nn::MulOp>(x, n.splat(static_cast<float>(factor)));
}
static Value shifted(NodeContext &n, Value x, double by) {
  return n.binary<nn::AddOp>(x, n.splat(static_cast<float>(by)));
}

static LogicalResult convertHardSigmoid(NodeContext &n) { // max(0, min(1, alpha x + beta))
  Value x = n.value(0);
  if (x)
    n.set(0, clip(n, shifted(n, scaled(n, x, n.real("alpha", 0.2)), n.real("beta", 0.5)), 0, 1));
  return success(x != nullptr);
}

static LogicalResult convertHardSwish(NodeContext &n) { // x max(0, min(1, x/6 + 1/2))
  Value x = n.value(0);
  if (x)
    n.set(0, n.binary<nn::MulOp>(x, clip(n, shifted(n, scaled(n, x, 1.0 / 6), 0.5), 0, 1)));
  return success(x != nullptr);
}

/// alpha (e^min(x, 0) - 1) + max(x, 0)
static Value elu(NodeContext &n, Value x, double alpha) {
  Value below = n.binary<nn::MinOp>(x, n.splat(0));
  Value grown = scaled(n, shifted(n, n.unary<nn::ExpOp>(below), -1), alpha);
  return n.binary<nn::AddOp>(n.unary<nn::ReluOp>(x), grown);
}
static LogicalResult convertElu(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, elu(n, x, n.real("alpha", 1)));
  return success(x != nullptr);
}
static LogicalResult convertSelu(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, scaled(n, elu(n, x, n.real("alpha", 1.6732632423543772)),
                    n.real("gamma", 1.0507009873554805)));
  return success(x != nullptr);
}

static Value softplus(NodeContext &n, Value x) { // max(x, 0) + log(1 + e^-|x|)
  Value tail = n.unary<nn::ExpOp>(n.unary<nn::NegOp>(n.unary<nn::AbsOp>(x)));
  return n.binary<nn::AddOp>(n.unary<nn::ReluOp>(x), n.unary<nn::LogOp>(shifted(n, tail, 1)));
}
static LogicalResult convertSoftplus(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, softplus(n, x));
  return success(x != nullptr);
}
static LogicalResult convertMish(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, n.binary<nn::MulOp>(x, n.unary<nn::TanhOp>(softplus(n, x))));
  return success(x != nullptr);
}
static LogicalResult convertSoftsign(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, n.binary<nn::DivOp>(x, shifted(n, n.unary<nn::AbsOp>(x), 1)));
  return success(x != nullptr);
}
static LogicalResult convertGelu(NodeContext &n) {
  Value x = n.value(0);
  if (!x)
    return failure();
  Value inner;
  if (n.text("approximate", "none") == "tanh") { // tanh(sqrt(2/pi) (x + 0.044715 x^3))
    Value cube = n.binary<nn::MulOp>(n.binary<nn::MulOp>(x, x), x);
    inner = n.unary<nn::TanhOp>(
        scaled(n, n.binary<nn::AddOp>(x, scaled(n, cube, 0.044715)), std::sqrt(2 / M_PI)));
  } else {
    inner = n.unary<nn::ErfOp>(scaled(n, x, M_SQRT1_2));
  }
  n.set(0, n.binary<nn::MulOp>(scaled(n, x, 0.5), shifted(n, inner, 1)));
  return success();
}

//===----------------------------------------------------------------------===//
// Softmax: nn's runs over the last dimension
//===----------------------------------------------------------------------===//

/// Is this the final softmax that the loss takes over, and does it run over all there is of one
/// sample?
static bool isMerged(NodeContext &n, int64_t width, int64_t count, bool ofSequence) {
  Importer &importer = n.importer;
  if (n.node.outputs.empty() || n.node.outputs[0] != importer.mergedNode)
    return false;
  if (importer.hasBatch && width >= 2 && (width * importer.newBatch == count || ofSequence))
    return true;
  importer.note("the final " + n.node.op +
                " does not run over the classes alone and stays in the network");
  return false;
}

/// The network's last one belongs to binary cross-entropy.
static LogicalResult convertSigmoid(NodeContext &n) {
  if (n.node.outputs.empty() || n.node.outputs[0] != n.importer.mergedNode)
    return convertUnary<nn::SigmoidOp>(n);
  Value x = n.value(0);
  if (!x)
    return failure();
  n.importer.mergedOp = n.node.op;
  n.set(0, x);
  return success();
}

template <typename Op> static LogicalResult convertSoftmax(NodeContext &n) {
  Value x = n.value(0);
  if (!x)
    return failure();
  Shape shape = n.shape(0);
  int64_t rank = shape.size();
  bool flattens = n.opset < 13; // older ones take all dimensions from `axis` on as one
  if (rank == 0)
    return n.error("is taken of a scalar");
  auto axis = n.axis(n.integer("axis", flattens ? 1 : -1), flattens && rank == 1 ? 2 : rank);
  if (!axis)
    return failure();
  int64_t count = countElements(shape),
          width = flattens
                      ? countElements(Shape(shape.begin() + std::min(*axis, rank), shape.end()))
                      : shape[*axis];
  // Each element of a sequence has a class.
  bool ofSequence = !flattens && rank == 3 && *axis == 2 && n.importer.answersInSequence();
  if (isMerged(n, width, count, ofSequence)) {
    n.importer.mergedOp = n.node.op;
    n.set(0, x);
    return success();
  }
  if (flattens) {
    n.set(0, n.reshape(n.unary<Op>(n.reshape(x, {count / width, width})), shape));
    return success();
  }
  SmallVector<int64_t> perm;
  for (int64_t d = 0; d < rank; ++d)
    perm.push_back(d);
  std::swap(perm[*axis], perm[rank - 1]); // its own inverse
  n.set(0, n.transpose(n.unary<Op>(n.transpose(x, perm)), perm));
  return success();
}

//===----------------------------------------------------------------------===//
// Dropout of any form drops in training and never in evaluation
//===----------------------------------------------------------------------===//

static LogicalResult convertDropout(NodeContext &n) {
  double ratio = n.real("ratio", 0.5);
  if (n.has(1)) {
    auto given = n.scalar(1);
    if (!given)
      return n.error("its ratio is not a constant scalar");
    ratio = *given;
  }
  if (!(ratio >= 0 && ratio < 1))
    return n.error("its ratio is " + numberText(ratio) + ", it has to be in [0, 1)");
  if (n.wants(1))
    return n.error("its mask is used", "only the first output is imported");
  if (n.constant(0) || ratio == 0 || n.importer.matches(n.importer.options.freeze, {n.node.name})) {
    n.alias(0);
    return success();
  }
  Value x = n.value(0);
  n.set(0, nn::DropoutOp::create(n.b(), n.loc(), x.getType(), x,
                                 n.b().getF32FloatAttr(static_cast<float>(ratio))));
  return success();
}

void nibble::importer::addActivationConverters(ConverterTable &table) {
  table["PRelu"] = convertPRelu;
  table["Relu"] = convertUnary<nn::ReluOp>;
  table["LeakyRelu"] = convertLeakyRelu;
  table["Sigmoid"] = convertSigmoid;
  table["Tanh"] = convertUnary<nn::TanhOp>;
  table["Clip"] = convertClip;
  table["HardSigmoid"] = convertHardSigmoid;
  table["HardSwish"] = convertHardSwish;
  table["Elu"] = convertElu;
  table["Selu"] = convertSelu;
  table["Softplus"] = convertSoftplus;
  table["Mish"] = convertMish;
  table["Softsign"] = convertSoftsign;
  table["Gelu"] = convertGelu;
  table["Softmax"] = convertSoftmax<nn::SoftmaxOp>;
  table["LogSoftmax"] = convertSoftmax<nn::LogSoftmaxOp>;
  table["Dropout"] = convertDropout;
}
