//===- PoolRules.cpp - pooling -----------------------------------------------------===//
#include "Rules.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::rules;

/// Each window's dy goes to its first maximum, whose index the forward op gives (numerics.md,
/// section 7).
static void maxPoolRule(nn::MaxPoolOp op, Adjoint &d) {
  d.give(op.getX(), nn::MaxPoolGradOp::create(d.builder(), d.loc(), op.getX().getType(), d.dy(),
                                              d.save(op.getIndex()), op.getKernel(),
                                              op.getStrides(), op.getPads(), op.getDilations()));
}

/// Each window's dy, divided as the window was, goes to all its taps.
static void avgPoolRule(nn::AvgPoolOp op, Adjoint &d) {
  d.give(op.getX(), nn::AvgPoolGradOp::create(d.builder(), d.loc(), op.getX().getType(), d.dy(),
                                              op.getKernel(), op.getStrides(), op.getPads(),
                                              op.getDilations(), op.getCountIncludePad()));
}

void rules::attachPoolRules(MLIRContext *context) {
  attachRule<nn::MaxPoolOp, maxPoolRule>(context);
  attachRule<nn::AvgPoolOp, avgPoolRule>(context);
  attachNone<isDerivative, nn::MaxPoolGradOp, nn::AvgPoolGradOp>(context);
}
