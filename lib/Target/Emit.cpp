//===- Emit.cpp - optimization, object bytes, the bridge's door -----------------===//
#include "nibble/Target/Emit.h"

#include "nibble/Runtime/Abi.h"

#include "llvm/IR/LegacyPassManager.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"

using namespace nibble;

llvm::Error nibble::optimize(llvm::Module &module, const Machine &machine, unsigned level) {
  std::unique_ptr<llvm::TargetMachine> target = machine.targetMachine(level);
  llvm::PipelineTuningOptions tuning;
  // Loops are vectorized by their own generator; these two passes would only cost time.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(target.get(), tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);

  static const llvm::OptimizationLevel levels[] = {llvm::OptimizationLevel::O0, llvm::OptimizationLevel::O1,
                                                   llvm::OptimizationLevel::O2, llvm::OptimizationLevel::O3};
  llvm::ModulePassManager passes = level == 0 ? builder.buildO0DefaultPipeline(levels[0])
                                              : builder.buildPerModuleDefaultPipeline(levels[std::min(level, 3u)]);
  passes.run(module, modules);
  return llvm::Error::success();
}

/// Runs LLVM's code generator; what it writes ends in `bytes`.
static llvm::Error runCodeGenerator(llvm::Module &module, const Machine &machine, unsigned level, llvm::CodeGenFileType type,
                                    ObjectBytes &bytes) {
  std::unique_ptr<llvm::TargetMachine> target = machine.targetMachine(level);
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager passes;
  if (target->addPassesToEmitFile(passes, os, nullptr, type))
    return llvm::createStringError("room Target: LLVM cannot write this kind of file for " + machine.triple);
  passes.run(module);
  return llvm::Error::success();
}

llvm::Expected<ObjectBytes> nibble::emitObject(llvm::Module &module, const Machine &machine, unsigned level,
                                               llvm::ArrayRef<std::string> further) {
  ObjectBytes bytes;
  if (llvm::Error error = runCodeGenerator(module, machine, level, llvm::CodeGenFileType::ObjectFile, bytes))
    return error;
  if (llvm::Error error = checkBridge(bytes, further))
    return error;
  return bytes;
}

llvm::Expected<std::string> nibble::emitAssembly(llvm::Module &module, const Machine &machine, unsigned level) {
  ObjectBytes bytes;
  if (llvm::Error error = runCodeGenerator(module, machine, level, llvm::CodeGenFileType::AssemblyFile, bytes))
    return error;
  return std::string(bytes.begin(), bytes.end());
}

llvm::Expected<std::vector<std::string>> nibble::undefinedSymbols(llvm::ArrayRef<char> object) {
  llvm::MemoryBufferRef buffer(llvm::StringRef(object.data(), object.size()), "object");
  auto file = llvm::object::ObjectFile::createObjectFile(buffer);
  if (!file)
    return file.takeError();
  std::vector<std::string> names;
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    // The linker makes the offset table.
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() && *name != "_GLOBAL_OFFSET_TABLE_")
      names.push_back(name->str());
  }
  llvm::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

llvm::Error nibble::checkBridge(llvm::ArrayRef<char> object, llvm::ArrayRef<std::string> further) {
  llvm::Expected<std::vector<std::string>> names = undefinedSymbols(object);
  if (!names)
    return names.takeError();
  std::string foreign;
  for (const std::string &name : *names)
    if (!runtime::abi::isBridgeSymbol(name) && !llvm::is_contained(further, name))
      foreign += (foreign.empty() ? "'" : ", '") + name + "'";
  if (foreign.empty())
    return llvm::Error::success();
  return llvm::createStringError("room Target: the object calls " + foreign +
                                 ", expected only symbols of the bridge (Runtime/Abi.def)");
}
