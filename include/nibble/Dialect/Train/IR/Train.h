//===- Train.h - the train dialect: state and steps ---------------*- C++ -*-===//
#pragma once

#include "mlir/IR/SymbolTable.h"

#include "nibble/Dialect/NN/IR/NN.h"

#include "nibble/Dialect/Train/IR/TrainDialect.h.inc"
#include "nibble/Dialect/Train/IR/TrainEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "nibble/Dialect/Train/IR/TrainAttrs.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/Train/IR/TrainOps.h.inc"
