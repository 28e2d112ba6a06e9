//===- Plan.h - the plan dialect: groups of ops on buffers --------*- C++ -*-===//
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "nibble/Dialect/Plan/IR/PlanDialect.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/Plan/IR/PlanOps.h.inc"
