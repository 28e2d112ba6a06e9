//===- State.h - what quantizers remember from step to step -----------*- C++ -*-===//
#pragma once

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Recipe/Recipe.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <string>

namespace nibble {

/// The recipe that `text` spells out; where it is empty that of the module's attribute
/// `nibble.recipe`. Emits what is wrong with the text.
mlir::FailureOr<Recipe> resolveRecipe(mlir::ModuleOp module, llvm::StringRef text);

/// Rank-0 f32 variables LAYER.SUFFIX of ranges and gradient scales, made when they are first asked
/// for; the same for
/// @train_step and @eval_step.
class State {
public:
  explicit State(mlir::ModuleOp module) : module(module) {}
  /// The variable's symbol. `initial` 0 stands for "unset".
  mlir::FlatSymbolRefAttr variable(llvm::StringRef layer, llvm::StringRef suffix, train::Role role,
                                   float initial = 0);

private:
  mlir::ModuleOp module;
  std::map<std::string, mlir::FlatSymbolRefAttr> symbols;
};

mlir::Value readVariable(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::FlatSymbolRefAttr symbol);
/// A write at the end of the function, after the guard; nothing where the function writes the
/// variable already.
void writeVariable(mlir::func::FuncOp function, mlir::FlatSymbolRefAttr symbol, mlir::Value value);

} // namespace nibble
