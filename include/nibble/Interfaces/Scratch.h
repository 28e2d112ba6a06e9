//===- Scratch.h - the scratch interface --------------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/OpDefinition.h"

#include "nibble/Interfaces/ScratchInterface.h.inc"
