//===- Group.h - what the emitter of an op works with --------------*- C++ -*-===//
#pragma once

#include "Buffers.h"

namespace nibble::codegen {

/// A group that is being turned into code: buffers by the body's values, and scratch.
class Group {
public:
  Group(plan::GroupOp op, OpBuilder &b, ConstantPool &pool, bool hasScalef = false)
      : e(b, op.getLoc(), pool, hasScalef), op(op) {}

  /// Makes the flat views of all buffers.
  LogicalResult prepare();

  /// The buffer of an op's operand: an input, or a constant. nn.reshape, train.save and q4.widen are looked through:
  /// behind the last, the elements are bf16.
  Buffer in(Value operand) const;
  /// The buffer of an op's result; empty where no output takes it.
  Buffer out(Value result) const;
  /// What the group hands back, in order: the source of each yielded value, and its buffer.
  ArrayRef<std::pair<Value, Buffer>> yielded() const { return yields; }

  /// Part `index` of the scratch (see scratchParts in Emitters.h) as `count` elements of `type`.
  Value scratch(unsigned index, Type type, int64_t count) const { return scratchAt(index, 0, type, count); }
  /// The same from a byte of the part on.
  Value scratchAt(unsigned index, int64_t byte, Type type, int64_t count) const;

  LoopBuilder e;
  plan::GroupOp op;
  /// Sizes in bytes of the scratch's parts.
  SmallVector<int64_t> parts;

private:
  llvm::DenseMap<Value, Buffer> inputs, outputs;
  SmallVector<std::pair<Value, Buffer>> yields;
};

/// The value whose elements `v` has: through nn.reshape and train.save.
Value sourceOf(Value v);
/// Bytes of all parts, each padded to 128 bytes.
int64_t totalBytes(ArrayRef<int64_t> parts);

} // namespace nibble::codegen
