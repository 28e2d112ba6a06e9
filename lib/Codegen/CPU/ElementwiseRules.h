//===- ElementwiseRules.h - one short rule for each element-wise op -*- C++ -*-===//
#pragma once

#include "Buffers.h"

namespace nibble::codegen {

/// What the rule of an op sees: its operands as blocks of 32 elements in registers (Buffers.h says of which type), and rank-0
/// operands also as scalars, outside the loop.
class Rules {
public:
  using F = VectorOps::F;
  using I = VectorOps::I;
  using B = VectorOps::B;

  explicit Rules(LoopBuilder &e) : e(e), o(e.ops(kBlock)) {}

  LoopBuilder &e;
  VectorOps o;
  /// Blocks by the body's values.
  llvm::DenseMap<Value, Value> blocks;
  /// Scalars by the body's values.
  llvm::DenseMap<Value, Value> scalars;
  /// The operation before the loop that hoisted code goes behind.
  Operation *anchor = nullptr;

  Value block(Value operand);
  F real(Value operand) { return {block(operand)}; }
  B mask(Value operand) { return {block(operand)}; }
  /// 16 random bits as 0 … 65535.
  I bits(Value operand);
  /// A code as a whole number: signed (int4, int8), or the nibble (log).
  I code(Value operand);
  Value scalar(Value operand);

  void set(Value result, F value) { blocks[result] = value.v; }
  void set(Value result, B value) { blocks[result] = value.v; }
  /// Keeps the low eight bits.
  void setCode(Value result, I value);

  /// Computes fn with scalars before the loop, and gives the result in every lane.
  template <typename Fn>
  auto hoist(Fn fn) {
    OpBuilder::InsertionGuard guard(e.b);
    if (anchor)
      e.b.setInsertionPointAfter(anchor);
    VectorOps scalarOps = e.scalarOps();
    auto value = o.splat(fn(scalarOps)); // a broadcast: always a new operation, the last one
    if (anchor)
      anchor = value.v.getDefiningOp();
    return value;
  }
};

/// Applies the op's rule; fails with an error where it has none.
LogicalResult applyRule(Operation *op, Rules &rules);

} // namespace nibble::codegen
