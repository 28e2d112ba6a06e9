//===- ConstantPool.h - one arith.constant for each value of a function -*- C++ -*-===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace nibble::codegen {

/// Hands out constants of a function, each made once, at the start of the entry block: the emitters ask for the same few
/// numbers thousands of times, and no pass has to clean up behind them.
class ConstantPool {
public:
  explicit ConstantPool(mlir::Block *entry) : entry(entry) {}

  mlir::Value get(mlir::OpBuilder &b, mlir::TypedAttr attribute) {
    mlir::Value &value = values[attribute];
    if (!value) {
      mlir::OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(entry);
      value = mlir::arith::ConstantOp::create(b, b.getUnknownLoc(), attribute);
    }
    return value;
  }

private:
  mlir::Block *entry;
  llvm::DenseMap<mlir::Attribute, mlir::Value> values;
};

} // namespace nibble::codegen
