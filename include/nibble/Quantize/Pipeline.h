//===- Pipeline.h - room 3 as one pipeline ---------------------------*- C++ -*-===//
#pragma once

#include "nibble/Recipe/Recipe.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace nibble {

/// Options of the named pipeline `nibble-quantize-pipeline`.
struct QuantizeOptions : public mlir::PassPipelineOptions<QuantizeOptions> {
  Option<std::string> recipe{
      *this, "recipe",
      llvm::cl::desc("The recipe as text (\"ibm,first-last=float\"); empty: the module's attribute "
                     "nibble.recipe"),
      llvm::cl::init("")};
  Option<bool> fidelity{*this, "fidelity",
                        llvm::cl::desc("report gain and noise of each quantized tensor"),
                        llvm::cl::init(false)};
};

/// Room 3: `gradient` in, `quantized` out. Runs on a module.
void buildQuantizePipeline(mlir::OpPassManager &manager, const Recipe &recipe, bool fidelity = false);
/// The same with the recipe as text, resolved when the passes run.
void buildQuantizePipeline(mlir::OpPassManager &manager, const QuantizeOptions &options);

/// The passes of this room and `nibble-quantize-pipeline`.
void registerQuantize();

} // namespace nibble
