//===- ConvertShape.cpp - views, casts, constants, padding -------------------===//
//
// Views of constants keep the initializer they come from: the fold table has the same functions.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

//===----------------------------------------------------------------------===//
// Reshape and its relatives
//===----------------------------------------------------------------------===//

static LogicalResult emitReshape(NodeContext &n, const Shape &shape) {
  if (const Constant *constant = n.constant(0)) {
    if (countElements(shape) != constant->tensor->size())
      return n.error("cannot reshape " + shapeText(constant->tensor->shape) + " to " +
                     shapeText(shape));
    n.setView(*constant, {false, shape});
    return success();
  }
  if (failed(n.check(shape)))
    return failure();
  if (countElements(n.shape(0)) != countElements(shape))
    return n.error("cannot reshape " + shapeText(n.shape(0)) + " to " + shapeText(shape));
  n.set(0, n.reshape(n.value(0), shape));
  return success();
}

std::optional<Shape> nibble::importer::resolveReshape(NodeContext &n, const Shape &from, Shape to) {
  int64_t known = 1, open = -1, count = countElements(from);
  bool zeroCopies = n.integer("allowzero", 0) == 0;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0 && zeroCopies) {
      if (i >= from.size())
        return (void)n.error("shape entry 0 at position " + Twine(i) +
                             " copies a dimension that the input of rank " + Twine(from.size()) +
                             " lacks"),
               std::nullopt;
      to[i] = from[i];
    }
    if (to[i] == -1 && open < 0) {
      open = i;
      continue;
    }
    if (to[i] < 0 || to[i] > kMaxElements || (to[i] > 0 && known > kMaxElements / to[i]))
      return (void)n.error("cannot reshape to " + shapeText(to)), std::nullopt;
    known *= to[i];
  }
  if (open >= 0 && (known == 0 || count % known != 0))
    return (void)n.error("cannot reshape " + shapeText(from) + " to " + shapeText(to)),
           std::nullopt;
  if (open >= 0)
    to[open] = count / known;
  return to;
}

/// A shape that was written down for the batch size of the file means the present one where it says
/// so in front (docs/rooms/import.md, "The batch").
static LogicalResult rebindBatch(NodeContext &n, const Shape &from, Shape &to) {
  const Importer &importer = n.importer;
  int64_t was = importer.oldBatch, now = importer.newBatch;
  if (!importer.hasBatch || was == now || !n.isValue(0) || from.empty() || from[0] != now ||
      to.empty())
    return success();
  int64_t known = 1;
  bool open = false;
  for (size_t i = 0; i < to.size() && known <= kMaxElements; ++i) {
    if (to[i] > kMaxElements)
      return success(); // resolveReshape refuses it
    open |= to[i] == -1;
    known *= to[i] > 0 ? to[i] : to[i] == 0 && i < from.size() ? from[i] : 1;
  }
  bool fits = open ? !importer.batchWasFixed : known == countElements(from);
  if (fits || to[0] == now || to[0] == 0 || to[0] == -1)
    return success();
  if (to[0] == was) {
    to[0] = now;
    return success();
  }
  return n.error("its constant shape " + shapeText(to) + " holds for a batch of " + Twine(was) +
                     " and moves the batch away from the front, so the batch cannot be set to " +
                     Twine(now),
                 "export with a symbolic batch dimension");
}

static LogicalResult convertReshape(NodeContext &n) {
  auto wanted =
      n.hasAttribute("shape") ? std::optional<Shape>(n.ints("shape")) : n.integers(1, "its shape");
  if (!wanted)
    return failure();
  Shape from = n.shape(0);
  if (failed(rebindBatch(n, from, *wanted)))
    return failure();
  auto shape = resolveReshape(n, from, *wanted);
  return shape ? emitReshape(n, *shape) : failure();
}

static LogicalResult convertFlatten(NodeContext &n) {
  Shape from = n.shape(0);
  int64_t rank = from.size(), axis = n.integer("axis", 1);
  if (axis < -rank || axis > rank)
    return n.error("axis " + Twine(axis) + " is outside a tensor of rank " + Twine(rank));
  axis = axis < 0 ? axis + rank : axis;
  return emitReshape(n, {countElements(Shape(from.begin(), from.begin() + axis)),
                         countElements(Shape(from.begin() + axis, from.end()))});
}

