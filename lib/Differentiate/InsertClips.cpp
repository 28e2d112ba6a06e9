//===- InsertClips.cpp - PACT's learned clips --------------------------------------===//
#include "nibble/Differentiate/Passes.h"

#include "StepFunction.h"

#include "nibble/Analysis/ModuleRecipe.h"
#include "nibble/Analysis/Names.h"
#include "nibble/Analysis/NonNegative.h"
#include "nibble/Analysis/Slices.h"
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"

using namespace mlir;
using namespace nibble;

namespace nibble {
#define GEN_PASS_DEF_INSERTCLIPS
#include "nibble/Differentiate/Passes.h.inc"
} // namespace nibble

namespace {
struct InsertClipsPass : nibble::impl::InsertClipsBase<InsertClipsPass> {
  using InsertClipsBase::InsertClipsBase;

  void runOnOperation() override {
    FailureOr<Recipe> recipe = moduleRecipe(getOperation());
    FailureOr<func::FuncOp> forward = findForward(getOperation());
    if (failed(recipe) || failed(forward))
      return signalPassFailure();
    if (recipe->isFloat() || recipe->activations != Activations::Pact)
      return;
    // Value → its clip, so that consumers share it.
    llvm::DenseMap<Value, Value> clips;
    for (auto contraction : llvm::make_early_inc_range(forward->getOps<ContractionOpInterface>())) {
      Value x = contraction.getLeft();
      if (contraction.getPrecisionKind() != Precision::Int4 || isNetworkInput(x) ||
          x.getDefiningOp<nn::ClipLearnedOp>())
        continue;
      Value &clip = clips[x];
      if (!clip)
        clip = makeClip(contraction, x);
      contraction->setOperand(0, clip);
    }
  }

  /// The clip of x, right before its first 4-bit consumer, and the variable of its bound.
  Value makeClip(ContractionOpInterface consumer, Value x) {
    OpBuilder builder(consumer);
    auto scalar = RankedTensorType::get({}, builder.getF32Type());
    std::string name = freeSymbol(getOperation(), layerName(consumer) + ".alpha");
    OpBuilder top(&getContext());
    auto forward = consumer->getParentOfType<func::FuncOp>();
    top.setInsertionPoint(forward);
    auto variable = train::VariableOp::create(
        top, x.getLoc(), name, scalar, train::Role::Clip, /*trainable=*/true,
        /*decay=*/false, /*onnx_name=*/"", /*layout=*/"", /*value=*/ElementsAttr());
    Value alpha = train::ReadOp::create(builder, x.getLoc(), scalar, variable.getSymName());
    return nn::ClipLearnedOp::create(builder, x.getLoc(), x.getType(), x, alpha, isNonNegative(x));
  }
};
} // namespace
