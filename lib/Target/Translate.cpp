//===- Translate.cpp - from the LLVM dialect to LLVM IR -------------------------===//
#include "nibble/Target/Emit.h"

#include "EntryPoints.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Verifier.h"

using namespace nibble;

/// `llvm.fmuladd` leaves it to the target whether the product is rounded; an operation of ours never does. What MLIR lowers to it
/// (vector.fma, vector.contract) means one rounding.
static void fuseAlways(llvm::Module &module) {
  llvm::SmallVector<llvm::IntrinsicInst *> calls;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction))
        if (call->getIntrinsicID() == llvm::Intrinsic::fmuladd)
          calls.push_back(call);
  for (llvm::IntrinsicInst *call : calls)
    call->setCalledFunction(llvm::Intrinsic::getOrInsertDeclaration(&module, llvm::Intrinsic::fma, {call->getType()}));
}

/// Nothing here throws or unwinds: no tables for it in the object.
static void forbidUnwinding(llvm::Module &module) {
  for (llvm::Function &function : module)
    if (!function.isDeclaration()) {
      function.setDoesNotThrow();
      function.removeFnAttr(llvm::Attribute::UWTable);
    }
}

std::unique_ptr<llvm::Module> nibble::translateToLLVM(mlir::ModuleOp module, const Machine &machine, llvm::LLVMContext &context) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerOpenMPDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);

  std::unique_ptr<llvm::Module> result = mlir::translateModuleToLLVMIR(module, context, "nibble");
  if (!result)
    return nullptr;
  result->setTargetTriple(llvm::Triple(machine.triple));
  result->setDataLayout(machine.targetMachine(0)->createDataLayout());
  // Functions that only this module calls must not become entry points.
  for (auto function : module.getOps<mlir::LLVM::LLVMFuncOp>())
    if (function.isPrivate() && !function.isExternal())
      result->getFunction(function.getName())->setLinkage(llvm::GlobalValue::InternalLinkage);
  fuseAlways(*result);
  wrapEntryPoints(*result);
  forbidUnwinding(*result);
  std::string wrong;
  llvm::raw_string_ostream os(wrong);
  if (llvm::verifyModule(*result, &os)) {
    module.emitError("room Target: LLVM does not accept the translated module: ") << os.str();
    return nullptr;
  }
  return result;
}
