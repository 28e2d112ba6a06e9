//===- TrainDialect.cpp - registration and verifiers of train ----------------===//
#include "nibble/Dialect/Train/IR/Train.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "nibble/Dialect/Train/IR/TrainDialect.cpp.inc"
#include "nibble/Dialect/Train/IR/TrainEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "nibble/Dialect/Train/IR/TrainAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/Train/IR/TrainOps.cpp.inc"

using namespace mlir;
using namespace nibble::train;

void TrainDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "nibble/Dialect/Train/IR/TrainAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/Train/IR/TrainOps.cpp.inc"
      >();
}

LogicalResult VariableOp::verify() {
  if (auto value = getValue(); value && value->getShapedType() != getType())
    return emitOpError() << "is declared " << getType() << ", its value is " << value->getShapedType();
  if (getTrainable() && !cast<RankedTensorType>(getType()).getElementType().isF32())
    return emitOpError("only f32 variables are trainable");
  return success();
}

/// The variable exists and has the type that is read or written.
static LogicalResult verifyUse(Operation *op, SymbolTableCollection &tables, FlatSymbolRefAttr name, Type type) {
  auto variable = tables.lookupNearestSymbolFrom<VariableOp>(op, name);
  if (!variable)
    return op->emitOpError() << "there is no train.variable " << name;
  if (variable.getType() != type)
    return op->emitOpError() << "variable " << name << " is " << variable.getType() << ", here it is " << type;
  return success();
}
LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyUse(*this, tables, getVariableAttr(), getResult().getType());
}
LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyUse(*this, tables, getVariableAttr(), getValue().getType());
}
