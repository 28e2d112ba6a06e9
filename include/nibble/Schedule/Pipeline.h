//===- Pipeline.h - room 4 as a paragraph -------------------------*- C++ -*-===//
#pragma once

namespace mlir {
class OpPassManager;
}

namespace nibble {

/// Quantized graph to planned graph. Needs the scratch interface of the code generator that follows to be attached.
void buildSchedulePipeline(mlir::OpPassManager &passes);
/// `nibble-schedule-pipeline` for nibble-opt.
void registerSchedulePipeline();

} // namespace nibble
