//===- Importer.cpp - walk the graph, node by node ---------------------------===//
#include "Importer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

const ConverterTable &nibble::importer::converterTable() {
  static const ConverterTable table = [] {
    ConverterTable t;
    addCompareConverters(t);
    addConvolutionConverters(t);
    addEinsumConverters(t);
    addMatMulConverters(t);
    addAttentionConverters(t);
    addElementwiseConverters(t);
    addActivationConverters(t);
    addPoolConverters(t);
    addNormConverters(t);
    addShapeConverters(t);
    addSliceConverters(t);
    addInstanceNormConverters(t);
    addRecurrentConverters(t);
    addResizeConverters(t);
    addTransposedConvolutionConverters(t);
    addReduceConverters(t);
    return t;
  }();
  return table;
}

const ConverterTable &nibble::importer::foldTable() {
  static const ConverterTable table = [] {
    ConverterTable t;
    addArithmeticFolds(t);
    addShapeFolds(t);
    addIndexingFolds(t);
    return t;
  }();
  return table;
}

static std::vector<std::string> sortedKeys(const ConverterTable &table,
                                           const ConverterTable *without = nullptr) {
  std::vector<std::string> keys;
  for (const auto &entry : table)
    if (!without || !without->contains(entry.getKey()))
      keys.push_back(entry.getKey().str());
  llvm::sort(keys);
  return keys;
}
std::vector<std::string> nibble::convertedOnnxOps() { return sortedKeys(converterTable()); }
std::vector<std::string> nibble::foldedOnnxOps() {
  return sortedKeys(foldTable(), &converterTable());
}

bool nibble::parseShape(llvm::StringRef text, std::vector<int64_t> &shape) {
  shape.clear();
  llvm::SmallVector<llvm::StringRef> parts;
  llvm::SplitString(text, parts, "x,");
  for (llvm::StringRef part : parts) {
    int64_t value;
    if (part.getAsInteger(10, value) || value < 1)
      return false;
    shape.push_back(value);
  }
  return !shape.empty();
}

//===----------------------------------------------------------------------===//
// Reporting
//===----------------------------------------------------------------------===//

Importer::Importer(const Graph &graph, const ImportOptions &options, MLIRContext &context,
                   ImportNotes &notes)
    : options(options), graph(graph), builder(&context), context(context), notes(notes) {}

void Importer::problem(Problem problem) { problems.push_back(std::move(problem)); }
void Importer::problem(const Node &node, std::string reason, std::string advice) {
  std::string name = !node.name.empty()     ? node.name
                     : node.outputs.empty() ? ""
                                            : node.outputs.front();
  std::string op = node.domain.empty() ? node.op : node.domain + "." + node.op;
  problems.push_back({name, op, std::move(reason), std::move(advice)});
}
void Importer::note(std::string text) { notes.notes.push_back(std::move(text)); }

static void emitProblem(MLIRContext &context, const std::string &file, int64_t opset,
                        const Problem &problem) {
  auto diagnostic = emitError(FileLineColLoc::get(&context, file, 0, 0));
  if (!problem.op.empty()) {
    diagnostic << (problem.node.empty() ? "" : "node '" + problem.node + "' ") << "(" << problem.op;
    if (opset > 0)
      diagnostic << ", opset " << opset;
    diagnostic << "): ";
  }
  diagnostic << problem.reason;
  if (!problem.advice.empty())
    diagnostic << "; " << problem.advice;
}

OwningOpRef<ModuleOp> Importer::emitProblems() {
  for (const Problem &problem : problems)
    emitProblem(context, graph.file, graph.opset, problem);
  return {};
}

//===----------------------------------------------------------------------===//
// What the output needs
//===----------------------------------------------------------------------===//

