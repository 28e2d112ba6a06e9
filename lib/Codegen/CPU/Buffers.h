//===- Buffers.h - the tensors of a group as flat memory -----------*- C++ -*-===//
//
// A buffer holds the tensor's elements in flat order, padded to a multiple of 128 bytes: f32, i32,
// i16, i64, f64 as they are, bf16 as its 16 bits, int8 codes and i8 indices a byte each, 4-bit
// codes and bit masks as Numerics/Packing.h packs one row of all elements.
//
// In registers, a block of 32 elements is vector<32xT> with T =
//   f32, i32, i16, i64, f64   the element type
//
//   i8     int4 and int8: the signed code; log: the nibble 0 … 15; indices as stored
//
//   i16    bf16: its bits
//
//   i1     masks
//
//===----------------------------------------------------------------------===//
#pragma once

#include "LoopBuilder.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"

namespace nibble::codegen {

/// Elements of a tensor in memory: flat memory, or a constant of all elements.
struct Buffer {
  Value memory;    ///< 1-d memref; null for a splat constant, or for a result that nobody wants
  TypedAttr splat; ///< the constant's element
  RankedTensorType type;
  Value begin; ///< the element that the memory begins with; null: the first

  Type element() const { return type.getElementType(); }
  ArrayRef<int64_t> shape() const { return type.getShape(); }
  int64_t count() const { return type.getNumElements(); }
  explicit operator bool() const { return memory || splat; }
};

/// Is the type a code of four bits, stored two to a byte?
bool isPacked(Type element);
/// 4 or 2 for a logarithmic code, else 0.
unsigned logRadix(Type element);
/// The type of an element in a register.
Type registerType(Type element, MLIRContext *context);
/// Bytes of a tensor's buffer, padding included.
int64_t paddedBytes(RankedTensorType type);

/// The flat view of a group's buffer; null, with an error on `op`, where the memref is not dense or
/// not of the tensor's type.
Value flatView(LoopBuilder &e, Operation *op, Value memref, RankedTensorType type);

/// The block of 32 elements at element `at`, a multiple of 32, and back. Lanes past the tensor's
/// end hold anything.
Value loadBlock(LoopBuilder &e, const Buffer &x, Value at);
/// With `streams`, past the caches: of a type whose blocks are whole lines.
void storeBlock(LoopBuilder &e, Value block, const Buffer &y, Value at, bool streams = false);

/// The reals that a vector of bf16's bits stands for.
Value widenBf16(LoopBuilder &e, Value bits);
/// `lanes` reals from element `at` on, of f32 or bf16; with `active` only the first ones are read.
Value loadReals(LoopBuilder &e, const Buffer &x, Value at, int64_t lanes, int64_t active = -1);

/// The one element of a rank-0 (or one-element) tensor: f32, f64, i32, i64, i1 (a flag is bit 0 of
/// its byte).
Value loadScalar(LoopBuilder &e, const Buffer &x, int64_t at = 0);
void storeScalar(LoopBuilder &e, Value value, const Buffer &y, int64_t at = 0);

} // namespace nibble::codegen
