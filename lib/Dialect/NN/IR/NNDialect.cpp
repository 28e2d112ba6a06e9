//===- NNDialect.cpp - registration of the nn dialect ------------------------===//
#include "nibble/Dialect/NN/IR/NN.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Traits.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "nibble/Dialect/NN/IR/NNDialect.cpp.inc"
#include "nibble/Dialect/NN/IR/NNEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "nibble/Dialect/NN/IR/NNAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/NN/IR/NNOps.cpp.inc"

using namespace mlir;
using namespace nibble;
using namespace nibble::nn;

void NNDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "nibble/Dialect/NN/IR/NNAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/NN/IR/NNOps.cpp.inc"
      >();
}

Operation *NNDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

Type nn::broadcastType(ValueRange values) {
  auto first = cast<RankedTensorType>(values.front().getType());
  SmallVector<int64_t> shape(first.getShape());
  for (Value value : values.drop_front()) {
    SmallVector<int64_t> joined;
    if (!OpTrait::util::getBroadcastedShape(shape, cast<RankedTensorType>(value.getType()).getShape(), joined))
      return first;
    shape = joined;
  }
  return RankedTensorType::get(shape, first.getElementType());
}