static LogicalResult convertSqueeze(NodeContext &n) {
  Shape from = n.shape(0), to;
  auto axes = n.integersOf("axes", 1);
  if (axes)
    axes = n.axes(*axes, from.size());
  if (!axes)
    return failure();
  bool all = !n.hasAttribute("axes") && !n.has(1);
  for (int64_t d = 0; d < static_cast<int64_t>(from.size()); ++d) {
    bool named = llvm::is_contained(*axes, d);
    if (named && from[d] != 1)
      return n.error("removes dimension " + Twine(d) + ", which is " + Twine(from[d]) + " in " +
                     shapeText(from));
    if (!(named || (all && from[d] == 1)))
      to.push_back(from[d]);
  }
  return emitReshape(n, to);
}

static LogicalResult convertUnsqueeze(NodeContext &n) {
  Shape from = n.shape(0), to;
  auto axes = n.integersOf("axes", 1);
  if (axes && from.size() + axes->size() > kMaxRank)
    return n.error("makes a tensor of " + Twine(from.size() + axes->size()) + " dimensions");
  if (axes)
    axes = n.axes(*axes, from.size() + axes->size());
  if (!axes)
    return failure();
  auto next = from.begin();
  for (int64_t d = 0, rank = from.size() + axes->size(); d < rank; ++d)
    to.push_back(llvm::is_contained(*axes, d) ? 1 : *next++);
  return emitReshape(n, to);
}

static LogicalResult convertTranspose(NodeContext &n) {
  Shape from = n.shape(0), perm = n.ints("perm");
  if (!n.hasAttribute("perm"))
    for (size_t d = from.size(); d-- > 0;)
      perm.push_back(d);
  Shape sorted = perm;
  llvm::sort(sorted);
  bool good = sorted.size() == from.size();
  for (size_t i = 0; good && i < sorted.size(); ++i)
    good = sorted[i] == static_cast<int64_t>(i);
  if (!good)
    return n.error("perm is not a permutation of the " + Twine(from.size()) + " dimensions");
  if (const Constant *constant = n.constant(0)) {
    if (!constant->tensor->hasData())
      return n.error("transposes a constant of " + typeName(constant->tensor->type));
    n.setView(*constant, {true, perm});
    return success();
  }
  n.set(0, n.transpose(n.value(0), perm));
  return success();
}

//===----------------------------------------------------------------------===//
// Identity, casts, constants
//===----------------------------------------------------------------------===//

static LogicalResult convertIdentity(NodeContext &n) {
  if (!n.has(0))
    return n.error("has no input");
  n.alias(0);
  return success();
}

static LogicalResult castTo(NodeContext &n, DataType to) {
  const Constant *constant = n.constant(0);
  if (!constant) {
    if (n.isTokens(0) && !isInteger(to))
      return n.error("casts tokens to " + typeName(to),
                     "only Gather takes them, as rows of a table");
    if (!isFloat(to) && !n.isTokens(0))
      return n.error("casts data to " + typeName(to) + "; only floating data are imported");
    n.alias(0);
    return success();
  }
  const HostTensor &from = *constant->tensor;
  if (!from.hasData() || !(isFloat(to) || isInteger(to)))
    return n.error("casts a constant of " + typeName(from.type) + " to " + typeName(to));
  if (failed(n.checkFold(from.shape)))
    return failure();
  HostTensor result;
  result.type = to;
  result.shape = from.shape;
  if (from.isFloat() &&
      result.isFloat()) { // half, bfloat16 and double are held as float: the same view
    Constant view = *constant;
    result.floats = from.floats;
    view.tensor = std::make_shared<HostTensor>(std::move(result));
    Slot slot;
    slot.constant = std::move(view);
    n.importer.slots[n.node.outputs[0]] = std::move(slot);
    return success();
  }
  for (int64_t i = 0, count = from.size(); i < count; ++i) {
    double value = from.at(i);
    if (result.isFloat())
      result.floats.push_back(static_cast<float>(value));
    else if (to == DataType::Bool)
      result.ints.push_back(value != 0);
    else if (from.isInteger())
      result.ints.push_back(from.ints[i]);
    else if (value >= -0x1p63 && value < 0x1p63) // truncates
      result.ints.push_back(static_cast<int64_t>(value));
    else
      return n.error("casts " + numberText(value) + " to " + typeName(to));
  }
  n.set(0, std::move(result));
  return success();
}

