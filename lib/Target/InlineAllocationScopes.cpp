//===- InlineAllocationScopes.cpp - nothing of ours allocates ------------------===//
#include "nibble/Target/Passes.h"

#include "mlir/IR/PatternMatch.h"

namespace nibble {
#define GEN_PASS_DEF_INLINEALLOCATIONSCOPES
#include "nibble/Target/Passes.h.inc"
} // namespace nibble

using namespace mlir;

namespace {
struct InlineAllocationScopesPass : nibble::impl::InlineAllocationScopesBase<InlineAllocationScopesPass> {
  void runOnOperation() override {
    SmallVector<memref::AllocaScopeOp> scopes;
    getOperation().walk([&](memref::AllocaScopeOp scope) { scopes.push_back(scope); });
    IRRewriter rewriter(&getContext());
    for (memref::AllocaScopeOp scope : scopes) { // innermost first
      if (scope.walk([](memref::AllocaOp) { return WalkResult::interrupt(); }).wasInterrupted()) {
        scope.emitError("room Target: a parallel loop's body allocates; expected scratch to come from the arena");
        return signalPassFailure();
      }
      Block *body = &scope.getBodyRegion().front();
      Operation *terminator = body->getTerminator();
      rewriter.inlineBlockBefore(body, scope);
      rewriter.replaceOp(scope, terminator->getOperands());
      rewriter.eraseOp(terminator);
    }
  }
};
} // namespace
