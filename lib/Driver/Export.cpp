//===- Export.cpp - the trained network as an ONNX file -------------------------------===//
#include "nibble/Driver/Export.h"

#include "nibble/Import/OnnxGraph.h"

#include "llvm/ADT/StringExtras.h"

#include <filesystem>

using namespace nibble;
using importer::HostTensor;
using Shape = std::vector<int64_t>;

namespace {

/// One step of a layout: a permutation (result dimension i is dimension numbers[i] of what it is applied to), or a shape.
struct LayoutStep {
  bool isPermutation;
  Shape numbers;
};

bool parseNumbers(llvm::StringRef text, llvm::StringRef separator, Shape &numbers) {
  for (llvm::StringRef part : llvm::split(text, separator)) {
    int64_t number;
    if (part.getAsInteger(10, number))
      return false;
    numbers.push_back(number);
  }
  return true;
}

/// "OHWI", "T", "perm:0,2,1", "reshape:8x9", several with ";" (Import writes them).
bool parseLayout(llvm::StringRef text, std::vector<LayoutStep> &steps) {
  if (text.empty())
    return true;
  for (llvm::StringRef part : llvm::split(text, ";")) {
    LayoutStep step{true, {}};
    if (part == "OHWI")
      step.numbers = {0, 2, 3, 1};
    else if (part == "T")
      step.numbers = {1, 0};
    else if (part.consume_front("perm:")) {
      if (!parseNumbers(part, ",", step.numbers))
        return false;
    } else if (part.consume_front("reshape:")) {
      step.isPermutation = false;
      if (!parseNumbers(part, "x", step.numbers))
        return false;
    } else {
      return false;
    }
    steps.push_back(std::move(step));
  }
  return true;
}

Shape permuted(const Shape &shape, const Shape &permutation) {
  Shape result;
  for (int64_t source : permutation)
    result.push_back(shape[source]);
  return result;
}

Shape inverse(const Shape &permutation) {
  Shape result(permutation.size());
  for (size_t i = 0; i < result.size(); ++i)
    result[permutation[i]] = static_cast<int64_t>(i);
  return result;
}

/// Undoes a layout. `root` is the initializer's shape in the file, whose element count may differ where the head is new.
bool undoLayout(HostTensor &tensor, const std::vector<LayoutStep> &steps, const Shape &root) {
  std::vector<Shape> before{root}; // before[i] is the shape that step i is applied to
  for (const LayoutStep &step : steps) {
    if (step.isPermutation && step.numbers.size() != before.back().size())
      return false;
    before.push_back(step.isPermutation ? permuted(before.back(), step.numbers) : step.numbers);
  }
  for (size_t i = steps.size(); i-- > 0;) {
    if (steps[i].isPermutation)
      tensor = importer::transposed(tensor, inverse(steps[i].numbers));
    else if (importer::countElements(before[i]) == tensor.size())
      tensor.shape = before[i];
    else
      return false;
  }
  return true;
}

/// Shapes of initializers and of Constant nodes' values.
std::map<std::string, Shape> shapesOf(const importer::Graph &graph) {
  std::map<std::string, Shape> shapes;
  for (const auto &[name, tensor] : graph.initializers)
    shapes[name] = tensor->shape;
  for (const importer::Node &node : graph.nodes)
    if (const importer::Attribute *value = node.op == "Constant" ? node.find("value") : nullptr; value && value->tensor)
      shapes[node.outputs.front()] = value->tensor->shape;
  return shapes;
}

} // namespace

Status nibble::exportOnnx(const std::string &source, const std::string &target, const std::vector<Variable> &variables,
                          const ReadVariable &read, const importer::WriteOptions &options) {
  std::vector<importer::Problem> problems;
  std::unique_ptr<importer::OnnxFile> file = importer::OnnxFile::load(source, problems);
  if (!file)
    return Status::error(source + ": cannot be read again to write the trained weights into it" +
                         (problems.empty() ? "" : ": " + problems.front().reason));
  std::map<std::string, Shape> shapes = shapesOf(file->graph());
  importer::NewValues values;
  std::map<std::string, Shape> newShapes;
  for (const Variable &variable : variables) {
    if (variable.onnxName.empty() || variable.role == train::Role::Constant)
      continue;
    auto root = shapes.find(variable.onnxName);
    std::vector<LayoutStep> steps;
    HostTensor tensor;
    tensor.shape = variable.type.getShape().vec();
    tensor.floats = read(variable.name);
    if (root == shapes.end())
      return Status::error(source + " has no initializer '" + variable.onnxName + "' any more");
    if (!parseLayout(variable.layout, steps) || !undoLayout(tensor, steps, root->second))
      return Status::error("internal: the layout '" + variable.layout + "' of '" + variable.name + "' cannot be undone");
    if (tensor.shape != root->second)
      newShapes[variable.onnxName] = tensor.shape;
    values[variable.onnxName] = std::move(tensor.floats);
  }
  std::string wrong = importer::writeOnnx(source, target, values, newShapes, options);
  return wrong.empty() ? Status::success() : Status::error(wrong);
}

std::vector<Variable> nibble::collectVariables(mlir::ModuleOp module) {
  std::vector<Variable> variables;
  for (auto op : module.getOps<train::VariableOp>())
    variables.push_back({op.getSymName().str(), op.getRole(), op.getTrainable(), mlir::cast<mlir::RankedTensorType>(op.getType()), 0,
                         op.getOnnxName().str(), op.getLayout().str(), op.getValueAttr()});
  return variables;
}

ReadVariable nibble::initialValues(const std::vector<Variable> &variables) {
  return [&variables](llvm::StringRef name) {
    auto variable = llvm::find_if(variables, [&](const Variable &v) { return v.name == name; });
    std::vector<float> elements(static_cast<size_t>(variable->type.getNumElements()));
    if (variable->value)
      llvm::copy(variable->value.getValues<float>(), elements.begin());
    return elements;
  };
}
