//===- FoldIndexing.cpp - positions and masks that exporters compute ---------===//
//
// What language models compute masks and positions with, on host constants: indices by element,
// running sums, repetition.
//
//===----------------------------------------------------------------------===//
#include "Fold.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static const HostTensor *indicesOf(NodeContext &n, size_t i) {
  const HostTensor *indices = dataOf(n, i);
  if (indices && !indices->isInteger())
    return (void)n.error("its indices are not integers"), nullptr;
  return indices;
}

/// `index` in a dimension of `size`, made non-negative; nothing (reported) where it is outside.
static std::optional<int64_t> placeOf(NodeContext &n, int64_t index, int64_t size) {
  if (index < -size || index >= size)
    return (void)n.error("index " + Twine(index) + " is outside a dimension of " + Twine(size)),
           std::nullopt;
  return index < 0 ? index + size : index;
}

/// The flat place that a tuple of indices names in the leading dimensions of `shape`, from
/// dimension `first` on, in units of what lies behind them; nothing: reported.
static std::optional<int64_t> tuplePlace(NodeContext &n, const int64_t *tuple, int64_t length,
                                         const Shape &shape, size_t first) {
  int64_t place = 0;
  for (int64_t d = 0; d < length; ++d) {
    auto at = placeOf(n, tuple[d], shape[first + d]);
    if (!at)
      return std::nullopt;
    place = place * shape[first + d] + *at;
  }
  return place;
}

static LogicalResult foldGatherND(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0), *indices = x ? indicesOf(n, 1) : nullptr;
  if (!indices)
    return failure();
  int64_t batch = n.integer("batch_dims", 0), rank = x->shape.size(),
          indexRank = indices->shape.size();
  int64_t length = indexRank > 0 ? indices->shape.back() : 0;
  if (batch < 0 || batch >= std::min(rank, indexRank) || length < 1 || length > rank - batch ||
      !std::equal(x->shape.begin(), x->shape.begin() + batch, indices->shape.begin()))
    return n.error("cannot pick by indices of shape " + shapeText(indices->shape) + " from " +
                   shapeText(x->shape) + " with batch_dims " + Twine(batch));
  Shape tail(x->shape.begin() + batch + length, x->shape.end());
  Shape shape(indices->shape.begin(), indices->shape.end() - 1);
  shape.insert(shape.end(), tail.begin(), tail.end());
  if (failed(n.checkFold(shape)))
    return failure();
  int64_t inner = countElements(tail), tuples = indices->size() / length,
          batches = countElements(Shape(x->shape.begin(), x->shape.begin() + batch)),
          within = x->size() / std::max<int64_t>(1, batches * inner);
  std::vector<int64_t> places;
  for (int64_t t = 0; t < tuples; ++t) {
    auto place = tuplePlace(n, &indices->ints[t * length], length, x->shape, batch);
    if (!place)
      return failure();
    places.push_back(t / (tuples / batches) * within + *place);
  }
  n.set(0, pick(*x, shape, [&](int64_t i) { return places[i / inner] * inner + i % inner; }));
  return success();
}

static LogicalResult foldScatterND(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0), *indices = x ? indicesOf(n, 1) : nullptr,
                   *updates = indices ? dataOf(n, 2) : nullptr;
  if (!updates)
    return failure();
  if (n.text("reduction", "none") != "none")
    return n.error("scatters with reduction '" + n.text("reduction", "") + "'",
                   "constants are scattered with reduction 'none'");
  int64_t rank = x->shape.size(), length = indices->shape.empty() ? 0 : indices->shape.back();
  if (length < 1 || length > rank || updates->isFloat() != x->isFloat())
    return n.error("cannot scatter by indices of shape " + shapeText(indices->shape) + " into " +
                   shapeText(x->shape));
  int64_t inner = countElements(Shape(x->shape.begin() + length, x->shape.end())),
          tuples = indices->size() / length;
  if (updates->size() != tuples * inner)
    return n.error("has updates of shape " + shapeText(updates->shape) + " for " + Twine(tuples) +
                   " places of " + Twine(inner) + " elements");
  if (failed(n.checkFold(x->shape)))
    return failure();
  HostTensor result = *x;
  for (int64_t t = 0; t < tuples; ++t) {
    auto place = tuplePlace(n, &indices->ints[t * length], length, x->shape, 0);
    if (!place)
      return failure();
    for (int64_t e = 0; e < inner; ++e)
      copyElement(result, *place * inner + e, *updates, t * inner + e);
  }
  n.set(0, std::move(result));
  return success();
}

