//===- Pipeline.cpp - the room Differentiate, in order ---------------------------===//
#include "nibble/Differentiate/Pipeline.h"

#include "nibble/Differentiate/Passes.h"

#include "mlir/Pass/PassRegistry.h"

using namespace nibble;

void nibble::buildDifferentiatePipeline(mlir::OpPassManager &manager,
                                        const DifferentiateOptions &options) {
  // First, because the clips depend on what is 4-bit, and because gradients take the layer's
  // precision over.
  manager.addPass(createAssignPrecision({options.recipe}));
  // Before differentiation: a clip is a real-number op, and its gradient is then ordinary.
  manager.addPass(createInsertClips());
  // Both steps come from the one forward graph; the second one consumes it.
  manager.addPass(createBuildTrainStep({options.step}));
  manager.addPass(createBuildEvalStep({options.step}));
  // While the sums that reverse mode made are still sums: Quantize then codes a sequence's gradient once.
  manager.addPass(createCombineGradients());
  // The door, with code that did not do the work.
  manager.addPass(createVerifyGradient());
}

void nibble::registerDifferentiatePipeline() {
  mlir::PassPipelineRegistration<DifferentiateOptions>(
      "nibble-differentiate-pipeline", "Room Differentiate: @forward to @train_step and @eval_step",
      buildDifferentiatePipeline);
}
