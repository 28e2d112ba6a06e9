//===- EmitLibrary.cpp - a compiled model as a library for C programs ---------------===//
#include "nibble/Driver/EmitLibrary.h"

#include "nibble/Driver/Artifact.h"
#include "nibble/Runtime/Checkpoint.h"
#include "nibble/Schedule/Storage.h"
#include "nibble/Target/Library.h"

#include "mlir/IR/DialectResourceBlobManager.h"

#include <filesystem>

using namespace mlir;
using namespace nibble;

std::optional<ArrayRef<char>> nibble::initialBytes(const Variable &variable) {
  if (!variable.value)
    return ArrayRef<char>();
  unsigned bits = variable.type.getElementTypeBitWidth();
  size_t width = bits / 8, count = static_cast<size_t>(variable.type.getNumElements());
  ArrayRef<char> raw;
  bool splat = false;
  if (auto dense = dyn_cast<DenseElementsAttr>(variable.value)) {
    raw = dense.getRawData();
    splat = dense.isSplat();
  } else if (auto resource = dyn_cast<DenseResourceElementsAttr>(variable.value)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      raw = blob->getData();
  }
  if (bits % 8 != 0 || raw.size() != (splat ? width : count * width))
    return std::nullopt;
  return raw;
}

static std::string typeName(Type type) {
  std::string text;
  if (type.isF32() || type.isF64())
    text = "float";
  else if (type.isInteger(1))
    return "bool";
  else
    text = type.isUnsignedInteger() ? "uint" : "int";
  return text + std::to_string(type.getIntOrFloatBitWidth());
}

static LibraryTensor describe(RankedTensorType type, std::string name, const char *role) {
  LibraryTensor tensor;
  tensor.name = std::move(name);
  tensor.role = role;
  tensor.type = typeName(type.getElementType());
  tensor.shape = type.getShape().vec();
  tensor.bytes = storageBytes(type);
  return tensor;
}

/// Also what the library's tables cannot say is an error.
static Status describeState(const CompiledModel &model, LibraryModel &library) {
  for (const Variable &variable : model.variables) {
    std::optional<ArrayRef<char>> initial = initialBytes(variable);
    if (!initial || !variable.type.getElementType().isIntOrFloat())
      return Status::error("internal: the initial value of '" + variable.name + "' cannot be read");
    LibraryTensor tensor = describe(variable.type, variable.name, train::stringifyRole(variable.role).data());
    tensor.onnxName = variable.onnxName;
    tensor.layout = variable.layout;
    tensor.trained = variable.trainable;
    tensor.offset = variable.offset;
    tensor.initial = *initial;
    library.state.push_back(std::move(tensor));
  }
  return Status::success();
}

/// What else a program has to link, said by the step's object itself.
static std::string links(ArrayRef<char> object) {
  llvm::Expected<std::vector<std::string>> names = undefinedSymbols(object);
  if (!names) {
    llvm::consumeError(names.takeError());
    return "";
  }
  bool openmp = false, math = false;
  for (StringRef name : *names) {
    openmp |= name.starts_with("__kmpc_");
    math |= !name.starts_with("__kmpc_") && !name.starts_with("mem");
  }
  return std::string(openmp ? " -lomp" : "") + (math ? " -lm" : "");
}

static LibraryModel describe(const CompiledModel &model, const std::string &name) {
  std::filesystem::path file(model.options.model);
  const StepLayout &layout = model.layout;
  bool labels = layout.answer.getElementType().isInteger(32);
  LibraryModel library;
  library.name = libraryName(name.empty() ? file.stem().string() : name);
  library.source = file.filename().string();
  library.recipe = toString(model.options.recipe);
  library.optimizer = toString(model.options.step);
  library.cpu = model.options.mcpu;
  library.tool = runtime::toolVersion();
  library.links = links(model.object);
  library.merged = layout.merged;
  library.input = describe(layout.input, layout.inputName, "input");
  library.answer = describe(layout.answer, layout.answerName, labels ? "label" : "target");
  library.output = describe(layout.output, layout.outputName, "output");
  library.classes = layout.classes;
  library.microBatches = layout.microBatches;
  library.stateBytes = layout.stateBytes;
  library.arenaBytes = layout.arenaBytes();
  library.reportNames = layout.trainKeys;
  library.evalReportCount = layout.evalKeys.size();
  return library;
}

/// For nibble-train --from-lib.
static Status writeArtifactFile(CompiledModel &model, const std::string &path) {
  std::optional<std::string> content = contentHash(model.options.model);
  if (!content)
    return Status::error(model.options.model + ": cannot be read any more");
  std::string bytes = writeArtifact(model, *content);
  llvm::Error error = llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
    os << bytes;
    return llvm::Error::success();
  });
  return error ? Status::error(path + ": cannot be written: " + llvm::toString(std::move(error))) : Status::success();
}

Status nibble::emitLibrary(CompiledModel &model, const std::string &folder, const std::string &name) {
  if (model.options.import.insertNorm)
    return Status::error("--emit=lib: the normalization of --insert-norm is set by nibble-train with the first batch; train with it, and compile "
                         "the model.onnx that comes out");
  if (model.layout.tokens > 0 || model.layout.answersPerRow() > 1)
    return Status::error("--emit=lib: networks that read tokens, or have a label for each element of a sequence, are not written as "
                         "libraries yet; train with nibble-train");
  LibraryModel library = describe(model, name);
  for (const LibraryTensor *tensor : {&library.input, &library.answer, &library.output})
    if (tensor->shape.empty() || tensor->shape.front() != library.rows())
      return Status::error("--emit=lib: the first dimension of inputs and output must be the batch");
  if (Status status = describeState(model, library); !status)
    return status;
  if (llvm::Error error = writeLibrary(folder, library, model.machine, model.object))
    return Status::error(llvm::toString(std::move(error)));
  return writeArtifactFile(model, (std::filesystem::path(folder) / (library.name + ".nibble")).string());
}
