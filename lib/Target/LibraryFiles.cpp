//===- LibraryFiles.cpp - archive, linker, files ----------------------------------===//
#include "nibble/Runtime/Abi.h"
#include "nibble/Target/Library.h"

#include "Library/Runtime.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/InterfaceStub/ELFObjHandler.h"
#include "llvm/InterfaceStub/IFSStub.h"
#include "llvm/ObjCopy/CommonConfig.h"
#include "llvm/ObjCopy/ELF/ELFConfig.h"
#include "llvm/ObjCopy/ELF/ELFObjcopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/TargetParser/Host.h"

using namespace nibble;

static std::string join(llvm::StringRef folder, const llvm::Twine &name) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

/// The file appears whole or not at all.
static llvm::Error writeFile(const std::string &path, llvm::StringRef bytes) {
  return llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
    os << bytes;
    return llvm::Error::success();
  });
}

static llvm::StringRef asText(llvm::ArrayRef<char> bytes) { return llvm::StringRef(bytes.data(), bytes.size()); }

//===----------------------------------------------------------------------===//
// The step's names
//===----------------------------------------------------------------------===//

llvm::Expected<ObjectBytes> nibble::renameSteps(llvm::ArrayRef<char> step, llvm::StringRef name) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(asText(step), "step"));
  if (!file)
    return file.takeError();
  auto *elf = llvm::dyn_cast<llvm::object::ELFObjectFileBase>(file->get());
  if (!elf)
    return llvm::createStringError("--emit=lib: an ELF object expected");
  std::string train = library::trainCodeName(name), eval = library::evalCodeName(name);
  llvm::objcopy::CommonConfig config;
  config.SymbolsToRename["train_step"] = train;
  config.SymbolsToRename["eval_step"] = eval;
  llvm::objcopy::ELFConfig elfConfig;
  // Matched by the old names: visibility is set before names are.
  llvm::objcopy::NameMatcher steps;
  for (llvm::StringRef old : {"train_step", "eval_step"})
    if (llvm::Error error = steps.addMatcher(llvm::objcopy::NameOrPattern::create(old, llvm::objcopy::MatchStyle::Literal,
                                                                                  [](llvm::Error error) { return error; })))
      return error;
  elfConfig.SymbolsToSetVisibility.push_back({std::move(steps), llvm::ELF::STV_HIDDEN});
  ObjectBytes bytes;
  llvm::raw_svector_ostream os(bytes);
  if (llvm::Error error = llvm::objcopy::elf::executeObjcopyOnBinary(config, elfConfig, *elf, os))
    return error;
  return bytes;
}

//===----------------------------------------------------------------------===//
// The static library
//===----------------------------------------------------------------------===//

static llvm::Error writeArchive(const std::string &path, const std::string &name, llvm::ArrayRef<char> runtime, llvm::ArrayRef<char> step) {
  std::string runtimeName = name + ".o", stepName = name + ".step.o";
  llvm::NewArchiveMember members[] = {llvm::NewArchiveMember(llvm::MemoryBufferRef(asText(runtime), runtimeName)),
                                      llvm::NewArchiveMember(llvm::MemoryBufferRef(asText(step), stepName))};
  return llvm::writeArchive(path, members, llvm::SymtabWritingMode::NormalSymtab, llvm::object::Archive::K_GNU, /*Deterministic=*/true,
                            /*Thin=*/false);
}

//===----------------------------------------------------------------------===//
// The shared library
//===----------------------------------------------------------------------===//

namespace {

/// A folder that goes away with what was put into it.
class TemporaryFolder {
public:
  static llvm::Expected<std::unique_ptr<TemporaryFolder>> create() {
    auto folder = std::make_unique<TemporaryFolder>();
    if (std::error_code wrong = llvm::sys::fs::createUniqueDirectory("nibble-link", folder->path))
      return llvm::createStringError(wrong, "no temporary folder can be made");
    return std::move(folder);
  }
  ~TemporaryFolder() {
    if (!path.empty())
      llvm::sys::fs::remove_directories(path);
  }
  llvm::Expected<std::string> add(const llvm::Twine &name, llvm::StringRef bytes) {
    std::string file = join(path, name);
    if (llvm::Error error = writeFile(file, bytes))
      return error;
    return file;
  }
  std::string name(const llvm::Twine &name) const { return join(path, name); }

private:
  llvm::SmallString<128> path;
};

/// A linker for that architecture, or an empty string. LLVM's links for all.
std::string findLinker(const llvm::Triple &triple) {
  for (const char *name : {"ld.lld-22", "ld.lld"})
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName(name))
      return *path;
  if (triple.getArch() == llvm::Triple(llvm::sys::getProcessTriple()).getArch())
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName("ld"))
      return *path;
  return "";
}

/// A shared library that has names and no code: what a linker needs to know of libc, libm and libomp. So neither their development
/// packages nor those of another architecture have to be installed.
llvm::Error writeStub(const std::string &path, const std::string &soName, const llvm::Triple &triple, llvm::ArrayRef<std::string> symbols) {
  llvm::ifs::IFSStub stub;
  stub.SoName = soName;
  stub.Target.Arch = triple.isAArch64() ? llvm::ELF::EM_AARCH64 : llvm::ELF::EM_X86_64;
  stub.Target.Endianness = llvm::ifs::IFSEndiannessType::Little;
  stub.Target.BitWidth = llvm::ifs::IFSBitWidthType::IFS64;
  for (const std::string &name : symbols) {
    llvm::ifs::IFSSymbol symbol(name);
    symbol.Type = llvm::ifs::IFSSymbolType::Func;
    stub.Symbols.push_back(std::move(symbol));
  }
  return llvm::ifs::writeBinaryStub(path, stub);
}

