//===- ConvertSlice.cpp - parts of tensors and their union -------------------===//
#include "Importer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static LogicalResult convertConcat(NodeContext &n) {
  if (n.inputs() == 0 || !n.has(0))
    return n.error("has no inputs");
  Shape whole = n.shape(0);
  auto axis = n.axis(n.integer("axis", 1), whole.size());
  if (!axis)
    return failure();
  SmallVector<Value> parts;
  int64_t sum = 0;
  for (size_t i = 0; i < n.inputs(); ++i) {
    Value part = n.value(i);
    if (!part)
      return failure();
    Shape shape = NodeContext::shapeOf(part), expected = whole;
    if (shape.size() == whole.size())
      expected[*axis] = shape[*axis];
    if (shape != expected)
      return n.error("cannot join " + shapeText(whole) + " and " + shapeText(shape) +
                     " along axis " + Twine(*axis));
    sum += shape[*axis];
    parts.push_back(part);
  }
  whole[*axis] = sum;
  if (failed(n.check(whole)))
    return failure();
  n.set(0, parts.size() == 1
               ? parts[0]
               : nn::ConcatOp::create(n.b(), n.loc(), n.type(whole), parts, *axis).getResult());
  return success();
}

namespace {
/// Which elements a Slice takes, one entry a dimension.
struct Section {
  Shape starts, steps, sizes;
};
} // namespace

static std::optional<Section> rangeOf(NodeContext &n, const Shape &from) {
  int64_t rank = from.size();
  auto starts = n.integersOf("starts", 1), ends = starts ? n.integersOf("ends", 2) : std::nullopt;
  auto axes = ends ? n.integersOf("axes", 3) : std::nullopt;
  auto steps =
      axes ? (n.has(4) ? n.integers(4, "its steps") : std::optional<Shape>(Shape())) : std::nullopt;
  if (!steps)
    return std::nullopt;
  if (axes->empty())
    for (size_t d = 0; d < starts->size(); ++d)
      axes->push_back(d);
  if (ends->size() != starts->size() || axes->size() != starts->size() ||
      (!steps->empty() && steps->size() != starts->size()))
    return (void)n.error("has starts, ends, axes and steps of different lengths"), std::nullopt;
  Section range{Shape(rank, 0), Shape(rank, 1), from};
  for (size_t i = 0; i < starts->size(); ++i) {
    auto axis = n.axis((*axes)[i], rank);
    if (!axis)
      return std::nullopt;
    int64_t size = from[*axis], step = steps->empty() ? 1 : (*steps)[i];
    if (step == 0 || step > kMaxElements || step < -kMaxElements)
      return (void)n.error("has a step of " + Twine(step)), std::nullopt;
    auto clamp = [&](int64_t value, int64_t low, int64_t high) {
      value = value < 0 && value >= -size ? value + size : value < -size ? -1 : value;
      return std::min(std::max(value, low), high);
    };
    int64_t start = step > 0 ? clamp((*starts)[i], 0, size) : clamp((*starts)[i], -1, size - 1);
    int64_t end = step > 0 ? clamp((*ends)[i], 0, size) : clamp((*ends)[i], -1, size);
    int64_t count = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
    range.starts[*axis] = start;
    range.steps[*axis] = step;
    range.sizes[*axis] = std::max<int64_t>(count, 0);
  }
  return range;
}

static LogicalResult convertSlice(NodeContext &n) {
  auto range = rangeOf(n, n.shape(0));
  if (!range || failed(n.check(range->sizes)))
    return failure();
  Value x = n.value(0);
  if (!x)
    return failure();
  n.set(0,
        range->sizes == n.shape(0) && llvm::all_of(range->steps, [](int64_t s) { return s == 1; })
            ? x
            : nn::SliceOp::create(n.b(), n.loc(), n.type(range->sizes), x, range->starts,
                                  range->steps)
                  .getResult());
  return success();
}

