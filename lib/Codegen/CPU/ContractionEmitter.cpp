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

namespace {
/// What one matrix product, or a convolution, takes.
struct Footprint {
  int64_t scratch = 0; // bytes
  int64_t results = 0; // of a pass; 0: all at once
};
} // namespace

static Footprint footprintOf(const Contraction &c, const CpuTarget &target) {
  auto of = [](const ScratchLayout &scratch, int64_t results = 0) {
    return Footprint{static_cast<int64_t>(llvm::alignTo(scratch.bytes, 128)), results};
  };
  if (c.isFloat())
    return of(c.isWindow ? planWindowFloat(c, target).scratch : planPixelFloat(c, target).scratch);
  if (auto plan = planWinograd(c, target))
    return of(plan->scratch, plan->group * plan->w.outImage());
  if (auto plan = planWinogradPixels(c, target))
    return of(plan->scratch);
  if (!c.isWindow)
    return of(planPixelCodes(c, target).scratch);
  WindowCodesPlan plan = planWindowCodes(c, target);
  return of(plan.scratch, plan.group * plan.w.outImage());
}

int64_t contraction::imagesOfPass(const Contraction &c, const WindowProduct &w, int64_t most) {
  if (!c.unit)
    return most;
  constexpr int64_t kResultBytes = 1 << 20;
  int64_t image = w.outImage(), least = std::max<int64_t>(1, c.unit / image);
  int64_t units = std::min(most, kResultBytes / (4 * image)) / least;
  if (units > 1)
    units -= units % 2; // threads share them
  return std::min(std::max<int64_t>(units, 1) * least, w.images);
}

/// Can a reader take results a pass at a time? Its units are then whole images, or parts of one.
static bool passesAreUnits(const Contraction &c, int64_t unit) {
  if (unit == 0 || c.isFloat() || !c.isWindow || c.matrices > 1)
    return false;
  int64_t image = c.window.outImage();
  return unit % c.window.outChannels == 0 && (image % unit == 0 || unit % image == 0);
}

/// Elements of the results that lie in scratch for a reader.
static int64_t resultsInScratch(Operation *op, const Contraction &c, const CpuTarget &target) {
  int64_t all = cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
  return llvm::alignTo(c.unit ? footprintOf(c, target).results : all, 32);
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

/// Scratch of the product itself.
static int64_t scratchOf(Operation *op, const Contraction &c, const CpuTarget &target) {
  return footprintOf(c, target).scratch * llvm::divideCeil(c.matrices, matricesATask(op, c));
}

int64_t nibble::contractionScratchBytes(Operation *op, const CpuTarget &target, ResultUse use) {
  FailureOr<Contraction> c = readContraction(op);
  if (failed(c))
    return 0;
  c->unit = passesAreUnits(*c, use.unit) ? use.unit : 0;
  int64_t results = use.stored ? 0 : 4 * resultsInScratch(op, *c, target);
  return scratchOf(op, *c, target) + llvm::alignTo(results, 128);
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
  int64_t bytes = footprintOf(c, e.target).scratch;
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

static void emitAll(Emit &e, Operation *op, const Contraction &c, const Buffers &buffers) {
  if (c.matrices > 1)
    emitStack(e, op, c, buffers);
  else
    emitOne(e, c, buffers);
}

/// The product and the loop that reads its results.
static void emitAndRead(Emit &e, Operation *op, Contraction c, Buffers buffers,
                        const ResultReader &reader) {
  c.unit = passesAreUnits(c, reader.unit) ? reader.unit : 0;
  int64_t all = cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
  buffers.onePass = !buffers.output && c.unit;
  if (!buffers.output)
    buffers.output =
        e.view(scratchOf(op, c, e.target), resultsInScratch(op, c, e.target), e.b.getF32Type());
  Value results = e.flat(buffers.output, buffers.onePass ? resultsInScratch(op, c, e.target)
                                                         : llvm::alignTo(all, 32));
  auto read = [&](Value first, Value count) {
    reader.read(results, buffers.onePass ? first : e.index(0), e.div(first, reader.unit),
                e.ceilDiv(count, reader.unit));
  };
  if (c.unit)
    buffers.afterPass = read;
  emitAll(e, op, c, buffers);
  if (!c.unit)
    read(e.index(0), e.index(all));
}

LogicalResult nibble::emitContraction(Operation *op, ArrayRef<Value> inputs, Value output,
                                      Value scratch, OpBuilder &builder, const CpuTarget &target,
                                      const ResultReader *reader) {
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
  if (reader)
    return emitAndRead(e, op, *c, buffers, *reader), success();
  emitAll(e, op, *c, buffers);
  return success();
}