static LogicalResult convertCast(NodeContext &n) {
  return castTo(n, static_cast<DataType>(n.integer("to", 0)));
}

static LogicalResult convertCastLike(NodeContext &n) {
  const HostTensor *like = n.host(1);
  return castTo(n, like ? like->type
                        : DataType::Float); // everything that depends on the data is float
}

static LogicalResult convertConstant(NodeContext &n) {
  if (n.node.outputs.empty() ||
      n.importer.reinitialized.contains(n.node.outputs[0])) // a fresh head's
    return success();
  for (const importer::Attribute &a : n.node.attributes) {
    HostTensor tensor;
    if (a.name == "value" && a.tensor) {
      if (!a.tensor->hasData())
        return n.error("is a constant of " + typeName(a.tensor->type));
      tensor = *a.tensor;
    } else if (a.name == "value_int") {
      tensor = HostTensor::zeros(DataType::Int64, {});
      tensor.ints[0] = a.i;
    } else if (a.name == "value_ints") {
      tensor = HostTensor::vector(a.ints);
    } else if (a.name == "value_float") {
      tensor = HostTensor::zeros(DataType::Float, {});
      tensor.floats[0] = static_cast<float>(a.f);
    } else if (a.name == "value_floats") {
      tensor.shape = {static_cast<int64_t>(a.floats.size())};
      tensor.floats = a.floats;
    } else {
      continue;
    }
    n.set(0, std::move(tensor));
    return success();
  }
  return n.error("is a constant without a dense numeric value", "store it as a dense tensor");
}

//===----------------------------------------------------------------------===//
// Shapes of values, expansion
//===----------------------------------------------------------------------===//

static LogicalResult convertShape(NodeContext &n) {
  if (!n.has(0))
    return n.error("has no input");
  Shape shape = n.shape(0);
  int64_t rank = shape.size(), start = n.integer("start", 0), end = n.integer("end", rank);
  auto clamp = [&](int64_t i) {
    return std::min(std::max<int64_t>(i < 0 ? i + rank : i, 0), rank);
  };
  start = clamp(start);
  end = std::max(clamp(end), start);
  n.set(0, HostTensor::vector(Shape(shape.begin() + start, shape.begin() + end)));
  return success();
}

static LogicalResult convertSize(NodeContext &n) {
  if (!n.has(0))
    return n.error("has no input");
  HostTensor size = HostTensor::zeros(DataType::Int64, {});
  size.ints[0] = countElements(n.shape(0));
  n.set(0, std::move(size));
  return success();
}

static LogicalResult convertExpand(NodeContext &n) {
  auto wanted = n.integers(1, "its shape");
  if (!wanted)
    return failure();
  auto joined = broadcastShape(n.shape(0), *wanted);
  if (!joined)
    return n.error("cannot expand " + shapeText(n.shape(0)) + " to " + shapeText(*wanted));
  if (failed(n.check(*joined)))
    return failure();
  Value x = n.value(0);
  n.set(0, *joined == n.shape(0)
               ? x
               : nn::BroadcastOp::create(n.b(), n.loc(), n.type(*joined), x).getResult());
  return success();
}

std::optional<Shape> nibble::importer::tiledShape(NodeContext &n, const Shape &shape,
                                                  const Shape &repeats) {
  Shape tiled = shape;
  bool good = repeats.size() == shape.size();
  for (size_t d = 0; good && d < shape.size(); ++d) {
    good = repeats[d] >= 0 && repeats[d] <= kMaxElements && shape[d] <= kMaxElements;
    tiled[d] = good ? shape[d] * repeats[d] : 0;
  }
  if (good)
    return tiled;
  return (void)n.error("cannot repeat " + shapeText(shape) + " by " + shapeText(repeats)),
         std::nullopt;
}

