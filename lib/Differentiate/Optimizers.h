//===- Optimizers.h - from a gradient to the new parameter ----------*- C++ -*-===//
#pragma once

#include "StepFunction.h"

namespace nibble {

/// Builds optimizer ops (numerics.md, section 5). One rate a step, made on first use and shared.
class OptimizerBuilder {
public:
  OptimizerBuilder(StepFunction &step, const StepOptions &options, mlir::Value lr,
                   mlir::Value stepNumber)
      : step(step), options(options), lr(lr), stepNumber(stepNumber) {}

  /// θ's new value. `l2` goes into the gradient (g += l2·θ) with every optimizer; `decays` says
  /// that weight decay applies. Makes the variable's moments (@name.velocity, or @name.m and
  /// @name.v, role moment) and remembers their new values.
  mlir::Value update(train::VariableOp variable, mlir::Value theta, mlir::Value gradient, double l2,
                     bool decays);

  /// (variable, new value) of the moments, in the order made.
  llvm::ArrayRef<std::pair<mlir::StringAttr, mlir::Value>> moments() const { return newMoments; }

private:
  mlir::Value rate();
  mlir::Value decayRate();
  /// A new moment variable behind the last one, and its read.
  std::pair<mlir::StringAttr, mlir::Value> moment(train::VariableOp variable,
                                                  llvm::StringRef suffix);

  StepFunction &step;
  const StepOptions &options;
  mlir::Value lr, stepNumber;
  mlir::Value sharedRate, sharedDecayRate;
  mlir::Operation *lastMoment = nullptr;
  llvm::SmallVector<std::pair<mlir::StringAttr, mlir::Value>> newMoments;
};

} // namespace nibble
