//===- Storage.h - how a tensor lies in memory --------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace nibble {

/// Bytes that a tensor's elements take: 4-bit codes packed in blocks of 32 (Numerics/Packing.h), masks a bit an element in
/// blocks of 32, a rank-0 flag one byte, everything else its width. No padding to whole vectors.
int64_t storageBytes(mlir::RankedTensorType type);

/// The memref of such a buffer: packed types as bytes, others with their shape (PlanOps.td).
mlir::MemRefType storageType(mlir::RankedTensorType type);

/// The value whose place this one shares: behind any number of `nn.reshape` and `train.save`.
mlir::Value viewRoot(mlir::Value value);

} // namespace nibble
