//===- Storage.cpp - how a tensor lies in memory -----------------------------===//
#include "nibble/Schedule/Storage.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Numerics/Packing.h"

using namespace mlir;

static bool isPacked(RankedTensorType type) {
  return nibble::q4::storageBits(type.getElementType()) == 4 || type.getElementType().isInteger(1);
}

int64_t nibble::storageBytes(RankedTensorType type) {
  int64_t n = type.getNumElements();
  unsigned bits = q4::storageBits(type.getElementType());
  if (bits == 4)
    return static_cast<int64_t>(numerics::packedBytes(static_cast<size_t>(n)));
  if (bits == 1)
    return type.getRank() == 0 ? 1 : (n + 31) / 32 * 4;
  return n * bits / 8;
}

MemRefType nibble::storageType(RankedTensorType type) {
  auto byte = IntegerType::get(type.getContext(), 8);
  if (isPacked(type))
    return MemRefType::get({storageBytes(type)}, byte);
  Type element = type.getElementType();
  if (isa<q4::Int8Type>(element))
    element = byte;
  if (element.isBF16()) // its bits: all that is done with them is in integers
    element = IntegerType::get(type.getContext(), 16);
  return MemRefType::get(type.getShape(), element);
}

Value nibble::viewRoot(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<nn::ReshapeOp, train::SaveOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}
