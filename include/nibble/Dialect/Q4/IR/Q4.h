//===- Q4.h - the q4 dialect: four-bit numbers --------------------*- C++ -*-===//
#pragma once

#include "nibble/Dialect/NN/IR/NN.h"

#include "nibble/Dialect/Q4/IR/Q4Dialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "nibble/Dialect/Q4/IR/Q4Types.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/Q4/IR/Q4Ops.h.inc"

namespace nibble::q4 {

/// Bits that an element of this type takes in memory: 4 for q4's four-bit types, 8 for int8, 1 for i1 (bit masks), else the
/// width of the builtin type.
unsigned storageBits(mlir::Type elementType);
/// Largest |code − zero point| that a product can see: int4 15 with a zero point, else 8; int8 127; log<4> 4096; log<2> 64; e2m1 12 (codes ×2).
int64_t largestMagnitude(mlir::Type elementType, bool hasZeroPoint);

} // namespace nibble::q4
