//===- Pipeline.cpp - room 4 as a paragraph ----------------------------------===//
#include "nibble/Schedule/Pipeline.h"

#include "nibble/Schedule/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void nibble::buildSchedulePipeline(OpPassManager &passes) {
  // Equal broadcasts and constants of the two functions meet before they are counted.
  passes.addPass(createPrepareSchedule());
  passes.addNestedPass<func::FuncOp>(createCSEPass());
  // While a weight is one value: what groups read of it is the panel.
  passes.addNestedPass<func::FuncOp>(createSharePanels());
  // Groups fix the order, and only an order has lifetimes.
  passes.addNestedPass<func::FuncOp>(createFormGroups());
  passes.addPass(createPlanMemory());
  // Views of one place are one value; the door reads them next.
  passes.addPass(createVerifyPlanned());
}

void nibble::registerSchedulePipeline() {
  PassPipelineRegistration<>("nibble-schedule-pipeline", "Room 4: order, fusion groups, one arena",
                             [](OpPassManager &passes) { buildSchedulePipeline(passes); });
}
