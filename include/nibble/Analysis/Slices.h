//===- Slices.h - what a value is computed from ----------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Value.h"
#include "llvm/ADT/SetVector.h"

namespace nibble {

/// The ops of the same block that `value` is computed from, in no order. Values in `stop` and what
/// is before them are left out.
llvm::SetVector<mlir::Operation *> backwardOps(mlir::Value value,
                                               llvm::ArrayRef<mlir::Value> stop = {});
/// The ops of the same block that use `value`, directly or not.
llvm::SetVector<mlir::Operation *> forwardOps(mlir::Value value);
/// Does the value depend on an argument of its block?
bool dependsOnArgument(mlir::Value value);
/// Does it depend on a variable and on no argument?
bool isWeight(mlir::Value value);
/// Is it an argument of the network, or computed from arguments and constants alone (pixels,
/// perhaps scaled)? Such a value is data: it gets a range, not a learned clip (numerics.md, section
/// 1, `minmax`).
bool isNetworkInput(mlir::Value value);

} // namespace nibble
