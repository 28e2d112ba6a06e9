//===- FoldShape.cpp - what exporters compute shapes with --------------------===//
#include "Fold.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

const HostTensor *nibble::importer::dataOf(NodeContext &n, size_t i) {
  const HostTensor *x = n.host(i);
  if (x && x->hasData())
    return x;
  return (void)n.error("input " + Twine(i) + " is not a constant of numbers"), nullptr;
}

static LogicalResult foldConcat(NodeContext &n) {
  const HostTensor *first = n.inputs() ? dataOf(n, 0) : nullptr;
  if (!first)
    return n.inputs() ? failure() : n.error("has no inputs");
  Shape whole = first->shape;
  auto axis = n.axis(n.integer("axis", 1), whole.size());
  if (!axis)
    return failure();
  whole[*axis] = 0;
  for (size_t i = 0; i < n.inputs(); ++i) {
    const HostTensor *part = dataOf(n, i);
    if (!part)
      return failure();
    Shape expected = whole;
    if (part->shape.size() == whole.size())
      expected[*axis] = part->shape[*axis];
    if (part->shape != expected || part->isFloat() != first->isFloat())
      return n.error("cannot join constants of shapes " + shapeText(first->shape) + " and " +
                     shapeText(part->shape));
    whole[*axis] += part->shape[*axis];
    if (failed(n.checkFold(whole)))
      return failure();
  }
  HostTensor result = HostTensor::zeros(first->type, whole);
  int64_t outer = countElements(Shape(whole.begin(), whole.begin() + *axis)),
          inner = countElements(Shape(whole.begin() + *axis + 1, whole.end()));
  int64_t offset = 0;
  for (size_t i = 0; i < n.inputs(); ++i) {
    const HostTensor *part = n.host(i);
    int64_t run = part->shape[*axis] * inner;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t e = 0; e < run; ++e)
        copyElement(result, o * whole[*axis] * inner + offset + e, *part, o * run + e);
    offset += run;
  }
  n.set(0, std::move(result));
  return success();
}

static LogicalResult foldGather(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0), *indices = x ? dataOf(n, 1) : nullptr;
  if (!indices)
    return failure();
  auto axis = n.axis(n.integer("axis", 0), x->shape.size());
  if (!axis || !indices->isInteger())
    return axis ? n.error("its indices are not integers") : failure();
  Shape shape(x->shape.begin(), x->shape.begin() + *axis);
  shape.insert(shape.end(), indices->shape.begin(), indices->shape.end());
  shape.insert(shape.end(), x->shape.begin() + *axis + 1, x->shape.end());
  int64_t size = x->shape[*axis],
          inner = countElements(Shape(x->shape.begin() + *axis + 1, x->shape.end())),
          taken = indices->size();
  if (failed(n.checkFold(shape)))
    return failure();
  for (int64_t index : indices->ints)
    if (index < -size || index >= size)
      return n.error("index " + Twine(index) + " is outside dimension " + Twine(*axis) + " of " +
                     shapeText(x->shape));
  n.set(0, pick(*x, shape, [&](int64_t i) {
          int64_t e = i % inner, t = i / inner % taken, o = i / inner / taken,
                  index = indices->ints[t];
          return (o * size + (index < 0 ? index + size : index)) * inner + e;
        }));
  return success();
}

static LogicalResult foldExpand(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  auto wanted = x ? n.integers(1, "its shape") : std::nullopt;
  if (!wanted)
    return failure();
  auto shape = broadcastShape(x->shape, *wanted);
  if (!shape)
    return n.error("cannot expand " + shapeText(x->shape) + " to " + shapeText(*wanted));
  if (failed(n.checkFold(*shape)))
    return failure();
  if (*shape == x->shape) {
    n.alias(0);
    return success();
  }
  Shape from = x->shape;
  from.insert(from.begin(), shape->size() - from.size(), 1);
  n.set(0, pick(*x, *shape, [&](int64_t i) {
          int64_t place = 0, stride = 1;
          for (size_t d = from.size(); d-- > 0; i /= (*shape)[d + 0]) {
            place += from[d] == 1 ? 0 : i % (*shape)[d] * stride;
            stride *= from[d];
          }
          return place;
        }));
  return success();
}

