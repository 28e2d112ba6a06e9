//===- AssignPrecision.cpp - in which numbers each layer runs ---------------------===//
#include "nibble/Differentiate/Passes.h"

#include "StepFunction.h"

#include "nibble/Analysis/ModuleRecipe.h"
#include "nibble/Analysis/Precision.h"
#include "nibble/Dialect/NN/IR/NN.h"

using namespace mlir;
using namespace nibble;

namespace nibble {
#define GEN_PASS_DEF_ASSIGNPRECISION
#include "nibble/Differentiate/Passes.h.inc"
} // namespace nibble

namespace {
struct AssignPrecisionPass : nibble::impl::AssignPrecisionBase<AssignPrecisionPass> {
  using AssignPrecisionBase::AssignPrecisionBase;

  void runOnOperation() override {
    std::string error;
    std::optional<Recipe> parsed = parseRecipe(recipe, &error);
    if (parsed)
      error = checkKeepFloat(*parsed);
    if (!error.empty()) {
      getOperation().emitError(error);
      return signalPassFailure();
    }
    FailureOr<func::FuncOp> forward = findForward(getOperation());
    if (failed(forward))
      return signalPassFailure();
    setModuleRecipe(getOperation(), *parsed);
    for (auto contraction : forward->getOps<ContractionOpInterface>()) {
      PrecisionChoice choice = choosePrecision(contraction, *parsed);
      contraction->setAttr("precision", nn::PrecisionAttr::get(&getContext(), choice.precision));
      contraction->setAttr("reason", StringAttr::get(&getContext(), choice.reason));
    }
  }
};
} // namespace
