//===- Inputs.cpp - which input and output, and their shapes -----------------===//
#include "Importer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// Whole numbers that name rows of a table.
static bool isTokens(DataType type) { return type == DataType::Int32 || type == DataType::Int64; }

static std::string names(const std::vector<ValueInfo> &values) {
  std::string text;
  for (const ValueInfo &value : values)
    text += (text.empty() ? "'" : ", '") + value.name + "'";
  return text.empty() ? "none" : text;
}

/// Fills in `info`'s dimensions. The primary input is the one whose leading dimension is the batch.
bool Importer::bindInput(ValueInfo &info, bool primary) {
  if (!info.hasShape) {
    auto given = options.shapes.find(info.name);
    if (given == options.shapes.end())
      return problem({"", "", "input '" + info.name + "' has no shape",
                      "give one: --shape " + info.name + "=AxBxC"}),
             false;
    info.hasShape = true;
    info.dims.resize(given->second.size());
  }
  if (primary && !info.dims.empty()) {
    const Dimension &leading = info.dims.front();
    hasBatch = true;
    batchWasFixed = leading.value >= 0;
    oldBatch = batchWasFixed ? leading.value : 1;
    newBatch = options.batchSize ? options.batchSize : oldBatch;
    auto bySymbol = options.shapes.find(leading.symbol);
    if (!leading.symbol.empty() && bySymbol != options.shapes.end() && bySymbol->second.size() == 1)
      newBatch = bySymbol->second[0];
  }
  auto given = options.shapes.find(info.name);
  if (given != options.shapes.end()) {
    if (given->second.size() != info.dims.size())
      return problem({"", "",
                      "--shape gives input '" + info.name + "' " +
                          std::to_string(given->second.size()) + " dimensions, the file says " +
                          std::to_string(info.dims.size()),
                      ""}),
             false;
    if (primary && options.batchSize && options.batchSize != given->second[0])
      return problem({"", "", "--shape and --batch-size disagree on input '" + info.name + "'",
                      "give one of them"}),
             false;
    for (size_t i = 0; i < info.dims.size(); ++i) {
      int64_t inFile = info.dims[i].value, now = given->second[i];
      if (inFile >= 0 && inFile != now && !(primary && i == 0))
        return problem({"", "",
                        "--shape sets dimension " + std::to_string(i) + " of input '" + info.name +
                            "' to " + std::to_string(now) + ", the file fixes it at " +
                            std::to_string(inFile),
                        "only symbolic dimensions and the leading one can be set"}),
               false;
      info.dims[i].value = now;
    }
    if (primary)
      newBatch = given->second[0];
  }
  return true;
}

/// Binds what is still open behind the batch by the data's samples: dimension by dimension where
/// the ranks agree, else the one open dimension by the number of elements.
static void bindBySample(ValueInfo &info, ArrayRef<int64_t> sample) {
  if (sample.empty() || info.dims.empty())
    return;
  MutableArrayRef<Dimension> inner = MutableArrayRef<Dimension>(info.dims).drop_front();
  int64_t elements = 1, known = 1;
  SmallVector<Dimension *> open;
  for (int64_t n : sample)
    elements *= n;
  for (Dimension &dim : inner) {
    if (dim.value < 0)
      open.push_back(&dim);
    else if (dim.value > kMaxElements || (dim.value > 0 && known > kMaxElements / dim.value))
      return; // an absurd shape is refused later
    else
      known *= dim.value;
  }
  if (inner.size() == sample.size()) {
    for (size_t i = 0; i < sample.size(); ++i)
      if (inner[i].value < 0)
        inner[i].value = sample[i];
  } else if (open.size() == 1 && known > 0 && elements % known == 0) {
    open.front()->value = elements / known;
  }
}