/// Marks every value on the way to the output; nodes off that way are not imported.
void Importer::collectNeeded() {
  needed.insert(outputName);
  for (const Node &node : llvm::reverse(graph.nodes)) {
    if (llvm::none_of(node.outputs, [&](const std::string &name) {
          return !name.empty() && needed.contains(name);
        }))
      continue;
    for (const std::string &input : node.inputs)
      if (!input.empty())
        needed.insert(input);
  }
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// The recorded shape of a value, with the present batch and bound dimensions; nothing where that
/// is not all known.
std::optional<Shape> Importer::recordedShape(const std::string &value) {
  auto found = graph.recorded.find(value);
  if (found == graph.recorded.end() || !isFloat(found->second.type))
    return std::nullopt;
  ValueInfo info = found->second;
  for (size_t i = 0; i < info.dims.size(); ++i) {
    Dimension &dim = info.dims[i];
    auto given = options.shapes.find(dim.symbol);
    if (i == 0 && hasBatch && batchWasFixed && dim.value == oldBatch)
      dim.value = newBatch;
    else if (dim.value < 0 && !dim.symbol.empty() && dim.symbol == batchSymbol)
      dim.value = newBatch;
    else if (dim.value < 0 && given != options.shapes.end() && given->second.size() == 1)
      dim.value = given->second[0];
  }
  return info.staticShape();
}

/// After a node that could not be converted: go on with a stand-in of the type that the file
/// records, so that what comes later is looked at too. Values without a known type silence what
/// depends on them.
void Importer::afterFailure(const Node &node) {
  for (const std::string &output : node.outputs) {
    if (output.empty())
      continue;
    Slot &slot = slots[output];
    slot = Slot();
    auto shape = recordedShape(output);
    if (!shape) {
      slot.failed = "comes from a node that could not be imported";
      continue;
    }
    auto type = RankedTensorType::get(*shape, builder.getF32Type());
    slot.value =
        UnrealizedConversionCastOp::create(builder, builder.getUnknownLoc(), type, ValueRange{})
            .getResult(0);
  }
}

static bool isKnown(const Node &node) {
  return node.domain.empty() &&
         (converterTable().contains(node.op) || foldTable().contains(node.op));
}

void Importer::reportUnknown(const Node &node) {
  problem(node,
          node.domain.empty() ? "there is no importer for this operator"
                              : "operators of the domain '" + node.domain + "' are not known",
          "export it as simpler operators, choose another --output, or add a converter "
          "(docs/howto/add-an-onnx-op.md)");
}

/// Before opset 7, Add and its like aligned their second operand with dimension `axis` of the
/// first. Such a node gets the operand with ones behind it, which is how it broadcasts since.
const Node &Importer::alignOperand(const Node &node, Node &rewritten) {
  const importer::Attribute *axis = node.find("axis");
  bool binary = node.op == "Add" || node.op == "Sub" || node.op == "Mul" || node.op == "Div" ||
                node.op == "Pow";
  if (graph.opset >= 7 || !axis || !binary || node.inputs.size() != 2 || node.inputs[1].empty())
    return node;
  NodeContext context(*this, node);
  Shape left = context.shape(0), right = context.shape(1);
  int64_t rank = left.size(), first = axis->i < 0 ? axis->i + rank : axis->i,
          ones = rank - first - static_cast<int64_t>(right.size());
  if (first < 0 || ones <= 0)
    return node;
  right.insert(right.end(), ones, 1);
  rewritten = node;
  rewritten.inputs[1] += " (aligned)";
  Node reshape{node.name, "Reshape", "", {node.inputs[1]}, {rewritten.inputs[1]}, {}};
  NodeContext view(*this, reshape);
  if (const Constant *constant = view.constant(0))
    view.setView(*constant, {false, right});
  else
    view.set(0, view.reshape(view.value(0), right));
  return rewritten;
}

/// Tokens are row numbers: views may look at them, and Gather. No other converter expects them.
static LogicalResult checkTokens(NodeContext &n) {
  static const char *const views[] = {"Reshape",  "Flatten", "Squeeze", "Unsqueeze",
                                      "Identity", "Cast",    "Shape",   "Size"};
  for (size_t i = 0; i < n.inputs(); ++i)
    if (n.isTokens(i) && !(i == 0 && llvm::is_contained(views, n.node.op)) &&
        !(i == 1 && n.node.op == "Gather"))
      return n.error("computes with the tokens '" + n.node.inputs[i] +
                         "' (whole numbers that depend on the data)",
                     "only Gather takes them, as rows of a table; choose another --output");
  return success();
}

/// Gather of whole rows of a table of the file.
static bool isTableLookup(NodeContext &n) {
  const Constant *table = n.node.op == "Gather" ? n.constant(0) : nullptr;
  return table && table->stored && table->tensor->isFloat() && table->tensor->shape.size() == 2 &&
         n.integer("axis", 0) == 0 && n.shape(1).size() > 0;
}

void Importer::convertNode(const Node &node) {
  size_t before = problems.size();
  bool allConstant = true, anyFailed = false;
  for (const std::string &input : node.inputs) {
    if (input.empty())
      continue;
    auto slot = slots.find(input);
    if (slot == slots.end()) {
      problem(
          node,
          "its input '" + input +
              "' is produced by no node before it, and is neither a graph input nor an initializer",
          "the graph has a cycle, or is damaged");
      return afterFailure(node);
    }
    anyFailed |= !slot->second.failed.empty();
    allConstant &= slot->second.constant.has_value();
    if (slot->second.isInput && !slot->second.failed.empty())
      problem(node, "its input '" + input + "' " + slot->second.failed);
  }
  llvm::StringRef op = node.op;
  if (!isKnown(node)) {
    reportUnknown(node);
    return afterFailure(node);
  }
  if (anyFailed)
    return afterFailure(node);
  Node rewritten;
  const Node &current = alignOperand(node, rewritten);
  NodeContext nodeContext(*this, current);
  if (failed(checkTokens(nodeContext)))
    return afterFailure(node);
  // A table that is looked up is a weight, also where the rows are known beforehand (positions).
  bool table = isTableLookup(nodeContext);
  auto fold = foldTable().find(op);
  auto convert = converterTable().find(op);
  LogicalResult done = failure();
  if (fold != foldTable().end() && allConstant && !table)
    done = fold->second(nodeContext);
  else if (convert != converterTable().end())
    done = convert->second(nodeContext);
  else
    done = nodeContext.error(
        "is only imported where its inputs are constants, here they depend on the data",
        "export with fixed shapes, or choose another --output");
  if (failed(done)) {
    if (problems.size() == before)
      problem(node, "could not be imported");
    return afterFailure(node);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (nodeContext.wants(i) && !slots.contains(node.outputs[i])) {
      problem(node, "its output " + std::to_string(i) + " ('" + node.outputs[i] +
                        "') has no counterpart here");
      slots[node.outputs[i]].failed = "comes from a node that could not be imported";
    }
}

void Importer::convertNodes() {
  for (const Node &node : graph.nodes)
    if (llvm::any_of(node.outputs, [&](const std::string &name) {
          return !name.empty() && needed.contains(name);
        }))
      convertNode(node);
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

/// Options that can be wrong by themselves.
static bool checkOptions(const ImportOptions &options, std::vector<Problem> &problems) {
  for (const auto *list : {&options.train, &options.freeze})
    for (const std::string &expression : *list) {
      std::string error;
      if (!llvm::Regex(expression).isValid(error))
        problems.push_back({"", "", "'" + expression + "' is not a regular expression: " + error,
                            "see --train and --freeze"});
    }
  if (!options.loss.empty() && options.loss != "softmax_cross_entropy" && options.loss != "mse" &&
      options.loss != "bce")
    problems.push_back(
        {"", "", "unknown loss '" + options.loss + "'", "known: softmax_cross_entropy, mse, bce"});
  if (options.batchSize < 0 || options.batchSize > kMaxElements)
    problems.push_back(
        {"", "", "batch size " + std::to_string(options.batchSize), "give a positive number"});
  if (options.classes < 0 || options.classes == 1 || options.classes > (1 << 24))
    problems.push_back(
        {"", "", std::to_string(options.classes) + " classes", "a classifier has at least two"});
  return problems.empty();
}

OwningOpRef<ModuleOp> Importer::run() {
  if (!checkOptions(options, problems))
    return emitProblems();
  OwningOpRef<ModuleOp> owner =
      ModuleOp::create(FileLineColLoc::get(&context, graph.file, 0, 0), "model");
  module = *owner;
  builder.setInsertionPointToEnd(module.getBody());
  forward =
      func::FuncOp::create(builder, module.getLoc(), "forward", builder.getFunctionType({}, {}));
  symbols.insert("forward");
  builder.setInsertionPointToStart(forward.addEntryBlock());

  for (const auto &[name, tensor] : graph.initializers)
    slots[name].constant = Constant{tensor, name, tensor, {}, true};
  if (!bindInputs()) {
    for (const Node &node : graph.nodes)
      if (llvm::any_of(node.outputs,
                       [&](const std::string &name) { return needed.contains(name); }) &&
          !isKnown(node))
        reportUnknown(node);
    return emitProblems();
  }
  findMergedSoftmax();
  if (options.classes > 0 && !replaceHead())
    return emitProblems();
  convertNodes();
  bool whole = finishOutput();
  if (whole && problems.empty())
    finishModule(slots[outputName].value);
  if (!problems.empty())
    return emitProblems();
  if (!whole) {
    problem(
        {"", "", "the output '" + outputName + "' is produced by no node", "is the file damaged?"});
    return emitProblems();
  }
  if (failed(verify(module)))
    return {};
  return owner;
}

OwningOpRef<ModuleOp> nibble::importOnnx(llvm::StringRef path, const ImportOptions &options,
                                         MLIRContext &context, ImportNotes *notes) {
  context.loadDialect<nn::NNDialect, train::TrainDialect, arith::ArithDialect, func::FuncDialect>();
  std::vector<Problem> problems;
  auto file = OnnxFile::load(path.str(), problems);
  int64_t opset = file ? file->graph().opset : 0;
  if (file && !problems.empty()) // say at once what else would be in the way
    for (const Node &node : file->graph().nodes)
      if (!isKnown(node))
        problems.push_back({node.name, node.domain.empty() ? node.op : node.domain + "." + node.op,
                            "there is no importer for this operator", ""});
  if (!problems.empty() || !file) {
    for (const Problem &problem : problems)
      emitProblem(context, path.str(), opset, problem);
    return {};
  }
  ImportNotes ignored, &told = notes ? *notes : ignored;
  told.notes = file->graph().notes;
  return Importer(file->graph(), options, context, told).run();
}
