//===- WorkEstimate.h - how long a loop runs, roughly ---------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Operation.h"

#include <cstdint>

namespace nibble {

/// Operations that `op` executes, loops and called functions included: an operation counts 1
/// whatever its width, a loop its body times its trips (assumed where bounds are not constant).
/// Good to a small factor; only its order of magnitude is used.
int64_t estimateWork(mlir::Operation *op);

} // namespace nibble
