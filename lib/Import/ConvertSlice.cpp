//===- ConvertSlice.cpp - parts of tensors and their union -------------------===//
#include "Importer.h"

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

/// Constant indices into data: single ones, and arithmetic sequences.
static LogicalResult convertGather(NodeContext &n) {
  const HostTensor *indices = n.host(1);
  if (!indices || !indices->isInteger() || indices->shape.size() > 1)
    return n.error("its indices are not a constant of rank 0 or 1",
                   "embedding tables are not imported yet");
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
  if (list.empty())
    return n.error("takes no elements");
  int64_t step = list.size() > 1 ? list[1] - list[0] : 1;
  for (size_t i = 2; i < list.size(); ++i)
    if (list[i] - list[i - 1] != step)
      step = 0;
  if (step == 0)
    return n.error("its indices are no arithmetic sequence");
  Value x = n.value(0);
  if (!x)
    return failure();
  Value taken = sliceAlong(n, x, *axis, list[0], step, list.size());
  Shape shape = NodeContext::shapeOf(taken);
  if (indices->shape.empty())
    shape.erase(shape.begin() + *axis);
  n.set(0, n.reshape(taken, shape));
  return success();
}

void nibble::importer::addSliceConverters(ConverterTable &table) {
  table["Concat"] = convertConcat;
  table["Slice"] = convertSlice;
  table["Split"] = convertSplit;
  table["Gather"] = convertGather;
}
