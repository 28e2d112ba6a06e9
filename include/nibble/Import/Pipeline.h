//===- Pipeline.h - room 1 in order -------------------------------*- C++ -*-===//
#pragma once

#include "mlir/Pass/PassManager.h"

namespace nibble {

/// What follows importOnnx: from its module to the graph that leaves the room (door: verify-graph).
void buildImportPipeline(mlir::OpPassManager &manager);

/// Registers it as `nibble-import-pipeline` (the passes: registerImportPasses of Passes.h).
void registerImportPipeline();

} // namespace nibble
