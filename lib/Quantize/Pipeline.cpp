//===- Pipeline.cpp - room 3 as one pipeline -----------------------------------===//
#include "nibble/Quantize/Pipeline.h"

#include "nibble/Quantize/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace nibble;

void nibble::buildQuantizePipeline(OpPassManager &manager, const QuantizeOptions &options) {
  // First, plainly: each product gets its own quantizers. Everything after it only merges, watches
  // and checks.
  manager.addPass(createInsertQuantizers({options.recipe}));
  OpPassManager &functions = manager.nest<func::FuncOp>();
  // Equal quantizers of one value are one before sharing looks at them, so that it moves each once.
  functions.addPass(createCSEPass());
  // Now what the backward part computes from saved values can be recognized as the forward part's
  // own codes …
  functions.addPass(createShareCodes());
  // … and merged with them. The saves of real values that sharing made idle go here too.
  functions.addPass(createFoldQuantizers());
  functions.addPass(createCanonicalizerPass());
  functions.addPass(createCSEPass());
  // Each value has its one quantizer: windows that skip pixels get codes of the others only, …
  functions.addPass(createThinWindows());
  // … and it is known which values are kept anyway, from which others follow.
  functions.addPass(createDropResiduals());
  functions.addPass(createFoldQuantizers());
  functions.addPass(createCSEPass());
  // After merging: one flag and one report a tensor, not one a product. Flags first: they may look
  // at the maxima that quantizers use, and reports never make new ones.
  functions.addPass(createInsertFlags());
  functions.addPass(createInsertReports({options.fidelity}));
  // Now it is known which real values are kept. After flags and reports, which look at the values
  // themselves.
  manager.addPass(createNarrowResiduals({options.recipe}));
  // Whatever writes state is there now, and learns when an update ends.
  manager.addPass(createAccumulateMicroBatches());
  // The door, last.
  manager.addPass(createVerifyQuantized({options.recipe}));
}

void nibble::buildQuantizePipeline(OpPassManager &manager, const Recipe &recipe, bool fidelity) {
  QuantizeOptions options;
  options.fidelity = fidelity;
  options.recipe = toString(recipe);
  buildQuantizePipeline(manager, options);
}

void nibble::registerQuantize() {
  registerQuantizePasses();
  PassPipelineRegistration<QuantizeOptions>(
      "nibble-quantize-pipeline",
      "Room 3, Quantize: codes, scales and their state, from a gradient graph",
      [](OpPassManager &manager, const QuantizeOptions &options) {
        buildQuantizePipeline(manager, options);
      });
}