static Value sliceAlong(NodeContext &n, Value x, int64_t axis, int64_t start, int64_t step,
                        int64_t size) {
  Shape shape = NodeContext::shapeOf(x), starts(shape.size(), 0), steps(shape.size(), 1);
  if (start == 0 && step == 1 && size == shape[axis])
    return x;
  shape[axis] = size;
  starts[axis] = start;
  steps[axis] = step;
  return nn::SliceOp::create(n.b(), n.loc(), n.type(shape), x, starts, steps);
}

static LogicalResult convertSplit(NodeContext &n) {
  Shape from = n.shape(0);
  auto axis = n.axis(n.integer("axis", 0), from.size());
  if (!axis)
    return failure();
  auto sizes = n.integersOf("split", 1);
  if (!sizes)
    return failure();
  int64_t parts = n.node.outputs.size(), size = from[*axis];
  if (sizes->empty())
    for (int64_t i = 0, part = (size + parts - 1) / parts; i < parts; ++i)
      sizes->push_back(std::min(part, size - i * part));
  if (static_cast<int64_t>(sizes->size()) != parts)
    return n.error("has " + Twine(parts) + " outputs for " + Twine(sizes->size()) + " sizes");
  Value x = n.value(0);
  if (!x)
    return failure();
  int64_t start = 0;
  for (int64_t i = 0; i < parts; ++i) {
    int64_t part = (*sizes)[i];
    if (part < 1 || part > size - start)
      return n.error("cannot split dimension " + Twine(*axis) + " of " + shapeText(from) +
                     " into these sizes");
    n.set(i, sliceAlong(n, x, *axis, start, 1, part));
    start += part;
  }
  return start == size
             ? success()
             : n.error("splits less than dimension " + Twine(*axis) + " of " + shapeText(from));
}

/// The shape of a Gather: the indices' shape in place of dimension `axis`.
static Shape gatheredShape(const Shape &from, int64_t axis, const Shape &indices) {
  Shape shape(from.begin(), from.begin() + axis);
  shape.insert(shape.end(), indices.begin(), indices.end());
  shape.insert(shape.end(), from.begin() + axis + 1, from.end());
  return shape;
}

/// What is gathered from: a table of the file is a weight.
static Value tableOf(NodeContext &n) {
  const Constant *table = n.constant(0);
  if (!table || !table->stored || table->tensor->shape.size() != 2)
    return n.value(0);
  n.fanIn = table->tensor->shape[1];
  return n.parameter(0, train::Role::Weight);
}

/// The network's tokens name rows of a table.
static LogicalResult convertEmbedding(NodeContext &n) {
  Shape from = n.shape(0);
  auto axis = n.axis(n.integer("axis", 0), from.size());
  if (!axis)
    return failure();
  if (from.size() != 2 || *axis != 0)
    return n.error("looks tokens up along dimension " + Twine(*axis) + " of " + shapeText(from),
                   "rows of a table of rank 2 are imported");
  Shape shape = gatheredShape(from, 0, n.shape(1));
  if (failed(n.check(from)) || failed(n.check(shape)))
    return failure();
  Value table = tableOf(n);
  if (table)
    n.set(0, nn::EmbeddingOp::create(n.b(), n.loc(), n.type(shape), table, n.value(1)));
  return success(table != nullptr);
}

/// Rows of a matrix by numbers that are no arithmetic sequence.
static Value rowsByNumber(NodeContext &n, Value x, const Shape &from, const Shape &list) {
  SmallVector<int32_t> rows(list.begin(), list.end());
  auto type = RankedTensorType::get({static_cast<int64_t>(rows.size())}, n.b().getI32Type());
  Value numbers = arith::ConstantOp::create(n.b(), n.loc(),
                                            DenseElementsAttr::get(type, ArrayRef<int32_t>(rows)));
  return nn::EmbeddingOp::create(n.b(), n.loc(), n.type({type.getDimSize(0), from[1]}), x, numbers);
}

