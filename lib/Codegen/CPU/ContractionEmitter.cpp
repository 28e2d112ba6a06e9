//===- ContractionEmitter.cpp - code of all products --------------------------===//
#include "nibble/Codegen/CPU/ContractionEmitter.h"

#include "ContractionPlans.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::contraction;

bool nibble::isContraction(Operation *op) { return isa<ContractionOpInterface>(op); }

int64_t nibble::contractionScratchBytes(Operation *op, const CpuTarget &target) {
  FailureOr<Contraction> c = readContraction(op);
  if (failed(c))
    return 0;
  if (c->isFloat())
    return c->isWindow ? planWindowFloat(*c, target).scratch.bytes
                       : planPixelFloat(*c, target).scratch.bytes;
  if (auto plan = planWinograd(*c, target))
    return plan->scratch.bytes;
  return c->isWindow ? planWindowCodes(*c, target).scratch.bytes
                     : planPixelCodes(*c, target).scratch.bytes;
}

/// The whole factor (s_left·s_right)·gain and the zero points.
static void loadScalars(Emit &e, const Contraction &c, ArrayRef<Value> inputs, Buffers &buffers) {
  auto scalar = [&](int number) -> Value {
    return memref::LoadOp::create(e.b, e.loc, inputs[number], ValueRange());
  };
  buffers.scale = arith::MulFOp::create(e.b, e.loc, scalar(c.left.scale), scalar(c.right.scale));
  if (c.gain >= 0)
    buffers.scale = arith::MulFOp::create(e.b, e.loc, buffers.scale, scalar(c.gain));
  auto zeroPoint = [&](const OperandInfo &operand) -> Value {
    if (operand.zeroPoint < 0)
      return {};
    return arith::TruncIOp::create(e.b, e.loc, e.b.getI16Type(), scalar(operand.zeroPoint));
  };
  buffers.leftZero = zeroPoint(c.left);
  buffers.rightZero = zeroPoint(c.right);
}

LogicalResult nibble::emitContraction(Operation *op, ArrayRef<Value> inputs, Value output,
                                      Value scratch, OpBuilder &builder, const CpuTarget &target) {
  FailureOr<Contraction> c = readContraction(op);
  if (failed(c))
    return op->emitOpError() << "room Codegen: no product of " << op->getOperand(0).getType()
                             << " and " << op->getOperand(1).getType()
                             << "; expected f32 or int4, int8 and log codes";
  Emit e{builder, op->getLoc(), target, scratch};
  Buffers buffers;
  buffers.left = inputs[c->left.input];
  buffers.right = inputs[c->right.input];
  buffers.output = output;
  if (c->isFloat()) {
    if (c->isWindow)
      emitWindowFloat(e, *c, planWindowFloat(*c, target), buffers);
    else
      emitPixelFloat(e, planPixelFloat(*c, target), buffers);
    return success();
  }
  loadScalars(e, *c, inputs, buffers);
  if (auto plan = planWinograd(*c, target))
    emitWinograd(e, *c, *plan, buffers);
  else if (c->isWindow)
    emitWindowCodes(e, *c, planWindowCodes(*c, target), buffers);
  else
    emitPixelCodes(e, *c, planPixelCodes(*c, target), buffers);
  return success();
}
