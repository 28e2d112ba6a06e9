//===- ConvertElementwise.cpp - arithmetic, element by element ---------------===//
#include "Importer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

//===----------------------------------------------------------------------===//
// Biases, scales and shifts
//===----------------------------------------------------------------------===//

static Value throughViews(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<nn::TransposeOp, nn::ReshapeOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

bool nibble::importer::followsContraction(Value value) {
  return throughViews(value).getDefiningOp<ContractionOpInterface>() != nullptr;
}

static bool isTrainable(Value value) {
  return throughViews(value).getDefiningOp<train::ReadOp>() != nullptr;
}

/// The normalized value of a spelled-out normalization: data divided by data, or times data, or
/// batch norm itself.
bool nibble::importer::followsNormalization(Value value) {
  Operation *op = throughViews(value).getDefiningOp();
  if (!op)
    return false;
  if (isa<nn::BatchNormOp, nn::LayerNormOp>(op))
    return true;
  if (!isa<nn::DivOp, nn::MulOp>(op))
    return false;
  auto isData = [](Value v) {
    return !throughViews(v).getDefiningOp<arith::ConstantOp>() && !isTrainable(v);
  };
  return isData(op->getOperand(0)) && isData(op->getOperand(1));
}

bool nibble::importer::followsEmbedding(Value value) {
  return throughViews(value).getDefiningOp<nn::EmbeddingOp>() != nullptr;
}

/// Scaled by a vector of its own after a normalization or contraction: what a shift follows.
static bool followsScale(Value value) {
  auto mul = throughViews(value).getDefiningOp<nn::MulOp>();
  return mul && (isTrainable(mul.getA()) || isTrainable(mul.getB()));
}

/// The one dimension of `shape` that is not 1, counted from the end (0 is the last); nothing for
/// scalars and matrices.
static std::optional<size_t> vectorDimension(const Shape &shape) {
  std::optional<size_t> found;
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1) {
      if (found)
        return std::nullopt;
      found = shape.size() - 1 - i;
    }
  return found;
}

/// The constant input's role in `value (op) constant`, or nothing where it is a plain constant.
static std::optional<train::Role> roleOf(NodeContext &n, const Constant &constant, Value value) {
  const Shape &shape = constant.tensor->shape, data = NodeContext::shapeOf(value);
  bool ofOneOutput =
      !shape.empty() && constant.tensor->size() == 1 && data.size() == 2 && data[1] == 1;
  // Positions that an exporter has already looked up.
  if (n.node.op == "Add" && constant.stored && constant.tensor->isFloat() &&
      constant.tensor->size() > 1 && followsEmbedding(value))
    return train::Role::Weight;
  if (!constant.stored || !(vectorDimension(shape) || ofOneOutput) || !constant.tensor->isFloat())
    return std::nullopt;
  bool adds = n.node.op == "Add" || n.node.op == "Sub";
  if (adds && followsContraction(value))
    return train::Role::Bias;
  if ((adds && (followsScale(value) || followsNormalization(value))) ||
      (n.node.op == "Mul" && (followsNormalization(value) || followsContraction(value))))
    return train::Role::Norm;
  return std::nullopt;
}

/// value (op) constant with a vector along dimension 1 of (N, C, ...): done channels-last, with a
/// vector of rank 1.
template <typename Op>
static Value withVector(NodeContext &n, size_t dataInput, size_t constantInput, train::Role role) {
  Value data = n.value(dataInput);
  Shape shape = NodeContext::shapeOf(data), vector = n.shape(constantInput);
  size_t fromEnd = vectorDimension(vector).value_or(0);
  bool channels = shape.size() >= 3 && fromEnd + 2 == shape.size() && vector.size() <= shape.size();
  bool last = fromEnd == 0 && vector.size() <= shape.size();
  if (countElements(vector) > 1 && !vectorDimension(vector)) // a matrix
    channels = last = false;
  if (!channels && !last) {
    Value other = n.parameter(constantInput, role);
    return !other           ? Value()
           : dataInput == 0 ? n.binary<Op>(data, other)
                            : n.binary<Op>(other, data);
  }
  Value other = n.parameter(constantInput, role, {{false, {countElements(vector)}}});
  if (!other)
    return {};
  Value moved = channels ? n.toChannelsLast(data) : data;
  Value result = dataInput == 0 ? n.binary<Op>(moved, other) : n.binary<Op>(other, moved);
  return result && channels ? n.fromChannelsLast(result) : result;
}

