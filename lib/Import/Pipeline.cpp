//===- Pipeline.cpp - room 1 in order -----------------------------------------===//
#include "nibble/Import/Pipeline.h"
#include "nibble/Import/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void nibble::buildImportPipeline(OpPassManager &manager) {
  // Reads of one weight become one value first, so that the patterns that compare operands see that
  // they are the same.
  manager.addNestedPass<func::FuncOp>(createCSEPass());
  // Layouts next, while every transpose still stands where the importer put it.
  manager.addNestedPass<func::FuncOp>(createSinkTransposes());
  // Sinking leaves reshapes of reshapes and dead transposes behind.
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
  // Norms last, when rows have come to lie along the last dimension.
  manager.addNestedPass<func::FuncOp>(createRecognizeNorms());
  // The door.
  manager.addPass(createVerifyGraph());
}

void nibble::registerImportPipeline() {
  PassPipelineRegistration<>(
      "nibble-import-pipeline",
      "Room 1 after the importer: sink transposes, canonicalize, CSE, recognize norms, verify",
      [](OpPassManager &manager) { buildImportPipeline(manager); });
}
