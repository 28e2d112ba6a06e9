//===- Pipeline.h - room 6 as one pipeline ---------------------------*- C++ -*-===//
#pragma once

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace nibble {

/// Options of the named pipeline `nibble-target-pipeline`.
struct TargetPipelineOptions : public mlir::PassPipelineOptions<TargetPipelineOptions> {
  Option<unsigned> threads{*this, "threads", llvm::cl::desc("1: no threads; more: parallel loops run on a team, whose size is an argument"),
                           llvm::cl::init(1)};
  Option<int64_t> leastWork{*this, "least-work", llvm::cl::desc("Operations below which a loop is not worth a team"),
                            llvm::cl::init(40000)};
};

/// Room 6, its part in MLIR: `loops` in, LLVM dialect (and `omp`) out. Runs on a module.
void buildTargetPipeline(mlir::OpPassManager &manager, const TargetPipelineOptions &options);

/// The passes of this room and `nibble-target-pipeline`.
void registerTargetPipeline();

} // namespace nibble
