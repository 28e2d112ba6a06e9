//===- Artifact.cpp - a compiled model as a file ---------------------------------------===//
#include "nibble/Driver/Artifact.h"

#include "ArtifactFields.h"
#include "nibble/Driver/Register.h"
#include "nibble/Import/OnnxGraph.h"
#include "nibble/Target/Features.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <chrono>
#include <filesystem>

using namespace mlir;
using namespace nibble;

static constexpr llvm::StringRef kMagic = "nibble-artifact 1\n";
static constexpr llvm::StringRef kAttribute = "nibble.artifact";

static std::string hashText(llvm::BLAKE3 &hasher) { return llvm::toHex(hasher.final(), /*LowerCase=*/true); }

static std::string hash(llvm::StringRef bytes) {
  llvm::BLAKE3 hasher;
  hasher.update(bytes);
  return hashText(hasher);
}

//===----------------------------------------------------------------------===//
// The ONNX file
//===----------------------------------------------------------------------===//

std::optional<std::string> nibble::contentHash(const std::string &model) {
  llvm::BLAKE3 hasher;
  auto add = [&](const std::filesystem::path &path) {
    std::error_code wrong;
    if (!std::filesystem::is_regular_file(path, wrong))
      return false;
    auto file = llvm::MemoryBuffer::getFile(path.string(), /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (file)
      hasher.update((*file)->getBuffer());
    return bool(file);
  };
  if (!add(model))
    return std::nullopt;
  for (const std::string &location : importer::externalFiles(model)) {
    std::filesystem::path relative(location);
    if (relative.is_absolute() || llvm::is_contained(relative, std::filesystem::path("..")))
      return std::nullopt; // the importer refuses it
    hasher.update(location);
    if (!add(std::filesystem::path(model).parent_path() / relative))
      return std::nullopt;
  }
  return hashText(hasher);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

std::string nibble::describeOptions(const CompileOptions &options, const Machine &machine, bool threads) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  FieldWriter writer(&context);
  CompileOptions copy = options;
  Machine machineCopy = machine;
  visitOptions(writer, copy);
  visitMachine(writer, machineCopy);
  writer("threaded", threads);
  std::string text;
  llvm::raw_string_ostream(text) << writer.take();
  return text;
}

std::string nibble::writeArtifact(CompiledModel &model, const std::string &content) {
  FieldWriter writer(model.context.get());
  std::string path = std::filesystem::absolute(model.options.model).string(), hashed = content;
  writer("model", path);
  writer("content", hashed);
  visitOptions(writer, model.options);
  visitModel(writer, model);
  OwningOpRef<ModuleOp> module = model.quantized->clone();
  (*module)->setAttr(kAttribute, writer.take());
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  (void)writeBytecodeToFile(*module, os); // fails only where a version is asked for
  os.flush();
  return kMagic.str() + hash(bytes) + "\n" + bytes;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// The bytecode behind a right head and hash.
static Result<llvm::StringRef> checkHead(llvm::StringRef bytes, const std::string &path) {
  if (!bytes.consume_front(kMagic)) {
    bool isArtifact = bytes.starts_with("nibble-artifact ");
    return Status::error(path + (isArtifact ? ": was written by another version of Nibble" : ": is not a compiled model (nibble-compile --emit=lib writes one)"));
  }
  auto [expected, rest] = bytes.split('\n');
  if (hash(rest) != expected)
    return Status::error(path + ": is damaged or cut off");
  return rest;
}

/// Bytecode holds tensors at aligned places.
static std::unique_ptr<llvm::MemoryBuffer> alignedCopy(llvm::StringRef bytes) {
  auto copy = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(bytes.size(), "artifact", llvm::Align(64));
  std::memcpy(copy->getBufferStart(), bytes.data(), bytes.size());
  return copy;
}

Result<Artifact> nibble::readArtifact(llvm::StringRef bytes, const std::string &path) {
  auto start = std::chrono::steady_clock::now();
  auto code = checkHead(bytes, path);
  if (!code)
    return code.status();
  Artifact artifact;
  artifact.model = std::make_unique<CompiledModel>();
  CompiledModel &model = *artifact.model;
  DialectRegistry registry;
  registerAllDialects(registry);
  model.context = std::make_unique<MLIRContext>(registry);
  ScopedDiagnosticHandler silent(model.context.get(), [](Diagnostic &) { return success(); });
  Status unreadable = Status::error(path + ": was written by another version of Nibble: compile again");
  llvm::SourceMgr source;
  source.AddNewSourceBuffer(alignedCopy(*code), llvm::SMLoc());
  model.quantized = parseSourceFile<ModuleOp>(source, ParserConfig(model.context.get(), /*verifyAfterParse=*/false));
  if (!model.quantized)
    return unreadable;
  FieldReader reader((*model.quantized)->getAttrOfType<DictionaryAttr>(kAttribute));
  (*model.quantized)->removeAttr(kAttribute);
  reader("model", model.options.model);
  reader("content", artifact.content);
  visitOptions(reader, model.options);
  visitModel(reader, model);
  if (!reader.good)
    return unreadable;
  // It may have been compiled on another machine, for what was native there.
  model.machine.runsOnHost = missingOnHost(model.machine).empty();
  model.loadedFrom = path;
  model.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return artifact;
}

/// The one artifact of a folder, or the path itself.
static Result<std::string> findArtifact(const std::string &path) {
  std::error_code wrong;
  if (!std::filesystem::is_directory(path, wrong))
    return path;
  std::vector<std::string> found;
  for (const auto &entry : std::filesystem::directory_iterator(path, wrong))
    if (entry.path().extension() == ".nibble")
      found.push_back(entry.path().string());
  if (found.size() == 1)
    return found.front();
  return Status::error(path + (found.empty() ? ": holds no compiled model (a file .nibble; nibble-compile --emit=lib writes one)"
                                             : ": holds several compiled models: name the file"));
}

Result<std::unique_ptr<CompiledModel>> nibble::loadArtifact(const std::string &path, const std::string &model) {
  auto file = findArtifact(path);
  if (!file)
    return file.status();
  auto bytes = llvm::MemoryBuffer::getFile(*file, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!bytes)
    return Status::error(*file + ": cannot be read: " + bytes.getError().message());
  auto artifact = readArtifact((*bytes)->getBuffer(), *file);
  if (!artifact)
    return artifact.status();
  CompiledModel &compiled = *artifact->model;
  if (!model.empty())
    compiled.options.model = model;
  std::optional<std::string> content = contentHash(compiled.options.model);
  if (!content)
    return Status::error(compiled.options.model + ": cannot be read; it is what " + *file +
                         " was compiled from, and exports are copies of it: name it before --from-lib if it lies elsewhere");
  if (*content != artifact->content)
    return Status::error(compiled.options.model + ": is not the file that " + *file + " was compiled from");
  return std::move(artifact->model);
}
