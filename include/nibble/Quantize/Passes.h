//===- Passes.h - passes of room 3 ----------------------------------*- C++ -*-===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"

namespace nibble {

#define GEN_PASS_DECL
#include "nibble/Quantize/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "nibble/Quantize/Passes.h.inc"

} // namespace nibble
