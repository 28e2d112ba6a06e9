//===- TakeThreads.cpp - the size of the team is an argument --------------------===//
#include "nibble/Target/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "llvm/ADT/SetVector.h"

namespace nibble {
#define GEN_PASS_DEF_TAKETHREADS
#include "nibble/Target/Passes.h.inc"
} // namespace nibble

using namespace mlir;

/// Functions that fork, themselves or through what they call.
static llvm::SetVector<func::FuncOp> forkingFunctions(ModuleOp module) {
  llvm::SetVector<func::FuncOp> forking;
  module.walk([&](omp::ParallelOp op) { forking.insert(op->getParentOfType<func::FuncOp>()); });
  for (bool grown = true; grown;) {
    grown = false;
    module.walk([&](func::CallOp call) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      if (forking.contains(callee))
        grown |= forking.insert(call->getParentOfType<func::FuncOp>());
    });
  }
  return forking;
}

namespace {
struct TakeThreadsPass : nibble::impl::TakeThreadsBase<TakeThreadsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto i32 = IntegerType::get(&getContext(), 32);
    llvm::SetVector<func::FuncOp> forking = forkingFunctions(module);
    for (auto function : module.getOps<func::FuncOp>()) {
      bool isEntry = function.isPublic() && !function.isExternal();
      if (isEntry || forking.contains(function))
        if (failed(function.insertArgument(function.getNumArguments(), i32, {}, function.getLoc())))
          return signalPassFailure();
    }
    for (func::FuncOp function : forking) {
      Value threads = function.getArguments().back();
      function.walk([&](omp::ParallelOp op) { op.getNumThreadsMutable().assign(threads); });
      function.walk([&](func::CallOp call) {
        auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
        if (forking.contains(callee))
          call.getOperandsMutable().append(threads);
      });
    }
  }
};
} // namespace
