//===- Passes.h - passes of room 4 --------------------------------*- C++ -*-===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Train/IR/Train.h"

namespace nibble {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble
