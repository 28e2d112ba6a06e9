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

/// Batch normalization by running statistics; dropout is the identity.
static void evaluate(StepFunction &step) {
  for (Operation &op : llvm::make_early_inc_range(step.block())) {
    Value result;
    if (auto norm = dyn_cast<nn::BatchNormOp>(op)) {
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
    evaluate(function);
    FailureOr<ClipBounds> bounds = initializeClips(function);
    FailureOr<LossValues> loss = failure();
    if (succeeded(bounds))
      loss = buildLoss(function.builder, loc, *options, function.output, function.argument(1),
                       function.argument(2));
    if (failed(loss))
      return signalPassFailure();
    func::ReturnOp::create(function.builder, loc,
                           ValueRange{loss->loss, loss->correct, function.output});
    eraseUnused(function.block());
    if (auto name = forward->getResultAttr(0, "nn.name"))
      function.function.setResultAttr(2, "nn.name", name);
    forward->erase();
  }
};
} // namespace
