//===- LoopBuilder.h - loops, index arithmetic and vectors in memory -*- C++ -*-===//
//
// What every emitter of this room writes its loops with. Buffers are flat: 1-d memrefs over the padded bytes of a tensor.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "nibble/Codegen/CPU/VectorOps.h"

namespace nibble::codegen {

using namespace mlir;

/// Loops over fewer elements than this stay on one thread: starting threads costs as much as touching them.
inline constexpr int64_t kParallelElements = 16384;
/// Elements of a chunk of a flat parallel loop; a multiple of the flat reduction's block.
inline constexpr int64_t kChunkElements = 16384;
/// Elements of a flat block: whole bytes of masks, whole packed blocks of codes, whole vectors of reals.
inline constexpr int64_t kBlock = 32;

class LoopBuilder {
public:
  LoopBuilder(OpBuilder &b, Location loc, ConstantPool &pool, bool hasScalef = false)
      : b(b), loc(loc), pool(pool), hasScalef(hasScalef) {}

  /// The policy at the current insertion point.
  VectorOps ops(int64_t lanes, bool wide = false) const { return VectorOps(b, loc, pool, lanes, wide, hasScalef); }
  VectorOps scalarOps(bool wide = false) const { return ops(0, wide); }

  Value index(int64_t value) const { return pool.get(b, b.getIndexAttr(value)); }
  Value i32(int64_t value) const { return pool.get(b, b.getI32IntegerAttr(static_cast<int32_t>(value))); }
  Value i64(int64_t value) const { return pool.get(b, b.getI64IntegerAttr(value)); }
  Value f32(float value) const { return pool.get(b, b.getF32FloatAttr(value)); }
  Value f64(double value) const { return pool.get(b, b.getF64FloatAttr(value)); }
  Value splat(VectorType type, TypedAttr value) const;

  // Index arithmetic; constants fold. Division and remainder are of numbers that are not negative.
  Value add(Value x, Value y) const;
  Value add(Value x, int64_t y) const { return y == 0 ? x : add(x, index(y)); }
  Value sub(Value x, Value y) const;
  Value mul(Value x, int64_t y) const;
  Value div(Value x, int64_t y) const;
  Value rem(Value x, int64_t y) const;
  Value min(Value x, Value y) const;
  Value max(Value x, Value y) const;
  Value toI32(Value index) const { return arith::IndexCastOp::create(b, loc, b.getI32Type(), index); }
  Value toIndex(Value integer) const { return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer); }

  /// for iv = lo; iv < hi; iv += step
  void loop(Value lo, Value hi, int64_t step, function_ref<void(Value)> body) const;
  using Carried = function_ref<SmallVector<Value>(Value, ValueRange)>;
  /// The same with values carried from iteration to iteration; returns the last ones.
  SmallVector<Value> loop(Value lo, Value hi, int64_t step, ArrayRef<Value> init, Carried body) const;
  /// body(0) … body(count − 1), on several threads where count · work elements are worth it.
  void parallel(int64_t count, int64_t work, function_ref<void(Value)> body) const;
  /// body(i) for i = 0, step, 2·step … below n, in chunks on several threads where n is large. `step` divides kChunkElements.
  void flat(int64_t n, int64_t step, function_ref<void(Value)> body) const;
  /// body(at, blocks) over all blocks of 32 elements of n: `together` at a time, which divide kChunkElements, as `flat` does; then those that are left.
  void flatBlocks(int64_t n, int64_t together, function_ref<void(Value, int64_t)> body) const;
  /// body(at, blocks, carried) over the blocks of 32 elements in [lo, hi): `together` at a time, then those that are left one by
  /// one. Both ends are multiples of 32; `n`, what the loop's chunks cover in all, tells whether any can be left.
  using Blocks = function_ref<SmallVector<Value>(Value, int64_t, ValueRange)>;
  void blocks(Value lo, Value hi, int64_t n, int64_t together, SmallVector<Value> &carried, Blocks body) const;
  /// body(first, active) for [0, n) in vectors of `width` lanes: a loop over whole ones, then one with n mod width active lanes.
  void vectors(int64_t n, int64_t width, function_ref<void(Value, int64_t)> body) const;
  void ifThen(Value condition, function_ref<void()> body) const;
  /// The values of one of two branches.
  SmallVector<Value> ifElse(Value condition, TypeRange types, function_ref<SmallVector<Value>()> then,
                            function_ref<SmallVector<Value>()> otherwise) const;

  // Vectors of `lanes` elements in flat memory. With `active` < lanes only the first lanes are touched; the rest reads 0.
  Value load(Value memory, Value at, int64_t lanes, int64_t active = -1) const;
  void store(Value vector, Value memory, Value at, int64_t active = -1) const;
  /// Asks for the cache line of an element that will be read.
  void prefetch(Value memory, Value at) const;
  Value loadScalar(Value memory, Value at) const { return memref::LoadOp::create(b, loc, memory, at); }
  void storeScalar(Value value, Value memory, Value at) const { memref::StoreOp::create(b, loc, value, memory, at); }
  /// The first `active` lanes of a constant mask.
  Value activeLanes(int64_t lanes, int64_t active) const;
  Value extract(Value vector, int64_t lane) const { return vector::ExtractOp::create(b, loc, vector, lane); }
  /// Lanes j and j + distance … 1, combined as the flat reduction combines them; returns lane 0.
  Value combineLanes(Value vector) const;
  Value shuffle(Value x, Value y, ArrayRef<int64_t> lanes) const { return vector::ShuffleOp::create(b, loc, x, y, lanes); }

  OpBuilder &b;
  Location loc;
  ConstantPool &pool;
  bool hasScalef; ///< has the target vscalefps, on vectors of 16?
};

} // namespace nibble::codegen