/// Repetition is a broadcast of dimensions of 1 before each one.
static LogicalResult convertTile(NodeContext &n) {
  auto repeats = n.integers(1, "its repeats");
  auto tiled = repeats ? tiledShape(n, n.shape(0), *repeats) : std::nullopt;
  if (!tiled || failed(n.check(*tiled)))
    return failure();
  Value x = n.value(0);
  if (!x)
    return failure();
  Shape apart, repeated;
  for (size_t d = 0; d < tiled->size(); ++d) {
    apart.insert(apart.end(), {1, n.shape(0)[d]});
    repeated.insert(repeated.end(), {(*repeats)[d], n.shape(0)[d]});
  }
  if (*tiled != n.shape(0))
    x = n.reshape(nn::BroadcastOp::create(n.b(), n.loc(), n.type(repeated), n.reshape(x, apart)),
                  *tiled);
  n.set(0, x);
  return success();
}

//===----------------------------------------------------------------------===//
// Padding with zeros (the adjoint of a slice); negative pads cut
//===----------------------------------------------------------------------===//

static std::optional<Shape> padsOf(NodeContext &n, int64_t rank) {
  auto given = n.integersOf("pads", 1);
  if (!given)
    return std::nullopt;
  Shape axes;
  if (n.has(3)) {
    auto named = n.integers(3, "its axes");
    if (!named)
      return std::nullopt;
    for (int64_t value : *named) {
      auto axis = n.axis(value, rank);
      if (!axis)
        return std::nullopt;
      axes.push_back(*axis);
    }
  } else {
    for (int64_t d = 0; d < rank; ++d)
      axes.push_back(d);
  }
  if (given->size() != 2 * axes.size())
    return (void)n.error("has " + Twine(given->size()) + " pads for " + Twine(axes.size()) +
                         " dimensions"),
           std::nullopt;
  Shape pads(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    pads[axes[i]] = (*given)[i];
    pads[rank + axes[i]] = (*given)[axes.size() + i];
  }
  for (int64_t pad : pads)
    if (pad > kMaxElements || pad < -kMaxElements)
      return (void)n.error("pads by " + Twine(pad)), std::nullopt;
  return pads;
}

static LogicalResult convertPad(NodeContext &n) {
  if (n.text("mode", "constant") != "constant")
    return n.error("pads with mode '" + n.text("mode", "") + "'", "only zero padding is imported");
  double fill = n.real("value", 0);
  if (n.has(2)) {
    auto given = n.scalar(2);
    if (!given)
      return n.error("pads with a value that is not a constant scalar");
    fill = *given;
  }
  Shape from = n.shape(0);
  auto pads = padsOf(n, from.size());
  if (!pads)
    return failure();
  if (fill != 0 && llvm::any_of(*pads, [](int64_t pad) { return pad > 0; }))
    return n.error("pads with " + numberText(fill), "only zero padding is imported");
  Value x = n.value(0);
  if (!x)
    return failure();
  size_t rank = from.size();
  Shape cut = from, starts(rank), whole, places(rank), ones(rank, 1);
  for (size_t d = 0; d < rank; ++d) {
    int64_t before = (*pads)[d], after = (*pads)[rank + d];
    starts[d] = std::max<int64_t>(-before, 0);
    cut[d] = from[d] - starts[d] - std::max<int64_t>(-after, 0);
    places[d] = std::max<int64_t>(before, 0);
    whole.push_back(cut[d] + places[d] + std::max<int64_t>(after, 0));
    if (cut[d] < 1)
      return n.error("cuts away dimension " + Twine(d) + " of " + shapeText(from));
  }
  if (failed(n.check(whole)))
    return failure();
  if (cut != from)
    x = nn::SliceOp::create(n.b(), n.loc(), n.type(cut), x, starts, ones);
  if (whole != cut)
    x = nn::UnsliceOp::create(n.b(), n.loc(), n.type(whole), x, places, ones);
  n.set(0, x);
  return success();
}

void nibble::importer::addShapeConverters(ConverterTable &table) {
  table["Reshape"] = convertReshape;
  table["Flatten"] = convertFlatten;
  table["Squeeze"] = convertSqueeze;
  table["Unsqueeze"] = convertUnsqueeze;
  table["Transpose"] = convertTranspose;
  table["Identity"] = convertIdentity;
  table["Cast"] = convertCast;
  table["CastLike"] = convertCastLike;
  table["Constant"] = convertConstant;
  table["Shape"] = convertShape;
  table["Size"] = convertSize;
  table["Expand"] = convertExpand;
  table["Tile"] = convertTile;
  table["Pad"] = convertPad;
}