class Link {
public:
  Link(const LibraryModel &model, const llvm::Triple &triple, TemporaryFolder &folder) : model(model), triple(triple), folder(folder) {}

  llvm::Error run(const std::string &linker, const std::string &target, llvm::ArrayRef<char> runtime, llvm::ArrayRef<char> step) {
    arguments = {linker, "-shared", "-soname", "lib" + model.name + ".so", "-z", "now", "-z", "noexecstack", "-z", "defs", "--as-needed",
                 "-o", target};
    if (llvm::Error error = addFile("runtime.o", asText(runtime)))
      return error;
    if (llvm::Error error = addFile("step.o", asText(step)))
      return error;
    if (llvm::Error error = addExports())
      return error;
    if (llvm::Error error = addStubs())
      return error;
    std::vector<llvm::StringRef> references(arguments.begin(), arguments.end());
    std::string log = folder.name("log");
    std::optional<llvm::StringRef> redirects[] = {std::nullopt, llvm::StringRef(log), llvm::StringRef(log)};
    std::string why;
    int code = llvm::sys::ExecuteAndWait(linker, references, std::nullopt, redirects, /*SecondsToWait=*/0, /*MemoryLimit=*/0, &why);
    if (code == 0)
      return llvm::Error::success();
    auto said = llvm::MemoryBuffer::getFile(log);
    return llvm::createStringError(linker + " failed: " + (said ? (*said)->getBuffer().rtrim().str() : why));
  }

private:
  llvm::Error addFile(const char *name, llvm::StringRef bytes) {
    llvm::Expected<std::string> path = folder.add(name, bytes);
    if (!path)
      return path.takeError();
    arguments.push_back(*path);
    return llvm::Error::success();
  }

  /// Only the header's functions are seen from outside.
  llvm::Error addExports() {
    std::string script = "{ global:";
    for (const std::string &function : libraryFunctions(model))
      script += " " + function + ";";
    llvm::Expected<std::string> path = folder.add("exports", script + " local: *; };\n");
    if (!path)
      return path.takeError();
    arguments.push_back("--version-script=" + *path);
    return llvm::Error::success();
  }

  llvm::Error addStubs() {
    std::vector<std::string> openmp, math, c;
    for (const runtime::abi::Symbol &symbol : runtime::abi::symbols()) {
      std::string name(symbol.name);
      bool isMemory = llvm::StringRef(name).starts_with("mem");
      (symbol.provider == runtime::abi::Provider::OpenMP ? openmp : isMemory ? c : math).push_back(name);
    }
    for (llvm::StringRef name : library::libcSymbols())
      if (!llvm::is_contained(c, name))
        c.push_back(name.str());
    for (auto &[soName, symbols] : {std::pair{"libomp.so.5", &openmp}, std::pair{"libm.so.6", &math}, std::pair{"libc.so.6", &c}}) {
      if (llvm::Error error = writeStub(folder.name(soName), soName, triple, *symbols))
        return error;
      arguments.push_back(folder.name(soName));
    }
    return llvm::Error::success();
  }

  const LibraryModel &model;
  const llvm::Triple &triple;
  TemporaryFolder &folder;
  std::vector<std::string> arguments;
};

} // namespace

static llvm::Error linkShared(const std::string &path, const LibraryModel &model, const Machine &machine, llvm::ArrayRef<char> runtime,
                              llvm::ArrayRef<char> step) {
  llvm::Triple triple(machine.triple);
  std::string linker = findLinker(triple);
  if (linker.empty())
    return llvm::createStringError("no linker for " + path + " is found: install lld (ld.lld-22), or use the static library, which is complete");
  auto folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  std::string made = path + ".tmp";
  auto clean = llvm::scope_exit([&] { llvm::sys::fs::remove(made); });
  if (llvm::Error error = Link(model, triple, **folder).run(linker, made, runtime, step))
    return error;
  if (std::error_code wrong = llvm::sys::fs::rename(made, path))
    return llvm::createStringError(wrong, path + ": cannot be written: " + wrong.message());
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

llvm::Error nibble::writeLibrary(llvm::StringRef folder, const LibraryModel &model, const Machine &machine, llvm::ArrayRef<char> step) {
  llvm::Expected<ObjectBytes> runtime = emitLibraryRuntime(model, machine);
  if (!runtime)
    return runtime.takeError();
  llvm::Expected<ObjectBytes> renamed = renameSteps(step, model.name);
  if (!renamed)
    return renamed.takeError();
  if (std::error_code wrong = llvm::sys::fs::create_directories(folder, /*IgnoreExisting=*/true, llvm::sys::fs::all_all))
    return llvm::createStringError(wrong, folder + ": the folder cannot be made: " + wrong.message());
  if (llvm::Error error = writeFile(join(folder, model.name + ".h"), libraryHeader(model, machine)))
    return error;
  if (llvm::Error error = writeArchive(join(folder, "lib" + model.name + ".a"), model.name, *runtime, *renamed))
    return error;
  return linkShared(join(folder, "lib" + model.name + ".so"), model, machine, *runtime, *renamed);
}
