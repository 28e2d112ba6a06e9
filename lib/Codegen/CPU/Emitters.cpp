//===- Emitters.cpp - from a group to the emitter of its op -------------------===//
#include "Emitters.h"

#include "nibble/Codegen/CPU/ContractionEmitter.h"

#include "mlir/IR/Matchers.h"

using namespace nibble::codegen;
namespace nn = nibble::nn;
namespace plan = nibble::plan;
namespace train = nibble::train;

bool nibble::codegen::isSilent(Operation *op) {
  return isa<nn::ReshapeOp, train::SaveOp, plan::YieldOp, plan::PackedOp>(op) ||
         op->hasTrait<nibble::DecoderLike>() || matchPattern(op, m_Constant());
}

Operation *nibble::codegen::singleOp(Block &body) {
  Operation *found = nullptr;
  for (Operation &op : body) {
    if (isSilent(&op))
      continue;
    if (found)
      return nullptr;
    found = &op;
  }
  return found;
}

SmallVector<int64_t> nibble::codegen::scratchParts(Block &body) {
  if (isElementwiseBody(body))
    return elementwiseScratch(body);
  Operation *op = singleOp(body);
  if (!op || nibble::isContraction(op))
    return {};
  for (auto parts :
       {statisticsScratch(op), lossScratch(op), channelScratch(op), layerNormScratch(op)})
    if (!parts.empty())
      return parts;
  return {};
}

int64_t nibble::codegen::scratchBytes(Block &body, const nibble::CpuTarget &target) {
  Operation *op = singleOp(body);
  if (op && nibble::isContraction(op))
    return nibble::contractionScratchBytes(op, target);
  if (isa_and_nonnull<plan::PackOp>(op))
    return nibble::packScratchBytes(op, target);
  return chainedProduct(body) ? chainScratchBytes(body, target) : totalBytes(scratchParts(body));
}

FailureOr<SmallVector<Value>> nibble::codegen::operandBuffers(plan::GroupOp group, Operation *op) {
  SmallVector<Value> inputs;
  for (Value operand : op->getOperands()) {
    if (auto packed = operand.getDefiningOp<plan::PackedOp>())
      operand = packed.getPanel();
    auto argument = dyn_cast<BlockArgument>(sourceOf(operand));
    if (!argument)
      return op->emitOpError("takes a constant operand, which has no buffer");
    inputs.push_back(group.getInputs()[argument.getArgNumber()]);
  }
  return inputs;
}

/// The emitter of products takes the buffers as the group has them.
static LogicalResult emitProduct(Group &group, Operation *op, const nibble::CpuTarget &target) {
  FailureOr<SmallVector<Value>> inputs = operandBuffers(group.op, op);
  if (failed(inputs))
    return failure();
  Value output;
  for (auto [memref, yielded] : llvm::zip(group.op.getOutputs(), group.yielded()))
    if (yielded.first == op->getResult(0))
      output = memref;
  if (!output)
    return success();
  if (isa<plan::PackOp>(op))
    return nibble::emitPack(op, inputs->front(), inputs->size() > 1 ? inputs->back() : Value(),
                            output, group.op.getScratch(), group.e.b, target);
  return nibble::emitContraction(op, *inputs, output, group.op.getScratch(), group.e.b, target);
}

static LogicalResult emitSingle(Group &group, Operation *op, const nibble::CpuTarget &target) {
  group.e.loc = op->getLoc();
  if (nibble::isContraction(op) || isa<plan::PackOp>(op))
    return emitProduct(group, op, target);
  for (auto emit : {emitStatistics, emitScale, emitLoss, emitChannel, emitLayerNorm, emitShape,
                    emitReduce, emitPool, emitRandom})
    if (Emitted done = emit(group, op))
      return *done;
  return op->emitOpError("has no emitter in Codegen/CPU");
}

/// Copies what several outputs, or outputs that are inputs, share.
static void copyOthers(Group &group) {
  llvm::DenseMap<Value, Buffer> written;
  for (auto [value, buffer] : group.yielded()) {
    Buffer from = value.getDefiningOp() && !matchPattern(value, m_Constant())
                      ? written.lookup(value)
                      : group.in(value);
    if (!from) {
      written[value] = buffer;
      continue;
    }
    from.type = buffer.type;
    if (buffer.count() == 1 && !isPacked(buffer.element()))
      storeScalar(group.e, loadScalar(group.e, from), buffer);
    else
      group.e.flat(buffer.count(), kBlock, [&](Value at) {
        storeBlock(group.e, loadBlock(group.e, from, at), buffer, at);
      });
  }
}

LogicalResult nibble::codegen::emitGroup(plan::GroupOp op, OpBuilder &b, ConstantPool &pool,
                                         const nibble::CpuTarget &target) {
  Block &body = op.getBody().front();
  if (chainedProduct(body))
    return emitChain(op, b, pool, target);
  Group group(op, b, pool, /*hasScalef=*/target.vectorBits == 512);
  group.parts = scratchParts(body);
  if (failed(group.prepare()))
    return failure();
  if (isElementwiseBody(body))
    return emitElementwise(group);
  Operation *single = singleOp(body);
  if (!single)
    return op.emitOpError(
        "holds several ops that are not element-wise: a group is one op, a set of "
        "element-wise ops, or a product and such a set that reads it");
  if (failed(emitSingle(group, single, target)))
    return failure();
  copyOthers(group);
  return success();
}
