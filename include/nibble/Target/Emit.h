//===- Emit.h - from the LLVM dialect to object bytes ---------------*- C++ -*-===//
//
//   MLIR module ─ translate ─► llvm::Module ─ optimize ─► emitObject ─► bytes    (emitAssembly for people)
//
// The bytes are the artifact: the JIT (Program.h) loads the same ones that a library would be linked from.
//
// Functions of the module that can be seen from outside are entry points. Each becomes a wrapper around its body that sets the
// floating-point environment of numerics.md, section 5 (round to nearest even, denormals kept, exceptions masked) and restores the
// caller's afterwards. Threads of a team take their environment from the thread that forks it (libomp: KMP_INHERIT_FP_CONTROL,
// on by default), so they run in the same one.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Target/Machine.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace nibble {

using ObjectBytes = llvm::SmallVector<char, 0>;

/// LLVM IR of a module in the LLVM and OpenMP dialects, for that machine. Null where it cannot be translated; errors go to the
/// module's context.
std::unique_ptr<llvm::Module> translateToLLVM(mlir::ModuleOp module, const Machine &machine, llvm::LLVMContext &context);

/// LLVM's standard pipeline of that level (0 … 3), without anything that changes what a float operation means.
llvm::Error optimize(llvm::Module &module, const Machine &machine, unsigned level);

/// Object file of the module. The door of room 6: fails where it needs a symbol that is not on the bridge's list
/// (Runtime/Abi.def) and not one of `further`, naming all of them.
llvm::Expected<ObjectBytes> emitObject(llvm::Module &module, const Machine &machine, unsigned level,
                                       llvm::ArrayRef<std::string> further = {});

/// Assembly of the module.
llvm::Expected<std::string> emitAssembly(llvm::Module &module, const Machine &machine, unsigned level);

/// The names that an object file leaves undefined, sorted.
llvm::Expected<std::vector<std::string>> undefinedSymbols(llvm::ArrayRef<char> object);

/// Success, or an error that names every undefined symbol that is neither on the bridge's list nor one of `further`.
llvm::Error checkBridge(llvm::ArrayRef<char> object, llvm::ArrayRef<std::string> further = {});

} // namespace nibble
