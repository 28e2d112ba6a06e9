//===- Panel.h - the panel interface ------------------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/OpDefinition.h"

#include "nibble/Interfaces/PanelInterface.h.inc"
