//===- FoldArithmetic.cpp - arithmetic on host constants ---------------------===//
//
// Floats are computed as f32, integers wrap; NodeContext::checkFold bounds their size.
//
//===----------------------------------------------------------------------===//
#include "Fold.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// Flat index into an operand of `shape` for each element of the result.
static std::vector<uint32_t> broadcastIndices(const Shape &shape, const Shape &result) {
  size_t rank = result.size(), missing = rank - shape.size();
  Shape strides(rank, 0), index(rank, 0);
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0; stride *= shape[d])
    strides[missing + d] = shape[d] == 1 ? 0 : stride;
  std::vector<uint32_t> places(countElements(result));
  int64_t place = 0; // below kMaxElements
  for (uint32_t &p : places) {
    p = static_cast<uint32_t>(place);
    for (size_t d = rank; d-- > 0;) {
      place += strides[d];
      if (++index[d] < result[d])
        break;
      place -= strides[d] * result[d];
      index[d] = 0;
    }
  }
  return places;
}

/// Operands and result of an element-wise fold, broadcast.
struct Operands {
  const HostTensor *a, *b;
  Shape shape;
  std::vector<uint32_t> places[2];
};

static std::optional<Operands> operandsOf(NodeContext &n, size_t first = 0) {
  Operands o{n.host(first), n.host(first + 1), {}, {}};
  if (!o.a || !o.b || !o.a->hasData() || !o.b->hasData() || o.a->isFloat() != o.b->isFloat())
    return (void)n.error("has constant operands of types that do not go together"), std::nullopt;
  auto joined = broadcastShape(o.a->shape, o.b->shape);
  if (!joined)
    return (void)n.error("shapes " + shapeText(o.a->shape) + " and " + shapeText(o.b->shape) +
                         " do not broadcast"),
           std::nullopt;
  if (failed(n.checkFold(*joined)))
    return std::nullopt;
  o.shape = *joined;
  o.places[0] = broadcastIndices(o.a->shape, o.shape);
  o.places[1] = broadcastIndices(o.b->shape, o.shape);
  return o;
}

using FloatFunction = float (*)(float, float);
using IntFunction = int64_t (*)(int64_t, int64_t);
using Predicate = bool (*)(double, double);

template <FloatFunction floats, IntFunction ints> static LogicalResult foldBinary(NodeContext &n) {
  auto o = operandsOf(n);
  if (!o)
    return failure();
  HostTensor result = HostTensor::zeros(o->a->type, o->shape);
  for (size_t i = 0, count = o->places[0].size(); i < count; ++i) {
    int64_t p = o->places[0][i], q = o->places[1][i];
    if (result.isFloat())
      result.floats[i] = floats(o->a->floats[p], o->b->floats[q]);
    else if ((n.node.op == "Div" || n.node.op == "Mod") && o->b->ints[q] == 0)
      return n.error("divides by 0");
    else
      result.ints[i] = ints(o->a->ints[p], o->b->ints[q]);
  }
  n.set(0, std::move(result));
  return success();
}

/// Comparisons of integers go through double: shapes and indices are far below 2^53.
template <Predicate holds> static LogicalResult foldCompare(NodeContext &n) {
  auto o = operandsOf(n);
  if (!o)
    return failure();
  HostTensor result = HostTensor::zeros(DataType::Bool, o->shape);
  for (size_t i = 0, count = o->places[0].size(); i < count; ++i)
    result.ints[i] = holds(o->a->at(o->places[0][i]), o->b->at(o->places[1][i]));
  n.set(0, std::move(result));
  return success();
}

template <float (*floats)(float), int64_t (*ints)(int64_t)>
static LogicalResult foldUnary(NodeContext &n) {
  constexpr bool takesIntegers = ints != static_cast<int64_t (*)(int64_t)>(nullptr);
  const HostTensor *x = n.host(0);
  if (!x || !x->hasData() || (x->isInteger() && !takesIntegers))
    return n.error("has a constant operand of type " + (x ? typeName(x->type) : "none"));
  if (failed(n.checkFold(x->shape)))
    return failure();
  HostTensor result = *x;
  for (float &value : result.floats)
    value = floats(value);
  if constexpr (takesIntegers)
    for (int64_t &value : result.ints)
      value = ints(value);
  n.set(0, std::move(result));
  return success();
}

static LogicalResult foldWhere(NodeContext &n) {
  const HostTensor *bits = n.host(0);
  auto o = operandsOf(n, 1);
  if (!o)
    return failure();
  auto joined = bits && bits->isInteger() ? broadcastShape(bits->shape, o->shape) : std::nullopt;
  if (!joined || failed(n.checkFold(*joined)))
    return joined ? failure() : n.error("its condition does not fit its operands");
  HostTensor result = HostTensor::zeros(o->a->type, *joined);
  auto mask = broadcastIndices(bits->shape, *joined),
       first = broadcastIndices(o->a->shape, *joined),
       second = broadcastIndices(o->b->shape, *joined);
  for (size_t i = 0; i < mask.size(); ++i) {
    bool isFirst = bits->ints[mask[i]];
    copyElement(result, i, isFirst ? *o->a : *o->b, isFirst ? first[i] : second[i]);
  }
  n.set(0, std::move(result));
  return success();
}

