//===- Pipeline.h - the room Differentiate --------------------------*- C++ -*-===//
//
// From contract `graph` (@forward) to contract `gradient` (@train_step and @eval_step). See
// docs/rooms/differentiate.md.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

#include <string>

namespace nibble {

/// One struct for nibble-opt's command line, C++ and Python. Both options are texts
/// "key=value,key=value": what they may hold is said once, in Recipe/Recipe.h and
/// Recipe/StepOptions.h; `toString` of those structs makes them.
struct DifferentiateOptions : mlir::PassPipelineOptions<DifferentiateOptions> {
  Option<std::string> recipe{
      *this, "recipe", llvm::cl::desc("recipe and what is changed in it: ibm,first-last=float"),
      llvm::cl::init("ibm")};
  Option<std::string> step{*this, "step",
                           llvm::cl::desc("loss and optimizer: optimizer=adamw,weight-decay=0.01"),
                           llvm::cl::init("")};
};

void buildDifferentiatePipeline(mlir::OpPassManager &manager, const DifferentiateOptions &options);

/// The pipeline `nibble-differentiate-pipeline`. The rules are registered by
/// registerDifferentiableModels (Adjoint.h).
void registerDifferentiatePipeline();

} // namespace nibble
