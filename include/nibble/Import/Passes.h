//===- Passes.h - passes of room 1 --------------------------------*- C++ -*-===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace nibble {

#define GEN_PASS_DECL
#include "nibble/Import/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "nibble/Import/Passes.h.inc"

} // namespace nibble
