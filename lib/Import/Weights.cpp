//===- Weights.cpp - constants that are trained ------------------------------===//
//
// What is a weight follows from its use (docs/rooms/import.md). The first use creates the variable,
// stored as that use wants it; later uses of the same initializer read the same variable.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

#include "nibble/Numerics/Random.h"

#include "llvm/Support/Regex.h"

#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

std::string nibble::importer::layoutText(const Layout &layout) {
  std::string text;
  for (const LayoutStep &step : layout) {
    text += text.empty() ? "" : ";";
    if (step.isPerm && step.numbers == Shape{0, 2, 3, 1}) {
      text += "OHWI";
    } else if (step.isPerm && step.numbers == Shape{1, 0}) {
      text += "T";
    } else if (step.isPerm) {
      text += "perm:";
      for (size_t i = 0; i < step.numbers.size(); ++i)
        text += (i ? "," : "") + std::to_string(step.numbers[i]);
    } else {
      text += "reshape:" + (step.numbers.empty() ? "1" : shapeText(step.numbers));
    }
  }
  return text;
}

void nibble::importer::addStep(Layout &layout, LayoutStep step, const Shape &shapeBefore) {
  if (step.isPerm) {
    if (!layout.empty() && layout.back().isPerm) {
      for (int64_t &source : step.numbers)
        source = layout.back().numbers[source];
      layout.pop_back();
    }
    if (!llvm::is_sorted(step.numbers))
      layout.push_back(std::move(step));
    return;
  }
  if (step.numbers == shapeBefore)
    return;
  if (!layout.empty() && !layout.back().isPerm)
    layout.pop_back();
  layout.push_back(std::move(step));
}

