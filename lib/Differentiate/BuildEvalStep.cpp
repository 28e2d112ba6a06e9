//===- BuildEvalStep.cpp - the forward graph with running statistics -----------------===//
#include "nibble/Differentiate/Passes.h"

#include "StepFunction.h"

#include "nibble/Dialect/Q4/IR/Q4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nibble;

namespace nibble {
#define GEN_PASS_DEF_BUILDEVALSTEP
#include "nibble/Differentiate/Passes.h.inc"
} // namespace nibble

using NewValues = SmallVector<std::pair<StringAttr, Value>>;

/// What an inserted normalization has to be to change nothing: mean and variance of this batch, scale
/// sqrt(variance + epsilon), shift mean.
static void measure(nn::BatchNormOp norm, NewValues &values) {
  OpBuilder b(norm);
  Location loc = norm.getLoc();
  auto vector = cast<RankedTensorType>(norm.getScale().getType());
  auto stats = nn::BatchStatsOp::create(b, loc, SmallVector<Type>(6, vector),
                                        ValueRange{norm.getX(), norm.getScale(), norm.getBias(),
                                                   norm.getMean(), norm.getVariance()});
  stats.setEpsilonAttr(norm.getEpsilonAttr());
  stats.setMomentumAttr(b.getF32FloatAttr(0));
  auto epsilonType = RankedTensorType::get({}, b.getF32Type());
  Value epsilon = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(epsilonType, norm.getEpsilon().convertToFloat()));
  Value sum = nn::AddOp::create(b, loc, stats.getNewVariance(), epsilon);
  Value scale = nn::SqrtOp::create(b, loc, vector, sum);
  std::pair<Value, Value> pairs[] = {{norm.getScale(), scale},
                                     {norm.getBias(), stats.getNewMean()},
                                     {norm.getMean(), stats.getNewMean()},
                                     {norm.getVariance(), stats.getNewVariance()}};
  for (auto [read, value] : pairs)
    if (auto op = read.getDefiningOp<train::ReadOp>())
      values.emplace_back(op.getVariableAttr().getAttr(), value);
}

/// Batch normalization by running statistics; dropout is the identity. Returns what is to be written.
static NewValues evaluate(StepFunction &step, bool calibrate) {
  NewValues values;
  for (Operation &op : llvm::make_early_inc_range(step.block())) {
    Value result;
    auto norm = dyn_cast<nn::BatchNormOp>(op);
    if (norm && calibrate && norm->hasAttr("nibble.inserted")) {
      measure(norm, values);
      result = norm.getX();
    } else if (norm) {
      auto fold = foldBatchNorm(norm);
      OpBuilder b(&op);
      result = nn::FmaOp::create(b, op.getLoc(), norm.getX().getType(), norm.getX(), fold.getA(),
                                 fold.getB());
    } else if (auto dropout = dyn_cast<nn::DropoutOp>(op)) {
      result = dropout.getX();
    } else {
      continue;
    }
    if (step.output == op.getResult(0))
      step.output = result;
    op.getResult(0).replaceAllUsesWith(result);
    op.erase();
  }
  return values;
}

namespace {
struct BuildEvalStepPass : nibble::impl::BuildEvalStepBase<BuildEvalStepPass> {
  using BuildEvalStepBase::BuildEvalStepBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<func::FuncOp> forward = findForward(module);
    FailureOr<StepOptions> options = resolveStepOptions(module, step);
    if (failed(forward) || failed(options))
      return signalPassFailure();
    OpBuilder b(&getContext());
    auto output = cast<RankedTensorType>(forward->getFunctionType().getResult(0));
    auto count = RankedTensorType::get({}, b.getI32Type());
    std::pair<StringRef, Type> arguments[] = {
        {options->loss != Loss::SoftmaxCrossEntropy ? "target" : "labels", targetType(options->loss, output)},
        {"valid", count}};
    Type results[] = {RankedTensorType::get({}, b.getF32Type()), count, output};
    StepFunction function = copyForward(*forward, "eval_step", arguments, results);
    Location loc = forward->getBody().front().getTerminator()->getLoc();
    NewValues measured = evaluate(function, options->calibrate);
    FailureOr<ClipBounds> bounds = initializeClips(function);
    FailureOr<LossValues> loss = failure();
    if (succeeded(bounds))
      loss = buildLoss(function.builder, loc, *options, function.output, function.argument(1),
                       function.argument(2));
    if (failed(loss))
      return signalPassFailure();
    for (auto [variable, value] : measured)
      train::WriteOp::create(function.builder, loc, FlatSymbolRefAttr::get(variable), value);
    func::ReturnOp::create(function.builder, loc,
                           ValueRange{loss->loss, loss->correct, function.output});
    eraseUnused(function.block());
    if (auto name = forward->getResultAttr(0, "nn.name"))
      function.function.setResultAttr(2, "nn.name", name);
    forward->erase();
  }
};
} // namespace
