//===- StripState.cpp - only code goes on ---------------------------------------===//
#include "nibble/Target/Passes.h"

#include "nibble/Dialect/Train/IR/Train.h"

namespace nibble {
#define GEN_PASS_DEF_STRIPSTATE
#include "nibble/Target/Passes.h.inc"
} // namespace nibble

using namespace mlir;

namespace {
struct StripStatePass : nibble::impl::StripStateBase<StripStatePass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (auto variable : llvm::make_early_inc_range(module.getOps<nibble::train::VariableOp>()))
      variable.erase();
    for (NamedAttribute attribute : llvm::to_vector(module->getDiscardableAttrs()))
      if (attribute.getName().getValue().starts_with("nibble."))
        module->removeDiscardableAttr(attribute.getName());
  }
};
} // namespace
