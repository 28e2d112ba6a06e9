//===- ElementwiseRules.cpp - element by element --------------------------------===//
//
// Where one bit an element suffices, the bit is saved and not the value. Operands that were
// broadcast get the sum over the repeated dimensions (Adjoint::sumTo).
//
//===----------------------------------------------------------------------===//
#include "Rules.h"

#include "nibble/Dialect/Train/IR/Train.h"

#include <numbers>

using namespace mlir;
using namespace nibble;
using namespace nibble::rules;

static void giveSum(Adjoint &d, TypedValue<RankedTensorType> operand, Value gradient) {
  d.give(operand, d.sumTo(gradient, operand.getType()));
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

/// y = −x: dx = −dy.
static void negRule(nn::NegOp op, Adjoint &d) { d.give(op.getX(), d.neg(d.dy())); }

/// y = √x: dx = dy / (y + y).
static void sqrtRule(nn::SqrtOp op, Adjoint &d) {
  Value y = d.save(op.getResult());
  d.give(op.getX(), d.div(d.dy(), d.add(y, y)));
}

/// y = eˣ: dx = dy·y.
static void expRule(nn::ExpOp op, Adjoint &d) {
  d.give(op.getX(), d.mul(d.dy(), d.save(op.getResult())));
}

/// y = ln x: dx = dy / x.
static void logRule(nn::LogOp op, Adjoint &d) {
  d.give(op.getX(), d.div(d.dy(), d.save(op.getX())));
}

/// y = |x|: dx = x < 0 ? −dy : dy (at 0 the derivative from the right).
static void absRule(nn::AbsOp op, Adjoint &d) {
  Value negative = d.savedCompare(op.getX(), d.constant(0), nn::Comparison::LT);
  d.give(op.getX(), d.select(negative, d.neg(d.dy()), d.dy()));
}

/// y = erf x: dx = dy·(2/√π)·exp(−x²).
static void erfRule(nn::ErfOp op, Adjoint &d) {
  Value x = d.save(op.getX());
  Value slope = d.mul(d.constant(2 * std::numbers::inv_sqrtpi), d.exp(d.neg(d.mul(x, x))));
  d.give(op.getX(), d.mul(d.dy(), slope));
}

/// y = tanh x: dx = dy·(1 − y²).
static void tanhRule(nn::TanhOp op, Adjoint &d) {
  Value y = d.save(op.getResult());
  d.give(op.getX(), d.mul(d.dy(), d.sub(d.constant(1), d.mul(y, y))));
}

/// y = σ(x): dx = dy·(y·(1 − y)).
static void sigmoidRule(nn::SigmoidOp op, Adjoint &d) {
  Value y = d.save(op.getResult());
  d.give(op.getX(), d.mul(d.dy(), d.mul(y, d.sub(d.constant(1), y))));
}

/// Is the gradient already 0 wherever `relu` is? So it is where it comes from a clip of relu's
/// result with lo ≥ 0: the clip's bit lo < y < hi implies y > 0.
static bool isMaskedByClipOf(Value gradient, Value relu) {
  auto mask = gradient.getDefiningOp<nn::MaskOp>();
  auto saved = mask ? mask.getBits().getDefiningOp<train::SaveOp>() : nullptr;
  auto inside = saved ? saved.getValue().getDefiningOp<nn::InsideOp>() : nullptr;
  DenseElementsAttr lo;
  return inside && inside.getX() == relu && matchPattern(inside.getLo(), m_Constant(&lo)) &&
         !lo.getSplatValue<APFloat>().isNegative();
}

/// y = max(x, 0): dx = y > 0 ? dy : 0.
static void reluRule(nn::ReluOp op, Adjoint &d) {
  if (isMaskedByClipOf(d.dy(), op.getResult()))
    return d.give(op.getX(), d.dy());
  d.give(op.getX(),
         d.mask(d.dy(), d.savedCompare(op.getResult(), d.constant(0), nn::Comparison::GT)));
}

/// y = x < 0 ? slope·x : x: dx = x < 0 ? slope·dy : dy.
static void leakyReluRule(nn::LeakyReluOp op, Adjoint &d) {
  Value negative = d.savedCompare(op.getX(), d.constant(0), nn::Comparison::LT);
  Value steep = d.mul(d.constant(op.getSlope().convertToDouble()), d.dy());
  d.give(op.getX(), d.select(negative, steep, d.dy()));
}

/// y = clip(x, lo, hi): dx = lo < x < hi ? dy : 0.
static void clipRule(nn::ClipOp op, Adjoint &d) {
  Value lo = d.constant(op.getLo().convertToDouble()),
        hi = d.constant(op.getHi().convertToDouble());
  d.give(op.getX(), d.mask(d.dy(), d.savedInside(op.getX(), lo, hi)));
}

/// PACT (Choi et al. 2018): y = clip(x, lo, α), lo = 0 or −α: dx = lo < x < α ? dy : 0; dα = Σ_{x ≥
/// α} dy − Σ_{x ≤ −α} dy. Which end clipped is read off the sign of y, so that codes can stand for
/// y later.
static void clipLearnedRule(nn::ClipLearnedOp op, Adjoint &d) {
  Value alpha = op.getAlpha(), lo;
  if (op.getOneSided()) {
    lo = d.constant(0);
  } else {
    OpBuilder before(op);
    lo = nn::NegOp::create(before, d.loc(), alpha.getType(), alpha);
  }
  Value inside = d.savedInside(op.getX(), lo, alpha);
  if (d.wants(op.getX()))
    d.give(op.getX(), d.mask(d.dy(), inside));
  if (d.wants(alpha))
    d.give(alpha, nn::ClipAlphaGradOp::create(d.builder(), d.loc(), alpha.getType(), d.dy(), inside,
                                              d.save(op.getResult()), Value()));
}

/// Dropout, in training: y = keep ? x/(1 − ratio) : 0. The companion is the keep mask.
static void dropoutRule(nn::DropoutOp op, Adjoint &d) {
  Value keep = d.save(d.companion()->getResult(0));
  d.give(op.getX(),
         d.mul(d.mask(d.dy(), keep), d.constant(1.0 / (1.0 - op.getRatio().convertToDouble()))));
}

//===----------------------------------------------------------------------===//
// Two and three operands
//===----------------------------------------------------------------------===//

/// y = a + b: da = dy, db = dy.
static void addRule(nn::AddOp op, Adjoint &d) {
  for (auto operand : {op.getA(), op.getB()})
    if (d.wants(operand))
      giveSum(d, operand, d.dy());
}

/// y = a − b: da = dy, db = −dy (the sign after the sum: fewer elements).
static void subRule(nn::SubOp op, Adjoint &d) {
  if (d.wants(op.getA()))
    giveSum(d, op.getA(), d.dy());
  if (d.wants(op.getB()))
    d.give(op.getB(), d.neg(d.sumTo(d.dy(), op.getB().getType())));
}

/// y = a·b: da = dy·b, db = dy·a.
static void mulRule(nn::MulOp op, Adjoint &d) {
  if (d.wants(op.getA()))
    giveSum(d, op.getA(), d.mul(d.dy(), d.save(op.getB())));
  if (d.wants(op.getB()))
    giveSum(d, op.getB(), d.mul(d.dy(), d.save(op.getA())));
}

/// y = a / b: da = dy / b, db = −(dy / b)·y.
static void divRule(nn::DivOp op, Adjoint &d) {
  Value da = d.div(d.dy(), d.save(op.getB()));
  if (d.wants(op.getA()))
    giveSum(d, op.getA(), da);
  if (d.wants(op.getB()))
    giveSum(d, op.getB(), d.neg(d.mul(da, d.save(op.getResult()))));
}

/// y = a · b + c: da = dy·b, db = dy·a, dc = dy.
static void fmaRule(nn::FmaOp op, Adjoint &d) {
  if (d.wants(op.getA()))
    giveSum(d, op.getA(), d.mul(d.dy(), d.save(op.getB())));
  if (d.wants(op.getB()))
    giveSum(d, op.getB(), d.mul(d.dy(), d.save(op.getA())));
  if (d.wants(op.getC()))
    giveSum(d, op.getC(), d.dy());
}

/// y = bit ? b : a: da = bit ? 0 : dy, db = bit ? dy : 0.
static void giveChosen(Adjoint &d, TypedValue<RankedTensorType> a, TypedValue<RankedTensorType> b,
                       Value bits) {
  if (d.wants(a))
    giveSum(d, a, d.select(bits, d.constant(0), d.dy()));
  if (d.wants(b))
    giveSum(d, b, d.mask(d.dy(), bits));
}
/// min: b where b < a (on a tie all goes to a).
static void minRule(nn::MinOp op, Adjoint &d) {
  giveChosen(d, op.getA(), op.getB(), d.savedCompare(op.getB(), op.getA(), nn::Comparison::LT));
}
/// max: b where a < b.
static void maxRule(nn::MaxOp op, Adjoint &d) {
  giveChosen(d, op.getA(), op.getB(), d.savedCompare(op.getA(), op.getB(), nn::Comparison::LT));
}

/// y = bit ? a : b.
static void selectRule(nn::SelectOp op, Adjoint &d) {
  giveChosen(d, op.getB(), op.getA(), d.save(op.getBits()));
}

/// y = bit ? x : 0: dx = bit ? dy : 0.
static void maskRule(nn::MaskOp op, Adjoint &d) {
  d.give(op.getX(), d.mask(d.dy(), d.save(op.getBits())));
}

void rules::attachElementwiseRules(MLIRContext *context) {
  attachRule<nn::NegOp, negRule>(context);
  attachRule<nn::SqrtOp, sqrtRule>(context);
  attachRule<nn::ExpOp, expRule>(context);
  attachRule<nn::LogOp, logRule>(context);
  attachRule<nn::AbsOp, absRule>(context);
  attachRule<nn::ErfOp, erfRule>(context);
  attachRule<nn::TanhOp, tanhRule>(context);
  attachRule<nn::SigmoidOp, sigmoidRule>(context);
  attachRule<nn::ReluOp, reluRule>(context);
  attachRule<nn::LeakyReluOp, leakyReluRule>(context);
  attachRule<nn::ClipOp, clipRule>(context);
  attachRule<nn::ClipLearnedOp, clipLearnedRule>(context);
  attachRule<nn::DropoutOp, dropoutRule>(context);
  attachRule<nn::AddOp, addRule>(context);
  attachRule<nn::SubOp, subRule>(context);
  attachRule<nn::MulOp, mulRule>(context);
  attachRule<nn::DivOp, divRule>(context);
  attachRule<nn::FmaOp, fmaRule>(context);
  attachRule<nn::MinOp, minRule>(context);
  attachRule<nn::MaxOp, maxRule>(context);
  attachRule<nn::SelectOp, selectRule>(context);
  attachRule<nn::MaskOp, maskRule>(context);
  attachNone<isMask, nn::CompareOp, nn::InsideOp, nn::KeepMaskOp>(context);
  attachNone<isDerivative, nn::ClipAlphaGradOp>(context);
}
