//===- NonNegative.h - values that cannot be below zero -------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Value.h"

namespace nibble {

/// Is every element provably ≥ 0 (or NaN), whatever the inputs and variables are? Follows relu,
/// sigmoid, softmax, exp, abs, sqrt, clips with lo ≥ 0, sums, products, maxima, pools and moves of
/// such values, and constants. A value with a one-sided range gets a one-sided clip (numerics.md,
/// section 1). The walk is bounded; where it gives up the answer is no.
bool isNonNegative(mlir::Value value);

} // namespace nibble
