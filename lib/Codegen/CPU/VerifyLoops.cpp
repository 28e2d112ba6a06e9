//===- VerifyLoops.cpp - the door of Codegen/CPU ------------------------------===//
#include "nibble/Codegen/CPU/Passes.h"

#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"

namespace nibble {
#define GEN_PASS_DEF_VERIFYLOOPS
#include "nibble/Codegen/CPU/Passes.h.inc"
} // namespace nibble

using namespace mlir;

/// What is wrong with an op of a function, or "".
static StringRef complaint(Operation *op) {
  Dialect *dialect = op->getDialect();
  if (isa_and_nonnull<nibble::nn::NNDialect, nibble::q4::Q4Dialect, nibble::train::TrainDialect, nibble::plan::PlanDialect>(
          dialect))
    return "is left: expected loops";
  if (isa<memref::AllocOp, memref::AllocaOp, memref::ReallocOp, LLVM::AllocaOp>(op))
    return "allocates: expected all memory to come from the plan";
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  if (llvm::any_of(op->getResultTypes(), isTensor) || llvm::any_of(op->getOperandTypes(), isTensor))
    return "works on tensors: expected memrefs and vectors";
  return "";
}

namespace {
struct VerifyLoops : public nibble::impl::VerifyLoopsBase<VerifyLoops> {
  void runOnOperation() override {
    bool ok = true;
    auto check = [&](Operation *op) {
      StringRef text = complaint(op);
      if (text.empty())
        return;
      op->emitError() << "door of Codegen/CPU: '" << op->getName() << "' " << text;
      ok = false;
    };
    for (Operation &top : getOperation().getOps()) {
      if (isa<nibble::train::VariableOp>(top))
        continue;
      top.walk(check);
    }
    if (!ok)
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
