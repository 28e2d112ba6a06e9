//===- Q4Dialect.cpp - registration of the q4 dialect ------------------------===//
#include "nibble/Dialect/Q4/IR/Q4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "nibble/Dialect/Q4/IR/Q4Dialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "nibble/Dialect/Q4/IR/Q4Types.cpp.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/Q4/IR/Q4Ops.cpp.inc"

using namespace mlir;
using namespace nibble::q4;

void Q4Dialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "nibble/Dialect/Q4/IR/Q4Types.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/Q4/IR/Q4Ops.cpp.inc"
      >();
}

LogicalResult LogType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, unsigned radix) {
  if (radix != 2 && radix != 4)
    return emitError() << "!q4.log takes radix 2 or 4, not " << radix;
  return success();
}

unsigned nibble::q4::storageBits(Type elementType) {
  if (isa<Int4Type, LogType, E2M1Type>(elementType))
    return 4;
  return isa<Int8Type>(elementType) ? 8 : elementType.getIntOrFloatBitWidth();
}

int64_t nibble::q4::largestMagnitude(Type elementType, bool hasZeroPoint) {
  if (auto log = dyn_cast<LogType>(elementType))
    return log.getRadix() == 4 ? 4096 : 64;
  if (isa<Int8Type>(elementType))
    return 127;
  if (isa<E2M1Type>(elementType))
    return 12;
  return hasZeroPoint ? 15 : 8;
}