template <typename Op> static LogicalResult convertBinary(NodeContext &n) {
  if (!n.has(0) || !n.has(1))
    return n.error("takes two inputs");
  for (size_t i : {0, 1}) {
    if (!n.constant(i) || n.constant(1 - i))
      continue;
    Value data = n.value(1 - i);
    if (auto role = roleOf(n, *n.constant(i), data)) {
      Value result = withVector<Op>(n, 1 - i, i, *role);
      n.set(0, result);
      return success(result != nullptr);
    }
  }
  Value a = n.value(0), c = a ? n.value(1) : Value();
  Value result = c ? n.binary<Op>(a, c) : Value();
  if (result)
    n.set(0, result);
  return success(result != nullptr);
}

//===----------------------------------------------------------------------===//
// One operand, many operands
//===----------------------------------------------------------------------===//

template <typename Op> static LogicalResult convertUnary(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, n.unary<Op>(x));
  return success(x != nullptr);
}

/// Joins all inputs from the left; null where that failed.
template <typename Op> static Value joinAll(NodeContext &n) {
  Value result = n.value(0);
  for (size_t i = 1; result && i < n.inputs(); ++i) {
    Value next = n.value(i);
    result = next ? n.binary<Op>(result, next) : Value();
  }
  return result;
}

template <typename Op> static LogicalResult convertVariadic(NodeContext &n) {
  if (n.inputs() == 2)
    return convertBinary<Op>(n);
  Value result = joinAll<Op>(n);
  if (result)
    n.set(0, result);
  return success(result != nullptr);
}

static LogicalResult convertMean(NodeContext &n) {
  Value sum = joinAll<nn::AddOp>(n);
  Value mean = sum && n.inputs() > 1
                   ? n.binary<nn::DivOp>(sum, n.splat(static_cast<float>(n.inputs())))
                   : sum;
  if (mean)
    n.set(0, mean);
  return success(mean != nullptr);
}

static LogicalResult convertReciprocal(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, n.binary<nn::DivOp>(n.splat(1.0f), x));
  return success(x != nullptr);
}

static LogicalResult convertPow(NodeContext &n) {
  auto exponent = n.scalar(1);
  if (!exponent)
    return n.error("its exponent is not a constant scalar");
  Value x = n.value(0);
  if (!x)
    return failure();
  double e = *exponent;
  Value one = e < 0 ? n.splat(1.0f) : Value(), result;
  if (std::fabs(e) == 0.5)
    result = n.unary<nn::SqrtOp>(x);
  else if (std::fabs(e) == 1)
    result = x;
  else if (std::fabs(e) == 2)
    result = n.binary<nn::MulOp>(x, x);
  else if (std::fabs(e) == 3)
    result = n.binary<nn::MulOp>(n.binary<nn::MulOp>(x, x), x);
  else
    return n.error("raises to the power " + numberText(e),
                   "powers ±0.5, ±1, ±2 and ±3 are imported");
  n.set(0, one ? n.binary<nn::DivOp>(one, result) : result);
  return success();
}

void nibble::importer::addElementwiseConverters(ConverterTable &table) {
  table["Add"] = convertBinary<nn::AddOp>;
  table["Sub"] = convertBinary<nn::SubOp>;
  table["Mul"] = convertBinary<nn::MulOp>;
  table["Div"] = convertBinary<nn::DivOp>;
  table["Min"] = convertVariadic<nn::MinOp>;
  table["Max"] = convertVariadic<nn::MaxOp>;
  table["Sum"] = convertVariadic<nn::AddOp>;
  table["Mean"] = convertMean;
  table["Neg"] = convertUnary<nn::NegOp>;
  table["Sqrt"] = convertUnary<nn::SqrtOp>;
  table["Exp"] = convertUnary<nn::ExpOp>;
  table["Log"] = convertUnary<nn::LogOp>;
  table["Abs"] = convertUnary<nn::AbsOp>;
  table["Erf"] = convertUnary<nn::ErfOp>;
  table["Reciprocal"] = convertReciprocal;
  table["Pow"] = convertPow;
}
