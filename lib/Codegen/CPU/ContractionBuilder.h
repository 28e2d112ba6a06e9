//===- ContractionBuilder.h - vocabulary of the contraction emitter -*- C++ -*-===//
//
// Short names for the loops, index arithmetic and memory views that all parts of the emitter write,
// and IndexMap, the form in which every operand's addressing is stated.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "nibble/Codegen/CPU/CpuTarget.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace nibble::contraction {

using namespace mlir;

/// A mixed-radix linear map: a flat number is split into digits (levels, outermost first) and each
/// of the map's outputs is base + sum of digit · stride. Row, segment and column addresses of all
/// products are such maps.
struct IndexMap {
  struct Level {
    int64_t size;
    SmallVector<int64_t, 3> strides; // one an output
  };
  SmallVector<int64_t, 3> base;
  SmallVector<Level, 4> levels;

  int64_t count() const;
  /// Adds an inner level; levels of size 1 vanish, and levels that continue one another become one.
  void append(int64_t size, ArrayRef<int64_t> strides);
};

/// Where the parts of a contraction's scratch lie; the same code decides bytes needed and
/// addresses.
struct ScratchLayout {
  int64_t bytes = 0;
  /// Reserves n bytes (128-byte aligned, one vector of slack behind them); returns the offset.
  int64_t reserve(int64_t n);
};

/// Are results of so many bytes, more than caches hold, stored past them? (Whole aligned vectors
/// are, and the task that does so ends with `drainStores`.)
inline bool streamsResults(const CpuTarget &target, int64_t bytes) {
  return target.avx2 && bytes >= (32 << 20);
}

/// The builder with the location, target and scratch of one contraction.
struct Emit {
  OpBuilder &b;
  Location loc;
  const CpuTarget &target;
  Value scratch;
  bool oneThread = false; // `parallel` and `chunks` make plain loops: threads are further out

  Value index(int64_t value);
  Value i64(int64_t value);
  Value toI64(Value index);
  Value toIndex(Value i64);
  Value add(Value x, Value y);
  Value add(Value x, int64_t y);
  Value sub(Value x, Value y);
  Value mul(Value x, int64_t y);
  Value div(Value x, int64_t y);
  Value div(Value x, Value y) { return arith::DivUIOp::create(b, loc, x, y); }
  Value rem(Value x, int64_t y);
  Value ceilDiv(Value x, int64_t y);
  Value min(Value x, Value y);
  Value max(Value x, Value y);
  /// The outputs of `map` at `flat` (an index); only those asked for by `outputs` bits.
  SmallVector<Value> apply(const IndexMap &map, Value flat);

  /// Loops over sizes, with threads where the whole is worth a fork: `nanoseconds` is what it takes
  /// on one core, roughly and at most.
  void parallel(ArrayRef<Value> sizes, int64_t nanoseconds, function_ref<void(ValueRange)> body);
  void loop(Value begin, Value end, int64_t step, function_ref<void(Value)> body);
  void ifThen(Value condition, function_ref<void()> body);
  /// `parallel` over [0, count) in chunks: body(begin, end).
  void chunks(Value count, int64_t chunk, int64_t nanoseconds,
              function_ref<void(Value, Value)> body);

  /// `elements` elements of `type` at a byte offset of the scratch.
  Value view(int64_t byteOffset, int64_t elements, Type type);
  /// A dense memref as a 1-d memref of `elements` (which may reach into its padding).
  Value flat(Value memref, int64_t elements);
  /// The same from element `offset` (an index) on. `flat` and `pointer` of it begin there.
  Value part(Value memref, Value offset, int64_t elements);
  /// The address of a memref's first element, and of element `offset` (an index) behind a pointer.
  Value pointer(Value memref);
  Value at(Value pointer, Value offset, Type element);
  Value load(Type type, Value pointer, unsigned alignment);
  Value intrinsic(StringRef name, Type result, ValueRange operands);
  /// Makes stores past the caches visible to other threads; the end of a task that has any.
  void drainStores();
  /// A vector of that constant.
  Value splat(VectorType type, int64_t value);
  ModuleOp module();
};

} // namespace nibble::contraction
