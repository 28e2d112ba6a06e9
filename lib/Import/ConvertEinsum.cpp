//===- ConvertEinsum.cpp - Einsum as transposes, reshapes and a product -------===//
//
// Each operand becomes a stack of matrices: letters of both operands and the result are the stack,
// letters of one operand and the result its rows (columns), letters of both operands alone are
// contracted. The nodes that say so go through the importer like the file's own, so that a constant
// operand is a weight, as MatMul's is.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

namespace {
/// "ab,bc->ac", read: a letter a dimension.
struct Equation {
  std::vector<std::string> operands;
  std::string result;
};
} // namespace

static bool repeats(StringRef letters) {
  for (size_t i = 0; i < letters.size(); ++i)
    if (letters.find(letters[i], i + 1) != StringRef::npos)
      return true;
  return false;
}

static std::optional<Equation> readEquation(NodeContext &n) {
  std::string text;
  for (char c : n.text("equation", ""))
    if (c != ' ')
      text += c;
  auto [left, right] = StringRef(text).split("->");
  Equation equation;
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  for (StringRef part : parts)
    equation.operands.push_back(part.str());
  equation.result = right.str();
  bool good = StringRef(text).contains("->") && parts.size() == n.inputs() && parts.size() == 2 &&
              !repeats(right);
  for (size_t i = 0; good && i < parts.size(); ++i)
    good = !repeats(parts[i]) && parts[i].size() == n.shape(i).size() &&
           llvm::all_of(parts[i], [](char c) { return llvm::isAlpha(c); });
  for (char c : right)
    good = good && (equation.operands[0] + equation.operands[1]).find(c) != std::string::npos;
  if (good)
    return equation;
  std::string shapes;
  for (size_t i = 0; i < n.inputs(); ++i)
    shapes += (i ? ", " : "") + shapeText(n.shape(i));
  return (void)n.error("cannot read the equation '" + text + "' for operands " + shapes,
                       "products of two operands with a result (->), without '...' and repeated "
                       "letters, are imported"),
         std::nullopt;
}

namespace {
/// Adds nodes behind each other, named after the Einsum.
class Steps {
public:
  explicit Steps(NodeContext &n) : n(n) {}

  /// One node; its result's name.
  std::string add(StringRef op, std::vector<std::string> inputs, std::string output = "",
                  std::vector<importer::Attribute> attributes = {}) {
    if (output.empty())
      output = n.node.outputs[0] + "/" + std::to_string(++count);
    n.importer.convertNode(
        {n.node.name, op.str(), "", std::move(inputs), {output}, std::move(attributes)});
    return output;
  }

  std::string reshape(std::string x, const Shape &shape, std::string output = "") {
    std::string name = n.node.outputs[0] + "/shape" + std::to_string(++count);
    HostTensor numbers = HostTensor::zeros(DataType::Int64, {static_cast<int64_t>(shape.size())});
    numbers.ints = shape;
    auto shared = std::make_shared<HostTensor>(std::move(numbers));
    n.importer.slots[name].constant = Constant{shared, name, shared, {}, false};
    return add("Reshape", {std::move(x), name}, std::move(output));
  }

  std::string transpose(std::string x, StringRef from, StringRef to, std::string output = "") {
    importer::Attribute perm;
    perm.name = "perm";
    perm.kind = importer::Attribute::Kind::Ints;
    for (char c : to)
      perm.ints.push_back(from.find(c));
    return add("Transpose", {std::move(x)}, std::move(output), {perm});
  }

private:
  NodeContext &n;
  int count = 0;
};
} // namespace

static std::string lettersThat(StringRef of, llvm::function_ref<bool(char)> hold) {
  std::string chosen;
  for (char c : of)
    if (hold(c))
      chosen += c;
  return chosen;
}

static LogicalResult convertEinsum(NodeContext &n) {
  auto equation = readEquation(n);
  if (!equation)
    return failure();
  StringRef a = equation->operands[0], b = equation->operands[1], result = equation->result;
  llvm::StringMap<int64_t> size;
  for (size_t i = 0; i < 2; ++i)
    for (size_t d = 0; d < equation->operands[i].size(); ++d) {
      auto [known, fresh] =
          size.try_emplace(StringRef(equation->operands[i]).substr(d, 1), n.shape(i)[d]);
      if (!fresh && known->second != n.shape(i)[d])
        return n.error("letter '" + known->first() + "' is " + Twine(known->second) + " and " +
                       Twine(n.shape(i)[d]));
    }
  auto in = [](StringRef letters) { return [=](char c) { return letters.contains(c); }; };
  std::string stack = lettersThat(a, [&](char c) { return b.contains(c) && result.contains(c); }),
              contracted =
                  lettersThat(a, [&](char c) { return b.contains(c) && !result.contains(c); }),
              rows = lettersThat(a, [&](char c) { return !b.contains(c) && result.contains(c); }),
              columns =
                  lettersThat(b, [&](char c) { return !a.contains(c) && result.contains(c); });
  std::string used = stack + contracted + rows + columns;
  if (!llvm::all_of((a + b).str(), in(used)))
    return n.error("sums a letter of one operand alone in '" + equation->operands[0] + "," +
                       equation->operands[1] + "->" + equation->result + "'",
                   "sum it with ReduceSum first");
  auto sizesOf = [&](StringRef letters) {
    Shape shape;
    for (size_t d = 0; d < letters.size(); ++d)
      shape.push_back(size[letters.substr(d, 1)]);
    return shape;
  };
  auto matrices = [&](StringRef first, StringRef second) {
    Shape shape;
    if (!stack.empty())
      shape.push_back(countElements(sizesOf(stack)));
    shape.push_back(countElements(sizesOf(first)));
    shape.push_back(countElements(sizesOf(second)));
    return shape;
  };
  Steps steps(n);
  std::string left = steps.reshape(steps.transpose(n.node.inputs[0], a, stack + rows + contracted),
                                   matrices(rows, contracted)),
              right =
                  steps.reshape(steps.transpose(n.node.inputs[1], b, stack + contracted + columns),
                                matrices(contracted, columns));
  std::string made = stack + rows + columns;
  std::string product = steps.reshape(steps.add("MatMul", {left, right}), sizesOf(made));
  steps.transpose(product, made, result, n.node.outputs[0]);
  return success();
}

void nibble::importer::addEinsumConverters(ConverterTable &table) {
  table["Einsum"] = convertEinsum;
}
