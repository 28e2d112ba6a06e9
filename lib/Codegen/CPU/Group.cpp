//===- Group.cpp - what the emitter of an op works with -----------------------===//
#include "Group.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Train/IR/Train.h"

using namespace nibble::codegen;
namespace nn = nibble::nn;
namespace plan = nibble::plan;
namespace q4 = nibble::q4;
namespace train = nibble::train;

Value nibble::codegen::sourceOf(Value v) {
  while (Operation *op = v.getDefiningOp()) {
    if (!isa<nn::ReshapeOp, train::SaveOp>(op))
      break;
    v = op->getOperand(0);
  }
  return v;
}

int64_t nibble::codegen::totalBytes(ArrayRef<int64_t> parts) {
  int64_t bytes = 0;
  for (int64_t part : parts)
    bytes += llvm::alignTo(part, 128);
  return bytes;
}

LogicalResult Group::prepare() {
  Block &body = op.getBody().front();
  for (auto [memref, argument] : llvm::zip(op.getInputs(), body.getArguments())) {
    auto type = cast<RankedTensorType>(argument.getType());
    Value view = flatView(e, op, memref, type);
    if (!view)
      return failure();
    inputs[argument] = {view, nullptr, type, nullptr};
  }
  auto yield = cast<plan::YieldOp>(body.getTerminator());
  for (auto [memref, value] : llvm::zip(op.getOutputs(), yield.getValues())) {
    auto type = cast<RankedTensorType>(value.getType());
    Value view = flatView(e, op, memref, type);
    if (!view)
      return failure();
    yields.emplace_back(sourceOf(value), Buffer{view, nullptr, type, nullptr});
    outputs.try_emplace(yields.back().first, yields.back().second);
  }
  int64_t needed = totalBytes(parts);
  int64_t given =
      op.getScratch() ? cast<MemRefType>(op.getScratch().getType()).getNumElements() : 0;
  if (given < needed)
    return op.emitOpError() << "has " << given << " bytes of scratch, its code needs " << needed;
  return success();
}

Buffer Group::in(Value operand) const {
  auto type = cast<RankedTensorType>(operand.getType());
  Value source = sourceOf(operand);
  if (auto widen = source.getDefiningOp<q4::WidenOp>()) { // read as bf16
    source = sourceOf(widen.getX());
    type = RankedTensorType::get(type.getShape(), widen.getX().getType().getElementType());
  }
  auto it = inputs.find(source);
  if (it != inputs.end())
    return {it->second.memory, nullptr, type, it->second.begin};
  DenseElementsAttr constant;
  if (matchPattern(source, m_Constant(&constant)) && constant.isSplat())
    return {nullptr, constant.getSplatValue<TypedAttr>(), type, nullptr};
  return {nullptr, nullptr, type, nullptr};
}

Buffer Group::out(Value result) const {
  auto type = cast<RankedTensorType>(result.getType());
  auto it = outputs.find(result);
  return {it == outputs.end() ? Value() : it->second.memory, nullptr, type, nullptr};
}

Value Group::scratchAt(unsigned index, int64_t byte, Type type, int64_t count) const {
  int64_t offset = totalBytes(ArrayRef(parts).take_front(index)) + byte;
  plan::GroupOp self = op;
  return memref::ViewOp::create(e.b, e.loc, MemRefType::get({count}, type), self.getScratch(),
                                e.index(offset), ValueRange());
}