//===----------------------------------------------------------------------===//
// Integer arithmetic that cannot trap
//===----------------------------------------------------------------------===//

static int64_t wrap(uint64_t x) { return static_cast<int64_t>(x); }
static int64_t intAdd(int64_t a, int64_t b) { return wrap(uint64_t(a) + uint64_t(b)); }
static int64_t intSub(int64_t a, int64_t b) { return wrap(uint64_t(a) - uint64_t(b)); }
static int64_t intMul(int64_t a, int64_t b) { return wrap(uint64_t(a) * uint64_t(b)); }
static int64_t intNeg(int64_t a) { return wrap(-uint64_t(a)); }
static int64_t intDiv(int64_t a, int64_t b) { return b == -1 ? intNeg(a) : a / b; }
static int64_t intMod(int64_t a, int64_t b) { // the sign of the divisor, as Python's
  if (b == -1)
    return 0;
  int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
static int64_t intMin(int64_t a, int64_t b) { return std::min(a, b); }
static int64_t intMax(int64_t a, int64_t b) { return std::max(a, b); }
static int64_t intAbs(int64_t a) { return a < 0 ? intNeg(a) : a; }
static int64_t intNot(int64_t a) { return a == 0; }
static int64_t intAnd(int64_t a, int64_t b) { return a && b; }
static int64_t intOr(int64_t a, int64_t b) { return a || b; }
static int64_t intPow(int64_t a, int64_t b) {
  double power = std::pow(static_cast<double>(a), static_cast<double>(b));
  return std::fabs(power) < 0x1p62 ? static_cast<int64_t>(power) : 0;
}

static float add(float a, float b) { return a + b; }
static float sub(float a, float b) { return a - b; }
static float mul(float a, float b) { return a * b; }
static float div(float a, float b) { return a / b; }
static float mod(float a, float b) { return std::fmod(a, b); }
static float minimum(float a, float b) { return b < a ? b : a; }
static float maximum(float a, float b) { return a < b ? b : a; }
static float power(float a, float b) { return std::pow(a, b); }
static float both(float a, float b) { return a != 0 && b != 0; }
static float either(float a, float b) { return a != 0 || b != 0; }
static float negate(float a) { return -a; }
static float reciprocal(float a) { return 1 / a; }
static float isZero(float a) { return a == 0; }

static LogicalResult foldIsNaN(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  if (!x || failed(n.checkFold(x->shape)))
    return failure();
  HostTensor result = HostTensor::zeros(DataType::Bool, x->shape);
  for (int64_t i = 0, count = result.size(); i < count; ++i)
    result.ints[i] = std::isnan(x->at(i));
  n.set(0, std::move(result));
  return success();
}

void nibble::importer::addArithmeticFolds(ConverterTable &table) {
  table["Add"] = foldBinary<add, intAdd>;
  table["Sub"] = foldBinary<sub, intSub>;
  table["Mul"] = foldBinary<mul, intMul>;
  table["Div"] = foldBinary<div, intDiv>;
  table["Mod"] = foldBinary<mod, intMod>;
  table["Pow"] = foldBinary<power, intPow>;
  table["Min"] = foldBinary<minimum, intMin>;
  table["Max"] = foldBinary<maximum, intMax>;
  table["And"] = foldBinary<both, intAnd>;
  table["Or"] = foldBinary<either, intOr>;
  table["Equal"] = foldCompare<+[](double a, double b) { return a == b; }>;
  table["Less"] = foldCompare<+[](double a, double b) { return a < b; }>;
  table["LessOrEqual"] = foldCompare<+[](double a, double b) { return a <= b; }>;
  table["Greater"] = foldCompare<+[](double a, double b) { return a > b; }>;
  table["GreaterOrEqual"] = foldCompare<+[](double a, double b) { return a >= b; }>;
  table["Where"] = foldWhere;
  table["Neg"] = foldUnary<negate, intNeg>;
  table["Abs"] = foldUnary<std::fabs, intAbs>;
  table["Not"] = foldUnary<isZero, intNot>;
  table["Sqrt"] = foldUnary<std::sqrt, nullptr>;
  table["Exp"] = foldUnary<std::exp, nullptr>;
  table["Log"] = foldUnary<std::log, nullptr>;
  table["Floor"] = foldUnary<std::floor, nullptr>;
  table["Ceil"] = foldUnary<std::ceil, nullptr>;
  table["Reciprocal"] = foldUnary<reciprocal, nullptr>;
  table["Sin"] = foldUnary<std::sin, nullptr>;
  table["Cos"] = foldUnary<std::cos, nullptr>;
  table["IsNaN"] = foldIsNaN;
}