static LogicalResult foldSlice(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  if (!x)
    return failure();
  auto starts = n.integersOf("starts", 1), ends = starts ? n.integersOf("ends", 2) : std::nullopt,
       axes = ends ? n.integersOf("axes", 3) : std::nullopt;
  auto steps = axes && n.has(4) ? n.integers(4, "its steps") : std::optional<Shape>(Shape());
  if (!axes || !steps)
    return failure();
  size_t count = starts->size();
  if (axes->empty())
    for (size_t d = 0; d < count; ++d)
      axes->push_back(d);
  if (steps->empty())
    steps->assign(count, 1);
  if (ends->size() != count || axes->size() != count || steps->size() != count)
    return n.error("has starts, ends, axes and steps of different lengths");
  HostTensor result = *x;
  for (size_t i = 0; i < count; ++i) {
    auto axis = n.axis((*axes)[i], result.shape.size());
    if (!axis)
      return failure();
    int64_t size = result.shape[*axis], step = (*steps)[i];
    if (step == 0 || step > kMaxElements || step < -kMaxElements)
      return n.error("has a step of " + Twine(step));
    auto place = [&](int64_t value) {
      return value < -size ? -1 : value < 0 ? value + size : std::min(value, size);
    };
    int64_t start = step > 0 ? std::max<int64_t>(place((*starts)[i]), 0)
                             : std::min(place((*starts)[i]), size - 1);
    int64_t end = step > 0 ? std::max<int64_t>(place((*ends)[i]), 0) : place((*ends)[i]);
    int64_t taken = std::max<int64_t>(0, step > 0 ? (end - start + step - 1) / step
                                                  : (start - end - step - 1) / -step);
    Shape shape = result.shape;
    shape[*axis] = taken;
    if (failed(n.checkFold(shape)))
      return failure();
    int64_t inner = countElements(Shape(shape.begin() + *axis + 1, shape.end()));
    result = pick(result, shape, [&](int64_t e) {
      int64_t in = e % inner, at = e / inner % taken, out = e / inner / taken;
      return (out * size + start + at * step) * inner + in;
    });
  }
  n.set(0, std::move(result));
  return success();
}

static LogicalResult foldRange(NodeContext &n) {
  const HostTensor *start = dataOf(n, 0), *limit = start ? dataOf(n, 1) : nullptr,
                   *delta = limit ? dataOf(n, 2) : nullptr;
  if (!delta)
    return failure();
  if (start->size() != 1 || limit->size() != 1 || delta->size() != 1 || delta->at(0) == 0)
    return n.error("takes a scalar start, limit and step (not 0)");
  if (start->isFloat() != delta->isFloat())
    return n.error("takes a start and a step of one type");
  double wanted = std::ceil((limit->at(0) - start->at(0)) / delta->at(0));
  if (!(wanted <= kMaxFoldedElements)) // or not a number
    return n.error("makes a constant of " + numberText(wanted) + " elements");
  int64_t count = wanted > 0 ? static_cast<int64_t>(wanted) : 0;
  if (failed(n.checkFold({count})))
    return failure();
  HostTensor result = HostTensor::zeros(start->type, {count});
  for (int64_t i = 0; i < count; ++i) {
    if (result.isFloat())
      result.floats[i] = static_cast<float>(start->at(0) + static_cast<double>(i) * delta->at(0));
    else // unsigned: what overflows wraps
      result.ints[i] =
          static_cast<int64_t>(static_cast<uint64_t>(start->ints[0]) +
                               static_cast<uint64_t>(i) * static_cast<uint64_t>(delta->ints[0]));
  }
  n.set(0, std::move(result));
  return success();
}

