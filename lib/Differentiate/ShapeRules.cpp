//===- ShapeRules.cpp - moving elements and reducing -----------------------------===//
#include "Rules.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::rules;

/// The same elements: dx has x's shape.
static void reshapeRule(nn::ReshapeOp op, Adjoint &d) {
  d.give(op.getX(), d.reshape(d.dy(), cast<RankedTensorType>(op.getX().getType()).getShape()));
}

/// y_i = x_perm[i]: dx is dy by the inverse permutation.
static void transposeRule(nn::TransposeOp op, Adjoint &d) {
  SmallVector<int64_t> inverse(op.getPerm().size());
  for (auto [i, source] : llvm::enumerate(op.getPerm()))
    inverse[source] = i;
  d.give(op.getX(), nn::TransposeOp::create(d.builder(), d.loc(), d.dy(), inverse));
}

/// Repeats elements: dx sums over the repetitions.
static void broadcastRule(nn::BroadcastOp op, Adjoint &d) {
  d.give(op.getX(), d.sumTo(d.dy(), op.getX().getType()));
}

/// y_i = table_(token i): a row of dtable is the sum of dy over the tokens that name it.
static void embeddingRule(nn::EmbeddingOp op, Adjoint &d) {
  d.give(op.getTable(), nn::EmbeddingGradOp::create(d.builder(), d.loc(), op.getTable().getType(),
                                                    d.dy(), d.save(op.getTokens())));
}

/// Joins parts: each part gets its slice of dy.
static void concatRule(nn::ConcatOp op, Adjoint &d) {
  int64_t rank = op.getResult().getType().getRank(), axis = op.getAxis();
  SmallVector<int64_t> starts(rank, 0), steps(rank, 1);
  for (Value part : op.getParts()) {
    if (d.wants(part))
      d.give(part,
             nn::SliceOp::create(d.builder(), d.loc(), part.getType(), d.dy(), starts, steps));
    starts[axis] += cast<RankedTensorType>(part.getType()).getDimSize(axis);
  }
}

/// y_i = x_(starts + i·steps): dx holds dy at these places and 0 elsewhere.
static void sliceRule(nn::SliceOp op, Adjoint &d) {
  d.give(op.getX(), nn::UnsliceOp::create(d.builder(), d.loc(), op.getX().getType(), d.dy(),
                                          op.getStarts(), op.getSteps()));
}
/// The other way round.
static void unsliceRule(nn::UnsliceOp op, Adjoint &d) {
  d.give(op.getX(), nn::SliceOp::create(d.builder(), d.loc(), op.getX().getType(), d.dy(),
                                        op.getStarts(), op.getSteps()));
}

/// y = Σ x (reduced dimensions stay as 1): dx = dy, repeated.
static void reduceSumRule(nn::ReduceSumOp op, Adjoint &d) {
  d.give(op.getX(), d.broadcast(d.dy(), op.getX().getType()));
}

/// y = (Σ x)/n: dx = dy/n, repeated.
static void reduceMeanRule(nn::ReduceMeanOp op, Adjoint &d) {
  int64_t n = op.getX().getType().getNumElements() / op.getResult().getType().getNumElements();
  d.give(op.getX(), d.broadcast(d.div(d.dy(), d.constant(n)), op.getX().getType()));
}

/// y_c = Σ x_(…, c): dx = dy, repeated.
static void channelSumRule(nn::ChannelSumOp op, Adjoint &d) {
  d.give(op.getX(), d.broadcast(d.dy(), op.getX().getType()));
}

void rules::attachShapeRules(MLIRContext *context) {
  attachRule<nn::ReshapeOp, reshapeRule>(context);
  attachRule<nn::TransposeOp, transposeRule>(context);
  attachRule<nn::BroadcastOp, broadcastRule>(context);
  attachRule<nn::EmbeddingOp, embeddingRule>(context);
  attachNone<isDerivative, nn::EmbeddingGradOp>(context);
  attachRule<nn::ConcatOp, concatRule>(context);
  attachRule<nn::SliceOp, sliceRule>(context);
  attachRule<nn::UnsliceOp, unsliceRule>(context);
  attachRule<nn::ReduceSumOp, reduceSumRule>(context);
  attachRule<nn::ReduceMeanOp, reduceMeanRule>(context);
  attachRule<nn::ChannelSumOp, channelSumRule>(context);
}
