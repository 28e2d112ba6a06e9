//===- Pipeline.cpp - room 6 as a paragraph -------------------------------------===//
#include "nibble/Target/Pipeline.h"

#include "nibble/Target/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace nibble;

void nibble::buildTargetPipeline(OpPassManager &manager, const TargetPipelineOptions &options) {
  // The state is the caller's; only code goes on.
  manager.addPass(createStripState());
  // Equal addresses and constants meet while loops are still loops.
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  // Threads first: afterwards the loops are blocks and branches, and nobody can tell which was parallel.
  AssignThreadsOptions assign;
  assign.threads = options.threads;
  assign.leastWork = options.leastWork;
  manager.addPass(createAssignThreads(assign));
  if (options.threads > 1) {
    manager.addPass(createConvertSCFToOpenMPPass());
    // It wraps each body in an allocation scope, which may hold one block only.
    manager.addPass(createInlineAllocationScopes());
  }
  // While a function's arguments are still those of its type.
  manager.addPass(createTakeThreads());
  // Multi-dimensional transfers become loops or single vectors before loops disappear.
  manager.addPass(createConvertVectorToSCFPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  // Strides and offsets as arithmetic, which the address patterns need.
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(arith::createArithExpandOpsPass());
  // Dialect by dialect. No pass here may reassociate: vector reductions keep their order.
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  // Buffers have static shapes: an entry point takes plain pointers, as C would.
  ConvertFuncToLLVMPassOptions function;
  function.useBarePtrCallConv = true;
  manager.addPass(createConvertFuncToLLVMPass(function));
  manager.addPass(createConvertControlFlowToLLVMPass());
  if (options.threads > 1)
    manager.addPass(createConvertOpenMPToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addNestedPass<LLVM::LLVMFuncOp>(createCanonicalizerPass());
  manager.addNestedPass<LLVM::LLVMFuncOp>(createCSEPass());
  // What is left goes to LLVM.
  manager.addPass(createVerifyTarget());
}

void nibble::registerTargetPipeline() {
  registerTargetPasses();
  PassPipelineRegistration<TargetPipelineOptions>("nibble-target-pipeline", "Room 6: loops to the LLVM and OpenMP dialects",
                                                  buildTargetPipeline);
}