static LogicalResult foldConstantOfShape(NodeContext &n) {
  auto shape = n.integers(0, "its shape");
  if (!shape || failed(n.checkFold(*shape)))
    return failure();
  HostTensor result = HostTensor::zeros(DataType::Float, *shape);
  if (const importer::Attribute *a = n.node.find("value"); a && a->tensor) {
    if (!a->tensor->hasData() || a->tensor->size() != 1)
      return n.error("its value is not one number");
    const HostTensor &value = *a->tensor;
    result = pick(value, *shape, [](int64_t) { return 0; });
  }
  n.set(0, std::move(result));
  return success();
}

/// ReduceProd, ReduceSum, ReduceMin, ReduceMax over everything or over axes, of constants.
template <double (*join)(double, double)> static LogicalResult foldReduce(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  auto axes = x ? n.integersOf("axes", 1) : std::nullopt;
  if (axes)
    axes = n.axes(*axes, x->shape.size());
  if (!axes || x->size() < 1)
    return axes ? n.error("reduces nothing") : failure();
  if (failed(n.checkFold(x->shape)))
    return failure();
  Shape kept = x->shape, dropped;
  for (size_t d = 0; d < kept.size(); ++d) {
    bool reduced = axes->empty() || llvm::is_contained(*axes, static_cast<int64_t>(d));
    if (reduced)
      kept[d] = 1;
    else
      dropped.push_back(kept[d]);
  }
  HostTensor result = HostTensor::zeros(x->type, kept);
  std::vector<bool> filled(result.size(), false);
  for (int64_t i = 0, count = x->size(); i < count; ++i) {
    int64_t place = 0, stride = 1, rest = i;
    for (size_t d = kept.size(); d-- > 0; rest /= x->shape[d]) {
      place += kept[d] == 1 ? 0 : rest % x->shape[d] * stride;
      stride *= kept[d];
    }
    double before = result.at(place), value = filled[place] ? join(before, x->at(i)) : x->at(i);
    filled[place] = true;
    if (result.isFloat())
      result.floats[place] = static_cast<float>(value);
    else
      result.ints[place] = std::fabs(value) < 0x1p62 ? static_cast<int64_t>(value) : 0;
  }
  if (n.integer("keepdims", 1) == 0)
    result.shape = dropped;
  n.set(0, std::move(result));
  return success();
}

/// The upper or lower triangle of each matrix; zeros elsewhere.
static LogicalResult foldTrilu(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  if (!x)
    return failure();
  auto diagonal = n.has(1) ? n.scalar(1) : std::optional<double>(0);
  if (x->shape.size() < 2 || !diagonal)
    return n.error("takes matrices and a constant diagonal");
  if (failed(n.checkFold(x->shape)))
    return failure();
  bool upper = n.integer("upper", 1) != 0;
  int64_t rows = x->shape[x->shape.size() - 2], columns = x->shape.back();
  HostTensor result = *x;
  for (int64_t i = 0, count = result.size(); i < count; ++i) {
    double right = static_cast<double>(i % columns - i / columns % rows);
    if (upper ? right >= *diagonal : right <= *diagonal)
      continue;
    if (result.isFloat())
      result.floats[i] = 0;
    else
      result.ints[i] = 0;
  }
  n.set(0, std::move(result));
  return success();
}

void nibble::importer::addShapeFolds(ConverterTable &table) {
  ConverterTable views;
  addShapeConverters(views);
  for (const char *op : {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity",
                         "Cast", "CastLike", "Constant", "Shape", "Size"})
    table[op] = views[op];
  table["Concat"] = foldConcat;
  table["Gather"] = foldGather;
  table["Expand"] = foldExpand;
  table["Slice"] = foldSlice;
  table["Range"] = foldRange;
  table["Trilu"] = foldTrilu;
  table["ConstantOfShape"] = foldConstantOfShape;
  table["ReduceProd"] = foldReduce<+[](double a, double b) { return a * b; }>;
  table["ReduceSum"] = foldReduce<+[](double a, double b) { return a + b; }>;
  table["ReduceMin"] = foldReduce<+[](double a, double b) { return std::min(a, b); }>;
  table["ReduceMax"] = foldReduce<+[](double a, double b) { return std::max(a, b); }>;
}
