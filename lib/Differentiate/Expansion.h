//===- Expansion.h - batch norm and dropout, spelled out ------------*- C++ -*-===//
//
// Batch normalization and dropout stay whole during reverse mode, so that their gradients are the
// textbook's; each has a companion op, put in front of it, whose values the rule asks for: batch
// statistics (nn.batch_stats), the affine map of running statistics (nn.batch_norm_fold), or the
// mask (nn.keep_mask). Afterwards the op is replaced by what it spells.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "StepFunction.h"

namespace nibble {

class Expansion {
public:
  /// Puts the companions in front of every nn.batch_norm and nn.dropout. `rng` is the argument that
  /// random bits come from. Emits an error where statistics cannot be kept.
  static mlir::FailureOr<Expansion> prepare(StepFunction &step, mlir::Value rng);
  /// Replaces the ops: y = fma(x, a, b); y = mask(x, keep)·1/(1 − ratio).
  void finish();

  using Pair = std::pair<mlir::Operation *, mlir::Operation *>;
  llvm::ArrayRef<Pair> companions() const { return pairs; }
  /// (variable, new value) of running means and variances, in program order.
  llvm::ArrayRef<std::pair<mlir::StringAttr, mlir::Value>> newStatistics() const {
    return statistics;
  }

private:
  mlir::LogicalResult prepareBatchNorm(nn::BatchNormOp op);

  llvm::SmallVector<Pair> pairs;
  llvm::SmallVector<std::pair<mlir::StringAttr, mlir::Value>> statistics;
};

} // namespace nibble
