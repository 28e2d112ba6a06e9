//===- GradientFunction.h - the gradient of a function alone --------*- C++ -*-===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace nibble {

/// Adds @<name>_gradient behind a function of one block: (the function's arguments, one gradient
/// for each f32 result) → one gradient for each argument whose index is in `differentiable`, in
/// that order. It repeats the forward ops that it needs. No variables, batch normalization or
/// dropout: that is a step's business. Used to check rules op by op.
mlir::FailureOr<mlir::func::FuncOp> buildGradientFunction(mlir::func::FuncOp forward,
                                                          llvm::ArrayRef<unsigned> differentiable);

} // namespace nibble
