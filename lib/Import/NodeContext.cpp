//===- NodeContext.cpp - a node as its converter sees it ---------------------===//
#include "Importer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>
#include <cstdio>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

static Location nodeLocation(Importer &importer, const Node &node) {
  std::string name = !node.name.empty()     ? node.name
                     : node.outputs.empty() ? node.op
                                            : node.op + "(" + node.outputs.front() + ")";
  return NameLoc::get(importer.builder.getStringAttr(name));
}

NodeContext::NodeContext(Importer &importer, const Node &node)
    : importer(importer), node(node), opset(importer.graph.opset),
      location(nodeLocation(importer, node)) {}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

const Constant *NodeContext::constant(size_t i) const {
  if (!has(i))
    return nullptr;
  auto slot = importer.slots.find(node.inputs[i]);
  return slot != importer.slots.end() && slot->second.constant ? &*slot->second.constant : nullptr;
}

const HostTensor *NodeContext::host(size_t i) const {
  const Constant *found = constant(i);
  return found ? found->tensor.get() : nullptr;
}

Shape NodeContext::shape(size_t i) const {
  if (const HostTensor *tensor = host(i))
    return tensor->shape;
  return has(i) ? shapeOf(importer.slots.find(node.inputs[i])->second.value) : Shape();
}

bool NodeContext::isTokens(size_t i) const {
  if (!isValue(i))
    return false;
  auto slot = importer.slots.find(node.inputs[i]);
  return slot != importer.slots.end() && slot->second.value &&
         cast<RankedTensorType>(slot->second.value.getType()).getElementType().isInteger(32);
}

Shape NodeContext::shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape().vec();
}

Value NodeContext::value(size_t i) {
  if (!has(i)) {
    (void)error("input " + Twine(i) + " is missing");
    return {};
  }
  const Constant *found = constant(i);
  if (!found)
    return importer.slots.find(node.inputs[i])->second.value;
  if (!found->tensor->isFloat()) {
    (void)error("input '" + node.inputs[i] + "' is " + typeName(found->tensor->type) +
                " where a floating tensor is expected");
    return {};
  }
  if (failed(check(found->tensor->shape)))
    return {};
  // A constant that is named to be trained is a variable wherever it is used.
  if (found->stored && importer.matches(importer.options.train, {found->root}))
    return importer.parameter(*this, *found, train::Role::Constant);
  if (found->stored && found->tensor->size() > 1)
    importer.plainConstants.push_back(found->root + ": " + shapeText(found->rootTensor->shape) +
                                      ": " + node.op);
  return constantLike(*found->tensor);
}

std::optional<Shape> NodeContext::integers(size_t i, llvm::StringRef what) {
  const HostTensor *tensor = host(i);
  if (!tensor)
    return (void)error(what + Twine(" ('") + node.inputs[i] +
                           "') depends on the data, not on constants and shapes alone",
                       "export with fixed shapes, or bind them with --shape"),
           std::nullopt;
  if (!tensor->isInteger() || tensor->shape.size() > 1)
    return (void)error(what + Twine(" ('") + node.inputs[i] + "') is " + typeName(tensor->type) +
                       " of shape " + shapeText(tensor->shape) +
                       " where integers of rank 1 are expected"),
           std::nullopt;
  return tensor->ints;
}

std::optional<Shape> NodeContext::integersOf(llvm::StringRef name, size_t i) {
  if (hasAttribute(name))
    return ints(name);
  return has(i) ? integers(i, name) : Shape();
}

std::optional<double> NodeContext::scalar(size_t i) const {
  const HostTensor *tensor = host(i);
  if (!tensor || !tensor->hasData() || tensor->size() != 1)
    return std::nullopt;
  return tensor->at(0);
}

//===----------------------------------------------------------------------===//
// Attributes. A wrong kind is the checker's to refuse; here it counts as absent.
//===----------------------------------------------------------------------===//

int64_t NodeContext::integer(llvm::StringRef name, int64_t otherwise) const {
  const importer::Attribute *a = node.find(name.str());
  return a && a->kind == importer::Attribute::Kind::Int ? a->i : otherwise;
}
double NodeContext::real(llvm::StringRef name, double otherwise) const {
  const importer::Attribute *a = node.find(name.str());
  return a && a->kind == importer::Attribute::Kind::Float ? a->f : otherwise;
}
std::string NodeContext::text(llvm::StringRef name, llvm::StringRef otherwise) const {
  const importer::Attribute *a = node.find(name.str());
  return a && a->kind == importer::Attribute::Kind::String ? a->s : otherwise.str();
}
Shape NodeContext::ints(llvm::StringRef name, Shape otherwise) const {
  const importer::Attribute *a = node.find(name.str());
  return a && a->kind == importer::Attribute::Kind::Ints ? a->ints : otherwise;
}

std::optional<int64_t> NodeContext::axis(int64_t value, int64_t rank) {
  if (value < -rank || value >= rank)
    return (void)error("axis " + Twine(value) + " is outside a tensor of rank " + Twine(rank)),
           std::nullopt;
  return value < 0 ? value + rank : value;
}