/// Constant indices into data or a table: single ones, arithmetic sequences, and any rows of a
/// matrix.
static LogicalResult convertGather(NodeContext &n) {
  if (n.isTokens(1))
    return convertEmbedding(n);
  const HostTensor *indices = n.host(1);
  if (!indices || !indices->isInteger())
    return n.error(
        "its indices are no whole numbers that are known beforehand, and not the network's tokens");
  Shape from = n.shape(0);
  auto axis = n.axis(n.integer("axis", 0), from.size());
  if (!axis)
    return failure();
  Shape list = indices->ints;
  for (int64_t &index : list) {
    if (index < -from[*axis] || index >= from[*axis])
      return n.error("index " + Twine(index) + " is outside dimension " + Twine(*axis) + " of " +
                     shapeText(from));
    index = index < 0 ? index + from[*axis] : index;
  }
  Shape shape = gatheredShape(from, *axis, indices->shape);
  if (list.empty())
    return n.error("takes no elements");
  if (failed(n.check(shape)))
    return failure();
  int64_t step = list.size() > 1 ? list[1] - list[0] : 1;
  for (size_t i = 2; i < list.size(); ++i)
    if (list[i] - list[i - 1] != step)
      step = 0;
  bool rows = from.size() == 2 && *axis == 0;
  if (step == 0 && !rows)
    return n.error("its indices are no arithmetic sequence");
  Value x = tableOf(n);
  if (!x)
    return failure();
  Value taken = step == 0 ? rowsByNumber(n, x, from, list)
                          : sliceAlong(n, x, *axis, list[0], step, list.size());
  n.set(0, n.reshape(taken, shape));
  return success();
}

//===----------------------------------------------------------------------===//
// Where, by a mask that is known beforehand or by a condition (ConvertCompare.cpp)
//===----------------------------------------------------------------------===//

/// `mask` as ones and zeros, repeated so that leading dimensions aside it has the shape of the
/// result; null: reported.
static Value maskOf(NodeContext &n, const HostTensor &mask, const Shape &shape) {
  Shape from(shape.size() - mask.shape.size(), 1);
  from.insert(from.end(), mask.shape.begin(), mask.shape.end());
  size_t leading = 0;
  while (leading < from.size() && from[leading] == 1)
    ++leading;
  Shape tail(shape.begin() + leading, shape.end());
  if (failed(n.checkFold(tail)))
    return {};
  HostTensor ones = HostTensor::zeros(DataType::Float, tail);
  for (int64_t i = 0, count = ones.size(); i < count; ++i) {
    int64_t rest = i, place = 0, stride = 1;
    for (size_t d = shape.size(); d-- > leading; rest /= shape[d], stride *= from[d])
      place += from[d] == 1 ? 0 : rest % shape[d] * stride;
    ones.floats[i] = mask.at(place) != 0;
  }
  return n.constantLike(ones);
}

Value nibble::importer::chooseByMask(NodeContext &n, const HostTensor &mask, const Shape &shape,
                                     Value a, Value b) {
  Value ones = maskOf(n, mask, shape);
  return ones ? chooseByCondition(n, ones, shape, a, b) : Value();
}

static LogicalResult convertWhere(NodeContext &n) {
  const HostTensor *mask = n.host(0);
  if (n.constant(0) && (!mask || !mask->hasData()))
    return n.error("its condition has no numbers");
  auto joined = broadcastShape(n.shape(1), n.shape(2));
  auto shape = joined ? broadcastShape(n.shape(0), *joined) : std::nullopt;
  if (!shape)
    return n.error("shapes " + shapeText(n.shape(0)) + ", " + shapeText(n.shape(1)) + " and " +
                   shapeText(n.shape(2)) + " do not broadcast");
  if (failed(n.check(*shape)))
    return failure();
  Value a = n.value(1), b = a ? n.value(2) : Value(),
        chosen = !b     ? Value()
                 : mask ? chooseByMask(n, *mask, *shape, a, b)
                        : chooseByCondition(n, n.value(0), *shape, a, b);
  if (chosen)
    n.set(0, chosen);
  return success(chosen != nullptr);
}

void nibble::importer::addSliceConverters(ConverterTable &table) {
  table["Concat"] = convertConcat;
  table["Slice"] = convertSlice;
  table["Split"] = convertSplit;
  table["Gather"] = convertGather;
  table["Where"] = convertWhere;
}
