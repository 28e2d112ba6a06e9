//===- Compile.h - from loops as text to a program -----------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Register.h"
#include "nibble/Target/Pipeline.h"
#include "nibble/Target/Program.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

namespace nibble::test {

/// Runs room 6 on text; the object, or what went wrong. `name` is a processor (Machine::create).
inline llvm::Expected<ObjectBytes> compileLoops(llvm::StringRef text, unsigned threads, llvm::StringRef name = "native") {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  std::string errors;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) { errors += diagnostic.str() + "\n"; });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return llvm::createStringError(errors);
  mlir::PassManager manager(&context);
  TargetPipelineOptions options;
  options.threads = threads;
  options.leastWork = 1; // threads wherever the text asks for them
  buildTargetPipeline(manager, options);
  if (mlir::failed(manager.run(*module)))
    return llvm::createStringError(errors);
  llvm::Expected<Machine> machine = Machine::create(name);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule = translateToLLVM(*module, *machine, llvmContext);
  if (!llvmModule)
    return llvm::createStringError(errors);
  if (llvm::Error error = optimize(*llvmModule, *machine, 2))
    return error;
  return emitObject(*llvmModule, *machine, 2);
}

inline std::unique_ptr<Program> load(llvm::StringRef text, unsigned threads, llvm::StringRef name = "native") {
  llvm::Expected<ObjectBytes> object = compileLoops(text, threads, name);
  if (!object) {
    ADD_FAILURE() << llvm::toString(object.takeError());
    return nullptr;
  }
  llvm::Expected<std::unique_ptr<Program>> program = Program::load(*object);
  if (!program) {
    ADD_FAILURE() << llvm::toString(program.takeError());
    return nullptr;
  }
  return std::move(*program);
}

} // namespace nibble::test