/// Gives the remaining symbolic dimensions their values by name.
static bool bindSymbols(Importer &importer, ValueInfo &info, const std::string &batchSymbol,
                        int64_t batch) {
  bool good = true;
  auto bindOne = [&](Dimension &dim) {
    auto given = importer.options.shapes.find(dim.symbol);
    if (dim.value < 0 && !dim.symbol.empty() && dim.symbol == batchSymbol)
      dim.value = batch;
    else if (dim.value < 0 && !dim.symbol.empty() && given != importer.options.shapes.end() &&
             given->second.size() == 1)
      dim.value = given->second[0];
  };
  for (Dimension &dim : info.dims)
    bindOne(dim);
  bindBySample(info, importer.options.sampleShape);
  for (size_t i = 0; i < info.dims.size(); ++i) {
    Dimension &dim = info.dims[i];
    if (dim.value > 0)
      continue;
    good = false;
    std::string what =
        dim.symbol.empty() ? "dimension " + std::to_string(i) : "dimension '" + dim.symbol + "'";
    importer.problem({"", "",
                      what + " of input '" + info.name + "' " +
                          (dim.value < 0 ? "is not known" : "is " + std::to_string(dim.value)),
                      "bind it with --shape " +
                          (dim.symbol.empty() ? info.name + "=AxBxC" : dim.symbol + "=N")});
  }
  return good;
}

bool Importer::bindInputs() {
  if (graph.outputs.empty() || graph.outputs.front().name.empty())
    return problem({"", "", "the graph has no output", ""}), false;
  outputName = options.output.empty() ? graph.outputs.front().name : options.output;
  bool exists = graph.initializers.count(outputName);
  for (const Node &node : graph.nodes)
    exists |= llvm::is_contained(node.outputs, outputName);
  for (const ValueInfo &info : graph.inputs)
    exists |= info.name == outputName;
  if (!exists)
    return problem({"", "", "there is no value '" + outputName + "'",
                    "outputs: " + names(graph.outputs)}),
           false;
  collectNeeded();
  bool found = options.input.empty();
  const ValueInfo *primary = nullptr, *tokens = nullptr;
  for (const ValueInfo &info : graph.inputs) {
    found |= info.name == options.input;
    bool candidate = options.input.empty() ? isFloat(info.type) && needed.contains(info.name)
                                           : info.name == options.input;
    if (candidate && !primary)
      primary = &info;
    if (options.input.empty() && isTokens(info.type) && needed.contains(info.name) && !tokens)
      tokens = &info;
  }
  if (!primary)
    primary = tokens;
  if (!found)
    return problem({"", "", "there is no input '" + options.input + "'",
                    "inputs: " + names(graph.inputs)}),
           false;
  if (!primary)
    return problem({"", "",
                    "the output '" + outputName + "' depends on no floating input and no tokens",
                    "inputs: " + names(graph.inputs)}),
           false;

  batchSymbol = primary->dims.empty() ? "" : primary->dims.front().symbol;
  ValueInfo first = *primary;
  bool good = bindInput(first, true);
  for (const ValueInfo &original : graph.inputs) {
    ValueInfo info = original.name == first.name ? first : original;
    if (!good || !needed.contains(info.name))
      continue;
    if (info.name == first.name && !info.dims.empty())
      info.dims.front().value = newBatch;
    Slot &slot = slots[info.name];
    slot.isInput = true;
    bool readsTokens = info.name == first.name && isTokens(info.type);
    if (!isFloat(info.type) && !readsTokens) {
      slot.failed =
          "is a graph input of " + typeName(info.type) +
          (info.name == first.name ? "; floating numbers, int32 and int64 (tokens) are imported"
                                   : "; beside the network's input '" + first.name +
                                         "' only floating inputs are imported");
      continue;
    }
    if (!options.input.empty() && info.name != options.input) {
      slot.failed = "is another graph input than '" + options.input + "'";
      continue;
    }
    good &= bindInput(info, false) && bindSymbols(*this, info, batchSymbol, newBatch);
    auto shape = info.staticShape();
    if (good && !shape)
      problem({"", "", "input '" + info.name + "' is too large", ""}), good = false;
    if (!good)
      continue;
    Type element = readsTokens ? Type(builder.getI32Type()) : builder.getF32Type();
    auto type = RankedTensorType::get(*shape, element);
    auto loc = NameLoc::get(builder.getStringAttr(info.name));
    unsigned index = forward.getNumArguments();
    if (failed(forward.insertArgument(index, type,
                                      builder.getDictionaryAttr(builder.getNamedAttr(
                                          "nn.name", builder.getStringAttr(info.name))),
                                      loc)))
      return false;
    slot.value = forward.getArgument(index);
  }
  if (good && !batchWasFixed && hasBatch && !options.batchSize && newBatch == 1 &&
      first.dims.front().value < 0)
    note("the leading dimension '" + batchSymbol + "' of input '" + first.name +
         "' is taken as 1: give --batch-size");
  return good;
}
