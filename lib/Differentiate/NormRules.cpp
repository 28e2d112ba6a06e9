//===- NormRules.cpp - normalization and softmax -----------------------------------===//
#include "Rules.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::rules;

/// Statistics of the batch (Ioffe & Szegedy 2015; numerics.md, section 5): k₁, k₂, k₃, dγ, dβ from
/// one op, then dz = fma(k₁, dy, fma(k₂, z, k₃)).
static void trainedBatchNorm(nn::BatchNormOp op, nn::BatchStatsOp stats, Adjoint &d) {
  Value z = d.save(op.getX()), dy = d.dy();
  Type vector = op.getScale().getType();
  auto grad = nn::BatchNormGradOp::create(d.builder(), d.loc(), vector, vector, vector, vector,
                                          vector, dy, z, d.save(op.getScale()),
                                          d.save(stats.getBatchMean()), d.save(stats.getRstd()));
  if (d.wants(op.getX())) {
    Value inner =
        nn::FmaOp::create(d.builder(), d.loc(), z.getType(), grad.getK2(), z, grad.getK3());
    d.give(op.getX(),
           nn::FmaOp::create(d.builder(), d.loc(), z.getType(), grad.getK1(), dy, inner));
  }
  d.give(op.getScale(), grad.getDscale());
  d.give(op.getBias(), grad.getDbias());
}

/// Running statistics: y = z·a + b with a = γ·rstd, b = β − mean·a: dz = dy·a, dγ = Σ dy·(z −
/// mean)·rstd, dβ = Σ dy.
static void frozenBatchNorm(nn::BatchNormOp op, nn::BatchNormFoldOp fold, Adjoint &d) {
  Value dy = d.dy();
  auto vector = op.getScale().getType();
  if (d.wants(op.getX()))
    d.give(op.getX(), d.mul(dy, d.save(fold.getA())));
  if (d.wants(op.getScale())) {
    Value centred = d.sub(d.save(op.getX()), d.save(op.getMean()));
    d.give(op.getScale(), d.mul(d.sumTo(d.mul(dy, centred), vector), d.save(fold.getRstd())));
  }
  if (d.wants(op.getBias()))
    d.give(op.getBias(), d.sumTo(dy, vector));
}

/// The companion says which statistics normalize.
static void batchNormRule(nn::BatchNormOp op, Adjoint &d) {
  if (auto stats = dyn_cast<nn::BatchStatsOp>(d.companion()))
    trainedBatchNorm(op, stats, d);
  else
    frozenBatchNorm(op, cast<nn::BatchNormFoldOp>(d.companion()), d);
}

/// x̂ = (x − mean)·rstd, y = x̂·γ + β (Ba, Kiros & Hinton 2016): with g = dy·γ and means over the
/// row, dx = rstd·(g − ⟨g⟩ − x̂·⟨g·x̂⟩), dγ = Σ dy·x̂, dβ = Σ dy.
static void layerNormRule(nn::LayerNormOp op, Adjoint &d) {
  Value x = d.save(op.getX());
  Type vector = op.getScale().getType();
  auto grad = nn::LayerNormGradOp::create(d.builder(), d.loc(), x.getType(), vector, vector, d.dy(),
                                          x, d.save(op.getScale()), d.save(op.getMean()),
                                          d.save(op.getRstd()), op.getRms());
  d.give(op.getX(), grad.getDx());
  d.give(op.getScale(), grad.getDscale());
  if (op.getBias())
    d.give(op.getBias(), grad.getDbias());
}

/// Sum over the last dimension, which stays as 1.
static Value rowSum(Adjoint &d, Value x) {
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  return nn::ReduceSumOp::create(d.builder(), d.loc(), x, ArrayRef<int64_t>{rank - 1});
}

/// y = softmax(x): dx = y·(dy − Σ dy·y) over the row.
static void softmaxRule(nn::SoftmaxOp op, Adjoint &d) {
  Value y = d.save(op.getResult());
  d.give(op.getX(), d.mul(y, d.sub(d.dy(), rowSum(d, d.mul(d.dy(), y)))));
}

/// y = log softmax(x): dx = dy − e^y·Σ dy over the row.
static void logSoftmaxRule(nn::LogSoftmaxOp op, Adjoint &d) {
  Value y = d.save(op.getResult());
  d.give(op.getX(), d.sub(d.dy(), d.mul(d.exp(y), rowSum(d, d.dy()))));
}

void rules::attachNormRules(MLIRContext *context) {
  attachRule<nn::BatchNormOp, batchNormRule>(context);
  attachRule<nn::LayerNormOp, layerNormRule>(context);
  attachRule<nn::SoftmaxOp, softmaxRule>(context);
  attachRule<nn::LogSoftmaxOp, logSoftmaxRule>(context);
  attachNone<isSpelledOut, nn::BatchStatsOp, nn::BatchNormFoldOp>(context);
  attachNone<isDerivative, nn::BatchNormGradOp, nn::NormalizedGradOp, nn::LayerNormGradOp>(
      context);
}
