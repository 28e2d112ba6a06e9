//===- Expansion.cpp - batch norm and dropout, spelled out ---------------------------===//
#include "Expansion.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Analysis/Streams.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nibble;

LogicalResult Expansion::prepareBatchNorm(nn::BatchNormOp op) {
  if (op.getFrozen()) {
    pairs.emplace_back(op, foldBatchNorm(op));
    return success();
  }
  auto mean = op.getMean().getDefiningOp<train::ReadOp>(),
       variance = op.getVariance().getDefiningOp<train::ReadOp>();
  if (!mean || !variance)
    return op.emitError("running mean and variance are not variables, so they cannot follow the "
                        "batches; freeze the "
                        "normalization");
  for (auto [name, value] : statistics)
    if (name == mean.getVariableAttr().getAttr() || name == variance.getVariableAttr().getAttr())
      return op.emitError("two batch normalizations share the running statistics @")
             << name.getValue();
  OpBuilder b(op);
  SmallVector<Type> types(6, op.getScale().getType());
  auto stats = nn::BatchStatsOp::create(
      b, op.getLoc(), types,
      ValueRange{op.getX(), op.getScale(), op.getBias(), op.getMean(), op.getVariance()});
  stats.setEpsilonAttr(op.getEpsilonAttr());
  stats.setMomentumAttr(op.getMomentumAttr());
  pairs.emplace_back(op, stats);
  statistics.emplace_back(mean.getVariableAttr().getAttr(), stats.getNewMean());
  statistics.emplace_back(variance.getVariableAttr().getAttr(), stats.getNewVariance());
  return success();
}

/// Dropout's mask; its stream is called "name/dropout/mask".
static nn::KeepMaskOp makeKeepMask(nn::DropoutOp op, Value rng, Streams &streams) {
  OpBuilder b(op);
  std::string name = Streams::name(layerName(op), "dropout", "mask");
  auto type = op.getX().getType();
  Value bits = train::RandomBitsOp::create(b, op.getLoc(), type.clone(b.getI16Type()), rng,
                                           static_cast<int32_t>(streams.take(name)), name);
  return nn::KeepMaskOp::create(b, op.getLoc(), type.clone(b.getI1Type()), bits, op.getRatioAttr());
}

FailureOr<Expansion> Expansion::prepare(StepFunction &step, Value rng) {
  Expansion expansion;
  Streams streams(step.function);
  for (Operation &op : llvm::make_early_inc_range(step.block())) {
    if (auto norm = dyn_cast<nn::BatchNormOp>(op)) {
      if (failed(expansion.prepareBatchNorm(norm)))
        return failure();
    } else if (auto dropout = dyn_cast<nn::DropoutOp>(op); dropout && dropout.getRatio().isZero()) {
      if (step.output == dropout.getResult())
        step.output = dropout.getX();
      dropout.getResult().replaceAllUsesWith(dropout.getX());
      dropout.erase();
    } else if (dropout) {
      expansion.pairs.emplace_back(dropout, makeKeepMask(dropout, rng, streams));
    }
  }
  return expansion;
}

static Value spelledOut(Operation *op, Operation *companion) {
  OpBuilder b(op);
  Value x = op->getOperand(0);
  if (auto dropout = dyn_cast<nn::DropoutOp>(op)) {
    Value kept = nn::MaskOp::create(b, op->getLoc(), x.getType(), x, companion->getResult(0));
    auto factor = static_cast<float>(1.0 / (1.0 - dropout.getRatio().convertToDouble()));
    auto type = RankedTensorType::get({}, b.getF32Type());
    Value scale = arith::ConstantOp::create(b, op->getLoc(), DenseElementsAttr::get(type, factor));
    return nn::MulOp::create(b, op->getLoc(), kept, scale);
  }
  // Both kinds of statistics begin with the affine map: a, b.
  return nn::FmaOp::create(b, op->getLoc(), x.getType(), x, companion->getResult(0),
                           companion->getResult(1));
}

void Expansion::finish() {
  for (auto [op, companion] : pairs) {
    op->getResult(0).replaceAllUsesWith(spelledOut(op, companion));
    op->erase();
  }
  pairs.clear();
}
