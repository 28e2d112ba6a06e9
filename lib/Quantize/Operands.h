//===- Operands.h - what the operands of a product are ----------------*- C++ -*-===//
#pragma once

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Interfaces/Interfaces.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <array>

namespace nibble {

/// X, W and dY of numerics.md, section 1.
enum class OperandRole { Input, Weight, OutputGradient };

/// "input", "weight", "output_gradient".
llvm::StringRef roleName(OperandRole role);

/// The value behind any number of train.save.
mlir::Value throughSaves(mlir::Value value);
/// The same value, through saves, or two reads of one variable.
bool isSameValue(mlir::Value a, mlir::Value b);

/// Roles of left and right.
using OperandRoles = std::array<OperandRole, 2>;

/// The roles of all contractions of a function (nn and q4). Forward: W is the operand that depends
/// on variables alone; where that decides nothing, the right one. Gradients: an operand of the
/// layer's forward product keeps its role, the other one is dY; where that decides nothing, the
/// order of numerics.md (dY·W, X·dY).
llvm::DenseMap<mlir::Operation *, OperandRoles> operandRoles(mlir::func::FuncOp function);

/// The save of a value (equal ones are merged); null where it is not saved.
train::SaveOp saveOf(mlir::Value value);

/// May gradients read this value rounded to bf16? So may element-wise ops and those with
/// `ReadsNarrowed`, but no quantizer and no gradient of the loss.
bool bearsNarrowing(mlir::Value value);

/// The forward ops: those that the forward products, the saved values and the results are computed
/// from.
llvm::DenseSet<mlir::Operation *> forwardPart(mlir::func::FuncOp function);

} // namespace nibble