HostTensor nibble::importer::applyLayout(const HostTensor &tensor, const Layout &layout) {
  HostTensor result = tensor;
  for (const LayoutStep &step : layout) {
    if (step.isPerm)
      result = transposed(result, step.numbers);
    else
      result.shape = step.numbers;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

bool Importer::matches(const std::vector<std::string> &expressions, ArrayRef<std::string> names) {
  for (const std::string &expression : expressions) {
    llvm::Regex regex(expression); // validated in run()
    for (const std::string &name : names)
      if (!name.empty() && regex.match(name))
        return true;
  }
  return false;
}

/// `name`, or it with the first number behind it that is free. `last` has the numbers given so far:
/// thousands of nodes of one name do not try them all again.
static std::string unique(llvm::StringSet<> &taken, llvm::StringMap<int> &last,
                          const std::string &name) {
  std::string result = name;
  while (!taken.insert(result).second)
    result = name + "_" + std::to_string(++last[name]);
  return result;
}
std::string Importer::uniqueSymbol(std::string name) { return unique(symbols, lastSymbol, name); }
std::string Importer::uniqueLayer(std::string name) { return unique(layers, lastLayer, name); }

//===----------------------------------------------------------------------===//
// Initial values
//===----------------------------------------------------------------------===//

/// Uniform in [-bound, bound): element i from word i mod 4 of block floor(i/4), its upper 24 bits.
static void fillUniform(HostTensor &tensor, float bound, uint64_t seed, const std::string &name) {
  numerics::RandomBits bits(seed, 0, numerics::fnv1a32(name + "/initial"));
  for (size_t i = 0; i < tensor.floats.size(); ++i) {
    float unit = static_cast<float>(bits.block(i / 4)[i % 4] >> 8) * 0x1p-24f; // [0, 1)
    tensor.floats[i] = (2 * unit - 1) * bound;
  }
}

HostTensor Importer::initialValue(const HostTensor &value, const std::string &root,
                                  train::Role role, int64_t fanIn) {
  bool fresh = options.init == InitialWeights::Reinitialize || reinitialized.contains(root);
  if (!fresh || role == train::Role::Constant)
    return value;
  HostTensor result = HostTensor::zeros(DataType::Float, value.shape);
  // He et al. 2015 with a = sqrt(5), PyTorch's default: U(-1/sqrt(fan in), 1/sqrt(fan in)).
  if (role == train::Role::Weight)
    fillUniform(result,
                static_cast<float>(1 / std::sqrt(static_cast<double>(std::max<int64_t>(fanIn, 1)))),
                options.seed, root);
  return result;
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

static std::string reasonOf(train::Role role, const NodeContext &node) {
  const std::string &op = node.node.op;
  switch (role) {
  case train::Role::Weight:
    return "operand of " + op;
  case train::Role::Bias:
    return "bias of " + op;
  case train::Role::Norm:
    return "scale or shift of " + op;
  case train::Role::RunningStat:
    return "running statistic of " + op;
  default:
    return "named by --train";
  }
}

train::VariableOp Importer::createVariable(NodeContext &node, const Constant &constant,
                                           train::Role role, const Layout &layout) {
  HostTensor stored = applyLayout(*constant.rootTensor, layout);
  HostTensor value = initialValue(stored, constant.root, role, node.fanIn);
  bool fresh =
      options.init == InitialWeights::Reinitialize || reinitialized.contains(constant.root);
  bool normalizes = node.node.op == "BatchNormalization" || node.node.op == "LayerNormalization" ||
                    node.node.op == "RMSNormalization";
  if (fresh && role == train::Role::Norm && normalizes && node.node.inputs[1] == constant.root)
    std::fill(value.floats.begin(), value.floats.end(), 1.0f);
  if (fresh && role == train::Role::RunningStat && node.node.inputs.size() > 4 &&
      node.node.inputs[4] == constant.root)
    std::fill(value.floats.begin(), value.floats.end(), 1.0f);

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(forward);
  auto type = node.type(value.shape);
  auto loc = NameLoc::get(builder.getStringAttr(constant.root));
  auto data = DenseElementsAttr::get(type, ArrayRef<float>(value.floats));
  // Two variables from one initializer: the file has room for the first one's values alone.
  bool first = exported.insert(constant.root).second;
  if (!first)
    note("'" + constant.root + "' serves " + node.node.op + " '" + node.node.name + "' as a " +
         train::stringifyRole(role).str() +
         " and another node as something else: each has a variable of its own, and an export "
         "writes only the first");
  auto variable = train::VariableOp::create(
      builder, loc, uniqueSymbol(constant.root), type, role, /*trainable=*/false, /*decay=*/false,
      constant.stored && first ? constant.root : std::string(), layoutText(layout), data);
  variable->setAttr("nibble.why", builder.getStringAttr(reasonOf(role, node)));
  return variable;
}

Value Importer::viewParameter(const Parameter &parameter, const Layout &wanted, Location loc) {
  if (parameter.layout == wanted)
    return parameter.read;
  // Back to the initializer's own shape, then forward: gradients flow through both.
  Value value = parameter.read;
  std::vector<Shape> shapes{parameter.rootShape};
  for (const LayoutStep &step : parameter.layout) {
    Shape next = step.numbers;
    if (step.isPerm)
      for (int64_t &dim : next)
        dim = shapes.back()[dim];
    shapes.push_back(next);
  }
  auto reshape = [&](const Shape &shape) {
    value = nn::ReshapeOp::create(builder, loc, RankedTensorType::get(shape, builder.getF32Type()),
                                  value);
  };
  for (size_t i = parameter.layout.size(); i-- > 0;) {
    const LayoutStep &step = parameter.layout[i];
    Shape inverse(step.numbers.size());
    for (size_t d = 0; step.isPerm && d < inverse.size(); ++d)
      inverse[step.numbers[d]] = d;
    if (step.isPerm)
      value = nn::TransposeOp::create(builder, loc, value, inverse);
    else
      reshape(shapes[i]);
  }
  for (const LayoutStep &step : wanted) {
    if (step.isPerm)
      value = nn::TransposeOp::create(builder, loc, value, step.numbers);
    else
      reshape(step.numbers);
  }
  return value;
}

Value Importer::parameter(NodeContext &node, const Constant &constant, train::Role role,
                          const Layout &extra) {
  const HostTensor &tensor = *constant.tensor;
  if (!tensor.isFloat()) {
    (void)node.error("weight '" + constant.root + "' is " + typeName(tensor.type) +
                     " where a floating tensor is expected");
    return {};
  }
  if (failed(node.check(tensor.shape)))
    return {};
  Layout layout = constant.layout;
  Shape shape = tensor.shape;
  for (const LayoutStep &step : extra) {
    addStep(layout, step, shape);
    Shape next = step.numbers;
    if (step.isPerm)
      for (int64_t &dim : next)
        dim = shape[dim];
    shape = next;
  }
  // Each normalization updates statistics of its own, whatever the exporter shared.
  std::string key = constant.root;
  if (role == train::Role::RunningStat)
    do
      key = "statistic " + std::to_string(lastStatistic[constant.root]++) + " " + constant.root;
    while (parameters.contains(key));
  Parameter &parameter = parameters[key];
  if (!parameter.variable) {
    parameter.variable = createVariable(node, constant, role, layout);
    parameter.layout = layout;
    parameter.rootShape = constant.rootTensor->shape;
    OpBuilder::InsertionGuard guard(builder);
    Block &body =
        forward.getBody().front(); // reads stand at the top, in the order of their first use
    auto place = llvm::find_if(body, [](Operation &op) { return !isa<train::ReadOp>(op); });
    builder.setInsertionPoint(&body, place);
    auto type = cast<RankedTensorType>(parameter.variable.getType());
    parameter.read = train::ReadOp::create(builder, parameter.variable.getLoc(), type,
                                           parameter.variable.getSymName());
  }
  std::string user =
      !node.node.name.empty()
          ? node.node.name
          : node.node.op + "(" + (node.node.outputs.empty() ? "" : node.node.outputs[0]) + ")";
  if (!llvm::is_contained(parameter.users, user))
    parameter.users.push_back(user);
  return viewParameter(parameter, layout, node.loc());
}
