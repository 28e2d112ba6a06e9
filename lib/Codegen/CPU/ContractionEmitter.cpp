//===- ContractionEmitter.cpp - code of all products --------------------------===//
#include "nibble/Codegen/CPU/ContractionEmitter.h"

#include "ContractionPlans.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::contraction;

bool nibble::isContraction(Operation *op) { return isa<ContractionOpInterface>(op); }

/// Scratch of one matrix product, or of a convolution.
static int64_t scratchOfOne(const Contraction &c, const CpuTarget &target) {
  int64_t bytes = 0;
  if (c.isFloat())
    bytes = c.isWindow ? planWindowFloat(c, target).scratch.bytes
                       : planPixelFloat(c, target).scratch.bytes;
  else if (auto plan = planWinograd(c, target))
    bytes = plan->scratch.bytes;
  else if (auto plan = planWinogradPixels(c, target))
    bytes = plan->scratch.bytes;
  else
    bytes = c.isWindow ? planWindowCodes(c, target).scratch.bytes
                       : planPixelCodes(c, target).scratch.bytes;
  return llvm::alignTo(bytes, 128);
}

/// Matrices of a stack are made by several threads. Whole vectors only, since sums are scaled in
/// these, across the end of a matrix.
static bool matricesInParallel(Operation *op, const Contraction &c) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  return c.matrices > 1 && type.getNumElements() / c.matrices % 16 == 0;
}

/// Neighbours of a stack that one task makes one after the other, in scratch that stays in the
/// caches. Each task has scratch of its own.
static int64_t matricesATask(Operation *op, const Contraction &c) {
  constexpr int64_t kTasks = 16;
  return matricesInParallel(op, c) ? llvm::divideCeil(c.matrices, kTasks) : c.matrices;
}

int64_t nibble::contractionScratchBytes(Operation *op, const CpuTarget &target) {
  FailureOr<Contraction> c = readContraction(op);
  if (failed(c))
    return 0;
  return scratchOfOne(*c, target) * llvm::divideCeil(c->matrices, matricesATask(op, *c));
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

static void emitOne(Emit &e, const Contraction &c, const Buffers &buffers) {
  if (c.isFloat() && c.isWindow)
    emitWindowFloat(e, c, planWindowFloat(c, e.target), buffers);
  else if (c.isFloat())
    emitPixelFloat(e, planPixelFloat(c, e.target), buffers);
  else if (auto plan = planWinograd(c, e.target))
    emitWinograd(e, c, *plan, buffers);
  else if (auto plan = planWinogradPixels(c, e.target))
    emitWinogradPixels(e, c, *plan, buffers);
  else if (c.isWindow)
    emitWindowCodes(e, c, planWindowCodes(c, e.target), buffers);
  else
    emitPixelCodes(e, c, planPixelCodes(c, e.target), buffers);
}

/// The product of each pair of matrices, on parts of the stacks.
static void emitStack(Emit &e, Operation *op, const Contraction &c, const Buffers &stacks) {
  auto part = [&](Value stack, Value value, Value i) {
    auto type = cast<RankedTensorType>(value.getType());
    int64_t aByte = q4::storageBits(type.getElementType()) == 4 ? 2 : 1;
    int64_t length = type.getNumElements() / c.matrices / aByte;
    return e.part(stack, e.mul(i, length), length);
  };
  bool parallel = matricesInParallel(op, c);
  int64_t bytes = scratchOfOne(c, e.target);
  Emit one = e;
  one.oneThread = parallel;
  auto matrix = [&](Value i) {
    Buffers buffers = stacks;
    buffers.left = part(stacks.left, op->getOperand(0), i);
    buffers.right = part(stacks.right, op->getOperand(1), i);
    buffers.output = part(stacks.output, op->getResult(0), i);
    emitOne(one, c, buffers);
  };
  if (!parallel)
    return e.loop(e.index(0), e.index(c.matrices), 1, matrix);
  int64_t multiplyAdds = cast<ContractionOpInterface>(op).getMultiplyAdds();
  int64_t size = matricesATask(op, c), tasks = llvm::divideCeil(c.matrices, size);
  e.parallel({e.index(tasks)}, multiplyAdds / 64, [&](ValueRange ids) {
    if (bytes > 0)
      one.scratch = memref::ViewOp::create(e.b, e.loc, MemRefType::get({bytes}, e.b.getI8Type()),
                                           e.scratch, e.mul(ids[0], bytes), ValueRange());
    Value first = e.mul(ids[0], size), last = e.min(e.add(first, size), e.index(c.matrices));
    e.loop(first, c.matrices % size ? last : e.add(first, size), 1, matrix);
  });
}

LogicalResult nibble::emitContraction(Operation *op, ArrayRef<Value> inputs, Value output,
                                      Value scratch, OpBuilder &builder, const CpuTarget &target) {
  FailureOr<Contraction> c = readContraction(op);
  if (failed(c))
    return op->emitOpError() << "room Codegen: no product of " << op->getOperand(0).getType()
                             << " and " << op->getOperand(1).getType()
                             << "; expected f32 or int4, int8 and log codes";
  auto misplaced = [&](Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    return q4::storageBits(type.getElementType()) == 4 && type.getNumElements() / c->matrices % 32;
  };
  if (c->matrices > 1 && (misplaced(op->getOperand(0)) || misplaced(op->getOperand(1))))
    return op->emitOpError("room Codegen: stacked matrices of 4-bit codes begin within a packed "
                           "block of 32; expected multiples of 32 elements");
  if (c->hasPanel) {
    int64_t needed = panelBytes(op, target),
            given = cast<MemRefType>(inputs[c->right.input].getType()).getNumElements();
    if (needed == 0 || given < needed)
      return op->emitOpError("room Codegen: reads a panel of ")
             << given << " bytes; expected " << (needed ? std::to_string(needed) : "no panel");
  }
  Emit e{builder, op->getLoc(), target, scratch};
  Buffers buffers;
  buffers.left = inputs[c->left.input];
  buffers.right = inputs[c->right.input];
  buffers.output = output;
  if (!c->isFloat())
    loadScalars(e, *c, inputs, buffers);
  if (c->matrices > 1)
    emitStack(e, op, *c, buffers);
  else
    emitOne(e, *c, buffers);
  return success();
}
