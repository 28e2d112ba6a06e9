//===- VerifyTarget.cpp - the door into LLVM ------------------------------------===//
#include "nibble/Target/Passes.h"

#include "nibble/Runtime/Abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"

namespace nibble {
#define GEN_PASS_DEF_VERIFYTARGET
#include "nibble/Target/Passes.h.inc"
} // namespace nibble

using namespace mlir;

namespace {
struct VerifyTargetPass : nibble::impl::VerifyTargetBase<VerifyTargetPass> {
  void runOnOperation() override {
    bool good = true;
    getOperation().walk([&](Operation *op) {
      if (isa<ModuleOp>(op))
        return;
      if (!isa<LLVM::LLVMDialect, omp::OpenMPDialect>(op->getDialect())) {
        op->emitError("room Target: '") << op->getName() << "' is left, expected only operations of the LLVM and OpenMP dialects";
        good = false;
      }
      auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
      if (function && function.isExternal() && !function.getName().starts_with("llvm.") &&
          !nibble::runtime::abi::isBridgeSymbol(std::string_view(function.getName()))) {
        op->emitError("room Target: '") << function.getName() << "' is not a symbol of the bridge (Runtime/Abi.def)";
        good = false;
      }
    });
    if (!good)
      signalPassFailure();
  }
};
} // namespace
