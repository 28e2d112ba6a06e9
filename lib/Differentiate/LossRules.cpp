//===- LossRules.cpp - losses -------------------------------------------------------===//
#include "Rules.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::rules;

/// Mean over rows of log Σ eˣ − x_label: dx = (softmax(x) − onehot(label))·dloss/rows.
static void crossEntropyRule(nn::SoftmaxCrossEntropyOp op, Adjoint &d) {
  d.give(op.getLogits(), nn::SoftmaxCrossEntropyGradOp::create(
                             d.builder(), d.loc(), op.getLogits().getType(), d.save(op.getLogits()),
                             d.save(op.getLabels()), d.dy()));
}

/// Mean of (max(x, 0) − x·t) + log(1 + e^−|x|): dx = (σ(x) − t)·dloss/count. Targets get no gradient.
static void binaryCrossEntropyRule(nn::BinaryCrossEntropyOp op, Adjoint &d) {
  d.give(op.getLogits(), nn::BinaryCrossEntropyGradOp::create(
                             d.builder(), d.loc(), op.getLogits().getType(), d.save(op.getLogits()),
                             d.save(op.getTarget()), d.dy()));
}

/// Mean of (y − t)²: dy = 2·(y − t)·dloss/count; dt is its negative.
static void mseRule(nn::MseOp op, Adjoint &d) {
  Value grad = nn::MseGradOp::create(d.builder(), d.loc(), op.getY().getType(), d.save(op.getY()),
                                     d.save(op.getTarget()), d.dy());
  d.give(op.getY(), grad);
  if (d.wants(op.getTarget()))
    d.give(op.getTarget(), d.neg(grad));
}

void rules::attachLossRules(MLIRContext *context) {
  attachRule<nn::SoftmaxCrossEntropyOp, crossEntropyRule>(context);
  attachRule<nn::MseOp, mseRule>(context);
  attachRule<nn::BinaryCrossEntropyOp, binaryCrossEntropyRule>(context);
  attachNone<isDerivative, nn::SoftmaxCrossEntropyGradOp, nn::MseGradOp,
             nn::BinaryCrossEntropyGradOp>(context);
}
