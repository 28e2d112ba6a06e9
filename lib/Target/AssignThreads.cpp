//===- AssignThreads.cpp - which loops get threads -----------------------------===//
#include "nibble/Target/Passes.h"

#include "WorkEstimate.h"

#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"

namespace nibble {
#define GEN_PASS_DEF_ASSIGNTHREADS
#include "nibble/Target/Passes.h.inc"
} // namespace nibble

using namespace mlir;

/// Does the loop run at most once, as far as its constant bounds tell?
static bool runsOnce(scf::ParallelOp loop) {
  for (auto [low, high, step] : llvm::zip(loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    std::optional<int64_t> from = getConstantIntValue(low), to = getConstantIntValue(high), by = getConstantIntValue(step);
    if (!from || !to || !by || *by <= 0 || *to - *from > *by)
      return false;
  }
  return true;
}

namespace {
struct AssignThreadsPass : nibble::impl::AssignThreadsBase<AssignThreadsPass> {
  using AssignThreadsBase::AssignThreadsBase;

  void runOnOperation() override {
    SmallVector<scf::ParallelOp> sequential;
    getOperation().walk([&](scf::ParallelOp loop) {
      if (threads <= 1 || runsOnce(loop) || loop->getParentOfType<scf::ParallelOp>() || nibble::estimateWork(loop) < leastWork)
        sequential.push_back(loop);
    });
    IRRewriter rewriter(&getContext());
    for (scf::ParallelOp loop : sequential) { // innermost first: walk is post-order
      rewriter.setInsertionPoint(loop);
      if (failed(scf::parallelForToNestedFors(rewriter, loop))) {
        loop.emitError("room Target: cannot make this parallel loop sequential; expected a loop without results");
        return signalPassFailure();
      }
    }
  }
};
} // namespace
