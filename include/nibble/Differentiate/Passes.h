//===- Passes.h - the passes of the room Differentiate --------------*- C++ -*-===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace nibble {

#define GEN_PASS_DECL
#include "nibble/Differentiate/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "nibble/Differentiate/Passes.h.inc"

} // namespace nibble