std::optional<Shape> NodeContext::axes(Shape values, int64_t rank) {
  for (int64_t &value : values) {
    auto positive = axis(value, rank);
    if (!positive)
      return std::nullopt;
    value = *positive;
  }
  std::sort(values.begin(), values.end());
  if (std::adjacent_find(values.begin(), values.end()) != values.end())
    return (void)error("an axis occurs twice"), std::nullopt;
  return values;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void NodeContext::set(size_t i, Value value) {
  if (i < node.outputs.size() && !node.outputs[i].empty()) {
    Slot &slot = importer.slots[node.outputs[i]];
    slot = Slot();
    slot.value = value;
  }
}

void NodeContext::set(size_t i, HostTensor tensor) {
  if (i >= node.outputs.size() || node.outputs[i].empty())
    return;
  Slot &slot = importer.slots[node.outputs[i]];
  slot = Slot();
  auto shared = std::make_shared<HostTensor>(std::move(tensor));
  bool stored = node.op == "Constant" && node.domain.empty();
  slot.constant = Constant{shared, node.outputs[i], shared, {}, stored};
}

void NodeContext::setView(const Constant &constant, LayoutStep step) {
  if (node.outputs.empty())
    return;
  if (failed(
          checkFold(constant.tensor->shape))) // reported: what reads the view finds some constant
    return set(0, HostTensor::zeros(DataType::Float, {}));
  Constant view = constant;
  HostTensor moved;
  if (step.isPerm) {
    moved = transposed(*constant.tensor, step.numbers);
  } else {
    moved = *constant.tensor;
    moved.shape = step.numbers;
  }
  addStep(view.layout, std::move(step), constant.tensor->shape);
  view.tensor = std::make_shared<HostTensor>(std::move(moved));
  Slot slot;
  slot.constant = std::move(view);
  importer.slots[node.outputs[0]] = std::move(slot);
}

void NodeContext::alias(size_t input) {
  Slot slot = importer.slots.find(node.inputs[input])->second;
  importer.slots[node.outputs[0]] = std::move(slot);
}

bool NodeContext::wants(size_t output) const {
  return output < node.outputs.size() && !node.outputs[output].empty() &&
         importer.needed.contains(node.outputs[output]);
}

LogicalResult NodeContext::error(const Twine &reason, llvm::StringRef advice) {
  importer.problem(node, reason.str(), advice.str());
  return failure();
}

LogicalResult NodeContext::check(const Shape &shape) {
  int64_t count = countElements(shape);
  if (count > 0)
    return success();
  return error("a tensor of shape " + shapeText(shape) +
               (count == 0
                    ? " has no elements"
                    : " is too large (more than 2^31 elements or 64 dimensions) or negative"));
}

LogicalResult NodeContext::checkFold(const Shape &shape) {
  if (importer.foldLimit == 0) {
    importer.foldLimit = kMaxFoldedElements;
    for (const auto &[name, tensor] : importer.graph.initializers)
      importer.foldLimit += 4 * std::max<int64_t>(tensor->size(), 0); // each at most 2^31
  }
  int64_t count = countElements(shape);
  if (count < 0 || count > importer.foldLimit - importer.foldedElements)
    return error("makes a constant of shape " + shapeText(shape) +
                     "; folding makes at most 2^25 elements in all, and four times those of the "
                     "file's own tensors",
                 "store large constants as initializers");
  importer.foldedElements += count;
  return success();
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

RankedTensorType NodeContext::type(const Shape &shape) {
  return RankedTensorType::get(shape, b().getF32Type());
}

Value NodeContext::constantLike(const HostTensor &tensor) {
  auto value = DenseElementsAttr::get(type(tensor.shape), llvm::ArrayRef<float>(tensor.floats));
  return arith::ConstantOp::create(b(), loc(), value);
}

Value NodeContext::splat(float value) {
  return arith::ConstantOp::create(b(), loc(), DenseElementsAttr::get(type({}), value));
}

Value NodeContext::reshape(Value x, const Shape &shape) {
  if (shapeOf(x) == shape)
    return x;
  if (auto inner = x.getDefiningOp<nn::ReshapeOp>())
    x = inner.getX();
  if (shapeOf(x) == shape)
    return x;
  return nn::ReshapeOp::create(b(), loc(), cast<RankedTensorType>(x.getType()).clone(shape), x);
}

Value NodeContext::transpose(Value x, llvm::ArrayRef<int64_t> perm) {
  llvm::SmallVector<int64_t> whole(perm);
  if (auto inner = x.getDefiningOp<nn::TransposeOp>()) {
    for (int64_t &source : whole)
      source = inner.getPerm()[source];
    x = inner.getX();
  }
  if (llvm::is_sorted(whole))
    return x;
  return nn::TransposeOp::create(b(), loc(), x, whole);
}

Value NodeContext::toChannelsLast(Value x) {
  int64_t rank = shapeOf(x).size();
  llvm::SmallVector<int64_t> perm{0};
  for (int64_t d = 2; d < rank; ++d)
    perm.push_back(d);
  perm.push_back(1);
  return rank < 3 ? x : transpose(x, perm);
}

Value NodeContext::fromChannelsLast(Value x) {
  int64_t rank = shapeOf(x).size();
  llvm::SmallVector<int64_t> perm{0, rank - 1};
  for (int64_t d = 1; d < rank - 1; ++d)
    perm.push_back(d);
  return rank < 3 ? x : transpose(x, perm);
}

std::string nibble::importer::numberText(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

std::optional<Shape> nibble::importer::broadcastShape(const Shape &a, const Shape &b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      return std::nullopt;
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

LogicalResult NodeContext::checkBroadcast(const Shape &a, const Shape &c) {
  auto joined = broadcastShape(a, c);
  if (!joined)
    return error("shapes " + shapeText(a) + " and " + shapeText(c) + " do not broadcast");
  return check(*joined);
}

std::string NodeContext::layerName(size_t weight) {
  std::string name = node.name;
  if (name.empty())
    if (const Constant *found = constant(weight))
      name = found->root;
  if (name.empty())
    name = node.outputs.empty() ? node.op : node.outputs.front();
  std::string layer = importer.uniqueLayer(name);
  importer.layerNodes[layer] = node.outputs.empty() ? std::string() : node.outputs.front();
  return layer;
}
