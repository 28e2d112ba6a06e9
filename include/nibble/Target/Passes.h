//===- Passes.h - passes of room 6 ----------------------------------*- C++ -*-===//
#pragma once

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace nibble {

#define GEN_PASS_DECL
#include "nibble/Target/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "nibble/Target/Passes.h.inc"

} // namespace nibble
