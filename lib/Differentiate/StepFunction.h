//===- StepFunction.h - what train_step and eval_step share ---------*- C++ -*-===//
#pragma once

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Recipe/Recipe.h"
#include "nibble/Recipe/StepOptions.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace nibble {

/// @forward of contract `graph`: one block, one input, one output. Emits an error where it is not
/// so.
mlir::FailureOr<mlir::func::FuncOp> findForward(mlir::ModuleOp module);

/// Parses a pass's option `step`, and settles Loss::FromModel by the module's attribute
/// `nibble.loss`. Emits the error.
mlir::FailureOr<StepOptions> resolveStepOptions(mlir::ModuleOp module, const std::string &text);

/// A new function with a copy of @forward's ops.
struct StepFunction {
  mlir::func::FuncOp function;
  /// Inserts at the end of the function, which has no terminator yet.
  mlir::OpBuilder builder;
  mlir::Value input;
  /// The network's output.
  mlir::Value output;
  /// Variable → its one read.
  llvm::MapVector<mlir::StringAttr, train::ReadOp> reads;

  mlir::Block &block() { return function.getBody().front(); }
  mlir::Value argument(unsigned index) { return block().getArgument(index); }
};

/// Adds @`name` behind @forward: arguments are @forward's input and then `arguments` (name, type);
/// results as given. The ops of
/// @forward are copied; of several reads of a variable one stays.
StepFunction copyForward(mlir::func::FuncOp forward, llvm::StringRef name,
                         llvm::ArrayRef<std::pair<llvm::StringRef, mlir::Type>> arguments,
                         mlir::TypeRange results);

/// Type of the argument that the loss compares with: labels (i32, one a row, or one an element of a
/// sequence) or targets (the output's type).
mlir::Type targetType(Loss loss, mlir::RankedTensorType output);

/// The loss of `output`; with `valid` the sum over the first rows, without label smoothing. For MSE
/// `correct` is the constant 0. Emits an error where the output's shape is not one of rows×classes.
struct LossValues {
  mlir::Value loss, correct;
};
mlir::FailureOr<LossValues> buildLoss(mlir::OpBuilder &builder, mlir::Location loc,
                                      const StepOptions &options, mlir::Value output,
                                      mlir::Value target, mlir::Value valid = {});

/// Replaces the bound of every learned clip by q4.init_clip of it and the clipped value. Emits an
/// error where the module has no recipe to take init and floor from. Returns variable → bound, in
/// order.
using ClipBounds = llvm::MapVector<mlir::StringAttr, mlir::Value>;
mlir::FailureOr<ClipBounds> initializeClips(StepFunction &step);

/// Running statistics as an affine map, right before the op: the values of nn.batch_norm_fold.
nn::BatchNormFoldOp foldBatchNorm(nn::BatchNormOp op);

/// Erases pure ops and reads without a use.
void eraseUnused(mlir::Block &block);

} // namespace nibble
