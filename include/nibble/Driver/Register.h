//===- Register.h - every dialect, pass and pipeline of Nibble ----*- C++ -*-===//
#pragma once

namespace mlir {
class DialectRegistry;
}

namespace nibble {

/// Nibble's dialects, the upstream ones that the rooms produce, and all interface implementations
/// that rooms attach.
void registerAllDialects(mlir::DialectRegistry &registry);
/// Every pass and every room's named pipeline (nibble-opt).
void registerAllPasses();
/// `--print-support`: the code's own lists, for docs/support.md (scripts/support-page).
void registerPrintSupport();

} // namespace nibble
