//===- WorkEstimate.h - how long a loop runs, roughly ---------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Operation.h"

#include <cstdint>

namespace nibble {

/// Operations that `op` executes, loops and called functions included: one on scalars counts 1, one
/// on vectors once for every 32 bytes of its widest (a load or store for every 16), a loop its body
/// times its trips (assumed where bounds are not constant). A core does some ten a nanosecond. Good
/// to a small factor; only its order of magnitude is used.
int64_t estimateWork(mlir::Operation *op);

} // namespace nibble
