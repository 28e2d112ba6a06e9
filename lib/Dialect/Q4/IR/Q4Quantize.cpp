//===- Q4Quantize.cpp - verifiers of conversions -----------------------------===//
#include "nibble/Dialect/Q4/IR/Q4.h"

using namespace mlir;
using namespace nibble::q4;

static ArrayRef<int64_t> shape(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }
static Type element(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

LogicalResult QuantizeOp::verify() {
  if (shape(getX()) != shape(getCodes()) || (getNoise() && shape(getNoise()) != shape(getX())))
    return emitOpError("value, codes and noise have different shapes");
  bool wide = isa<Int8Type>(element(getCodes()));
  int32_t low = wide ? -127 : -8, high = wide ? 127 : 7;
  if (getQmin() < low || getQmax() > high || getQmin() >= getQmax())
    return emitOpError() << "codes of " << element(getCodes()) << " lie in [" << low << ", " << high << "], asked for ["
                         << getQmin() << ", " << getQmax() << "]";
  if (wide && getZeroPoint())
    return emitOpError("int8 codes are symmetric: no zero point");
  return success();
}
LogicalResult QuantizeLogOp::verify() {
  if (shape(getX()) != shape(getCodes()) || (getNoise() && shape(getNoise()) != shape(getX())))
    return emitOpError("value, codes and noise have different shapes");
  unsigned radix = cast<LogType>(element(getCodes())).getRadix();
  if ((radix == 2) != static_cast<bool>(getNoise()))
    return emitOpError() << "radix " << radix << (radix == 2 ? " rounds stochastically and takes noise" : " rounds to nearest and takes no noise");
  return success();
}
LogicalResult DequantizeOp::verify() {
  if (shape(getCodes()) != shape(getResult()))
    return emitOpError("codes and result have different shapes");
  if (getZeroPoint() && !isa<Int4Type>(element(getCodes())))
    return emitOpError() << element(getCodes()) << " has no zero point";
  return success();
}
LogicalResult NarrowOp::verify() {
  if (shape(getX()) != shape(getResult()))
    return emitOpError("value and copy have different shapes");
  return success();
}
LogicalResult WidenOp::verify() {
  if (shape(getX()) != shape(getResult()))
    return emitOpError("copy and result have different shapes");
  return success();
}
