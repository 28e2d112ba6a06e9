//===- ConvertCompare.cpp - conditions that depend on the data -----------------===//
//
// A condition is a tensor of 1 and 0 in f32, so that views, slices and joins of conditions need
// nothing of their own. Where reads the bits behind it. Nothing is differentiated through one.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// a ⋄ b, of `shape`, which both broadcast to.
static Value bitsOf(NodeContext &n, const Shape &shape, Value a, Value b,
                    nn::Comparison predicate) {
  auto type = n.type(shape).clone(n.b().getI1Type());
  return nn::CompareOp::create(n.b(), n.loc(), type, a, b, predicate);
}

/// bit ? yes : no, numbers.
static Value numbersOf(NodeContext &n, Value bits, float yes, float no) {
  auto type = cast<RankedTensorType>(bits.getType()).clone(n.b().getF32Type());
  return nn::SelectOp::create(n.b(), n.loc(), type, bits, n.splat(yes), n.splat(no));
}

template <nn::Comparison predicate> static LogicalResult convertComparison(NodeContext &n) {
  Value a = n.value(0), b = a ? n.value(1) : Value();
  if (!b)
    return failure();
  auto shape = broadcastShape(n.shape(0), n.shape(1));
  if (!shape)
    return n.checkBroadcast(n.shape(0), n.shape(1));
  if (failed(n.check(*shape)))
    return failure();
  n.set(0, numbersOf(n, bitsOf(n, *shape, a, b, predicate), 1, 0));
  return success();
}

/// Comparisons are false on NaN, so a number is one where it equals itself.
static LogicalResult convertIsNaN(NodeContext &n) {
  Value x = n.value(0);
  if (x)
    n.set(0, numbersOf(n, bitsOf(n, n.shape(0), x, x, nn::Comparison::EQ), 0, 1));
  return success(x != nullptr);
}

static Value conditionOf(NodeContext &n, size_t i) {
  if (!n.constant(i))
    return n.value(i);
  const HostTensor &condition = *n.host(i);
  if (!condition.hasData() || failed(n.checkFold(condition.shape)))
    return (void)n.error("its constant condition has no numbers"), Value();
  HostTensor numbers = HostTensor::zeros(DataType::Float, condition.shape);
  for (int64_t e = 0, count = numbers.size(); e < count; ++e)
    numbers.floats[e] = condition.at(e) != 0;
  return n.constantLike(numbers);
}

static LogicalResult convertNot(NodeContext &n) {
  Value x = conditionOf(n, 0);
  if (x)
    n.set(0, n.binary<nn::SubOp>(n.splat(1), x));
  return success(x != nullptr);
}

template <typename Op> static LogicalResult convertLogic(NodeContext &n) {
  Value a = conditionOf(n, 0), b = a ? conditionOf(n, 1) : Value(),
        joined = b ? n.binary<Op>(a, b) : Value();
  if (joined)
    n.set(0, joined);
  return success(joined != nullptr);
}

static std::optional<float> splatOf(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto dense = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : nullptr;
  if (!dense || !dense.isSplat())
    return std::nullopt;
  return dense.getSplatValue<float>();
}

Value nibble::importer::chooseByCondition(NodeContext &n, Value condition, const Shape &shape,
                                          Value a, Value b) {
  auto type = n.type(shape);
  if (auto select = condition.getDefiningOp<nn::SelectOp>();
      select && NodeContext::shapeOf(condition) == shape) {
    auto yes = splatOf(select.getA()), no = splatOf(select.getB());
    if (yes && no && *yes + *no == 1 && *yes * *no == 0)
      return nn::SelectOp::create(n.b(), n.loc(), type, select.getBits(), *yes == 1 ? a : b,
                                  *yes == 1 ? b : a);
  }
  Value half = arith::ConstantOp::create(n.b(), n.loc(), DenseElementsAttr::get(type, 0.5f));
  Value bits = bitsOf(n, shape, condition, half, nn::Comparison::GT);
  return nn::SelectOp::create(n.b(), n.loc(), type, bits, a, b);
}

void nibble::importer::addCompareConverters(ConverterTable &table) {
  table["Equal"] = convertComparison<nn::Comparison::EQ>;
  table["Less"] = convertComparison<nn::Comparison::LT>;
  table["LessOrEqual"] = convertComparison<nn::Comparison::LE>;
  table["Greater"] = convertComparison<nn::Comparison::GT>;
  table["GreaterOrEqual"] = convertComparison<nn::Comparison::GE>;
  table["IsNaN"] = convertIsNaN;
  table["Not"] = convertNot;
  table["And"] = convertLogic<nn::MulOp>;
  table["Or"] = convertLogic<nn::MaxOp>;
}