static LogicalResult foldGatherElements(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0), *indices = x ? indicesOf(n, 1) : nullptr;
  if (!indices)
    return failure();
  auto axis = n.axis(n.integer("axis", 0), x->shape.size());
  if (!axis)
    return failure();
  bool fits = indices->shape.size() == x->shape.size();
  for (size_t d = 0; fits && d < x->shape.size(); ++d)
    fits = d == static_cast<size_t>(*axis) || indices->shape[d] <= x->shape[d];
  if (!fits)
    return n.error("cannot pick by indices of shape " + shapeText(indices->shape) + " from " +
                   shapeText(x->shape));
  if (failed(n.checkFold(indices->shape)))
    return failure();
  std::vector<int64_t> along;
  for (int64_t index : indices->ints) {
    auto at = placeOf(n, index, x->shape[*axis]);
    if (!at)
      return failure();
    along.push_back(*at);
  }
  n.set(0, pick(*x, indices->shape, [&](int64_t i) {
          int64_t place = 0, stride = 1, rest = i;
          for (size_t d = x->shape.size(); d-- > 0; rest /= indices->shape[d]) {
            place +=
                (d == static_cast<size_t>(*axis) ? along[i] : rest % indices->shape[d]) * stride;
            stride *= x->shape[d];
          }
          return place;
        }));
  return success();
}

static LogicalResult foldCumSum(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  auto given = x ? n.scalar(1) : std::nullopt;
  if (!given)
    return x ? n.error("takes a constant scalar axis") : failure();
  if (*given != static_cast<double>(static_cast<int32_t>(*given)))
    return n.error("axis " + numberText(*given) + " is no whole number");
  auto axis = n.axis(static_cast<int64_t>(*given), x->shape.size());
  if (!axis || failed(n.checkFold(x->shape)))
    return failure();
  bool exclusive = n.integer("exclusive", 0) != 0, reverse = n.integer("reverse", 0) != 0;
  int64_t size = x->shape[*axis],
          inner = countElements(Shape(x->shape.begin() + *axis + 1, x->shape.end())),
          lines = x->size() / std::max<int64_t>(1, size);
  HostTensor result = HostTensor::zeros(x->type, x->shape);
  for (int64_t line = 0; line < lines; ++line) {
    int64_t start = line / inner * size * inner + line % inner;
    float real = 0;
    uint64_t whole = 0; // what overflows wraps
    for (int64_t k = 0; k < size; ++k) {
      int64_t at = start + (reverse ? size - 1 - k : k) * inner;
      float realBefore = real;
      uint64_t wholeBefore = whole;
      if (x->isFloat()) {
        real += x->floats[at];
        result.floats[at] = exclusive ? realBefore : real;
      } else {
        whole += static_cast<uint64_t>(x->ints[at]);
        result.ints[at] = static_cast<int64_t>(exclusive ? wholeBefore : whole);
      }
    }
  }
  n.set(0, std::move(result));
  return success();
}

static LogicalResult foldTile(NodeContext &n) {
  const HostTensor *x = dataOf(n, 0);
  auto repeats = x ? n.integers(1, "its repeats") : std::nullopt;
  if (!repeats)
    return failure();
  auto shape = tiledShape(n, x->shape, *repeats);
  if (!shape || failed(n.checkFold(*shape)))
    return failure();
  n.set(0, pick(*x, *shape, [&](int64_t i) {
          int64_t place = 0, stride = 1;
          for (size_t d = shape->size(); d-- > 0; i /= (*shape)[d], stride *= x->shape[d])
            place += i % (*shape)[d] % x->shape[d] * stride;
          return place;
        }));
  return success();
}

void nibble::importer::addIndexingFolds(ConverterTable &table) {
  table["GatherND"] = foldGatherND;
  table["GatherElements"] = foldGatherElements;
  table["ScatterND"] = foldScatterND;
  table["CumSum"] = foldCumSum;
  table["Tile"] = foldTile;
}
