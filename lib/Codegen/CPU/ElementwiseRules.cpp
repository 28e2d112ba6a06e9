//===- ElementwiseRules.cpp - one short rule for each element-wise op ---------===//
//
// The formulas are those of the ops' descriptions; everything that Numerics defines is instantiated from there.
//
//===----------------------------------------------------------------------===//
#include "ElementwiseRules.h"

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Numerics/Numerics.h"

using namespace nibble::codegen;
namespace generic = nibble::numerics::generic;
namespace nn = nibble::nn;
namespace q4 = nibble::q4;
namespace train = nibble::train;
using F = Rules::F;
using I = Rules::I;
using B = Rules::B;

Value Rules::block(Value operand) {
  Value &value = blocks[operand];
  if (!value)
    value = hoist([&](VectorOps &) { return F{scalars.lookup(operand)}; }).v;
  return value;
}

I Rules::bits(Value operand) {
  return {arith::ExtUIOp::create(e.b, e.loc, o.type(e.b.getI32Type()), block(operand))};
}

I Rules::code(Value operand) {
  Type element = cast<RankedTensorType>(operand.getType()).getElementType();
  Value value = block(operand);
  if (logRadix(element))
    return {arith::ExtUIOp::create(e.b, e.loc, o.type(e.b.getI32Type()), value)};
  return {arith::ExtSIOp::create(e.b, e.loc, o.type(e.b.getI32Type()), value)};
}

Value Rules::scalar(Value operand) {
  Value &value = scalars[operand];
  if (value)
    return value;
  // Of an op of one element: behind it, that is outside the loop.
  Value block = blocks.lookup(operand);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointAfterValue(block);
  value = e.extract(block, 0);
  if (anchor && anchor == block.getDefiningOp())
    anchor = value.getDefiningOp();
  return value;
}

void Rules::setCode(Value result, I value) {
  blocks[result] = arith::TruncIOp::create(e.b, e.loc, o.type(e.b.getI8Type()), value.v);
}

//===----------------------------------------------------------------------===//
// nn
//===----------------------------------------------------------------------===//

static bool applyUnary(Operation *op, Rules &r) {
  VectorOps &o = r.o;
  auto x = [&] { return r.real(op->getOperand(0)); };
  auto done = [&](F y) {
    r.set(op->getResult(0), y);
    return true;
  };
  return TypeSwitch<Operation *, bool>(op)
      .Case<nn::NegOp>([&](auto) { return done(generic::neg(o, x())); })
      .Case<nn::AbsOp>([&](auto) { return done(generic::abs(o, x())); })
      .Case<nn::SqrtOp>([&](auto) { return done(o.sqrt(x())); })
      .Case<nn::ExpOp>([&](auto) { return done(generic::exp(o, x())); })
      .Case<nn::LogOp>([&](auto) { return done(generic::log(o, x())); })
      .Case<nn::ErfOp>([&](auto) { return done(generic::erf(o, x())); })
      .Case<nn::TanhOp>([&](auto) { return done(generic::tanh(o, x())); })
      .Case<nn::SigmoidOp>([&](auto) { return done(generic::sigmoid(o, x())); })
      .Case<nn::ReluOp>([&](auto) { return done(generic::relu(o, x())); })
      .Case<nn::LeakyReluOp>([&](nn::LeakyReluOp leaky) { // 0 > x ? slope·x : x
        F slope = o.constF(leaky.getSlope().convertToFloat()), v = x();
        return done(o.select(o.lt(v, o.constF(0)), o.mul(slope, v), v));
      })
      .Case<nn::ClipOp>([&](nn::ClipOp clip) {
        return done(generic::clip(o, x(), o.constF(clip.getLo().convertToFloat()), o.constF(clip.getHi().convertToFloat())));
      })
      .Case<nn::ClipLearnedOp>([&](nn::ClipLearnedOp clip) {
        auto alpha = [&](VectorOps &) { return F{r.scalar(clip.getAlpha())}; };
        F hi = r.hoist(alpha);
        F lo = clip.getOneSided() ? o.constF(0) : r.hoist([&](VectorOps &s) { return generic::neg(s, alpha(s)); });
        return done(generic::clip(o, r.real(clip.getX()), lo, hi));
      })
      .Default([](Operation *) { return false; });
}

static arith::CmpFPredicate predicateOf(nn::Comparison comparison) {
  switch (comparison) {
  case nn::Comparison::LT:
    return arith::CmpFPredicate::OLT;
  case nn::Comparison::LE:
    return arith::CmpFPredicate::OLE;
  case nn::Comparison::GT:
    return arith::CmpFPredicate::OGT;
  case nn::Comparison::GE:
    return arith::CmpFPredicate::OGE;
  case nn::Comparison::EQ:
    break;
  }
  return arith::CmpFPredicate::OEQ;
}

static bool applyBinary(Operation *op, Rules &r) {
  VectorOps &o = r.o;
  auto a = [&] { return r.real(op->getOperand(0)); };
  auto b = [&] { return r.real(op->getOperand(1)); };
  auto c = [&] { return r.real(op->getOperand(2)); };
  auto done = [&](auto y) {
    r.set(op->getResult(0), y);
    return true;
  };
  return TypeSwitch<Operation *, bool>(op)
      .Case<nn::AddOp>([&](auto) { return done(o.add(a(), b())); })
      .Case<nn::SubOp>([&](auto) { return done(o.sub(a(), b())); })
      .Case<nn::MulOp>([&](auto) { return done(o.mul(a(), b())); })
      .Case<nn::DivOp>([&](auto) { return done(o.div(a(), b())); })
      .Case<nn::MinOp>([&](auto) { return done(o.select(o.lt(b(), a()), b(), a())); })
      .Case<nn::MaxOp>([&](auto) { return done(o.select(o.lt(a(), b()), b(), a())); })
      .Case<nn::FmaOp>([&](auto) { return done(o.fma(a(), b(), c())); })
      .Case<nn::CompareOp>([&](nn::CompareOp cmp) { return done(o.compare(predicateOf(cmp.getPredicate()), a(), b())); })
      .Case<nn::InsideOp>([&](auto) { return done(generic::clipPasses(o, a(), b(), c())); })
      .Case<nn::MaskOp>([&](nn::MaskOp mask) { return done(o.select(r.mask(mask.getBits()), a(), o.constF(0))); })
      .Case<nn::SelectOp>([&](nn::SelectOp select) {
        return done(o.select(r.mask(select.getBits()), r.real(select.getA()), r.real(select.getB())));
      })
      .Case<nn::KeepMaskOp>([&](nn::KeepMaskOp keep) { // u ≥ threshold
        uint32_t threshold = nibble::numerics::dropThreshold(keep.getRatio().convertToFloat());
        return done(o.bnot(o.ilt(r.bits(keep.getBits()), o.constI(static_cast<int32_t>(threshold)))));
      })
      .Case<nn::BinaryCrossEntropyGradOp>([&](nn::BinaryCrossEntropyGradOp bce) { // (σ(x) − t)·(dloss·(1/count))
        float each = nibble::numerics::meanWeight<float>(bce.getResult().getType().getNumElements());
        F weight = r.hoist([&](VectorOps &s) { return s.mul(F{r.scalar(bce.getDloss())}, s.constF(each)); });
        return done(o.mul(o.sub(generic::sigmoid(o, a()), b()), weight));
      })
      .Case<nn::MseGradOp>([&](nn::MseGradOp mse) { // (y − t)·(dloss·(2/count))
        float each = static_cast<float>(2.0 / static_cast<double>(mse.getResult().getType().getNumElements()));
        F weight = r.hoist([&](VectorOps &s) { return s.mul(F{r.scalar(mse.getDloss())}, s.constF(each)); });
        return done(o.mul(o.sub(a(), b()), weight));
      })
      .Default([](Operation *) { return false; });
}

//===----------------------------------------------------------------------===//
// q4
//===----------------------------------------------------------------------===//

/// q = clamp(RNE(x·r) + Z), or stochastic.
static LogicalResult apply(q4::QuantizeOp op, Rules &r) {
  VectorOps &o = r.o;
  auto zero = [&](VectorOps &s) { return op.getZeroPoint() ? I{r.scalar(op.getZeroPoint())} : s.constI(0); };
  auto bound = [&](int32_t end) {
    return r.hoist([&](VectorOps &s) { return s.toFloat(s.isub(s.constI(end), zero(s))); });
  };
  F reciprocal = r.hoist([&](VectorOps &s) { return generic::reciprocal(s, F{r.scalar(op.getScale())}); });
  F lo = bound(op.getQmin()), hi = bound(op.getQmax()), x = r.real(op.getX());
  I code = op.getNoise() ? generic::quantizeStochastic(o, x, reciprocal, lo, hi, r.bits(op.getNoise()))
                         : generic::quantizeNearest(o, x, reciprocal, lo, hi);
  if (op.getZeroPoint())
    code = o.iadd(code, r.hoist(zero));
  r.setCode(op.getCodes(), code);
  return success();
}

static LogicalResult apply(q4::QuantizeLogOp op, Rules &r) {
  VectorOps &o = r.o;
  F x = r.real(op.getX()), scale{r.scalar(op.getScale())};
  if (logRadix(op.getCodes().getType().getElementType()) == 4) {
    // numerics::radix4Step, its own inverse: M = 4⁻³/step.
    F mult = r.hoist([&](VectorOps &s) { return s.div(s.constF(0.015625), scale); });
    r.setCode(op.getCodes(), generic::encodeRadix4Nearest(o, x, mult));
  } else {
    F step = r.hoist([&](VectorOps &) { return scale; });
    r.setCode(op.getCodes(), generic::encodeRadix2Stochastic(o, x, step, r.bits(op.getNoise())));
  }
  return success();
}

static LogicalResult apply(q4::NarrowOp op, Rules &r) {
  I half = generic::toBf16(r.o, r.real(op.getX()));
  r.blocks[op.getResult()] = arith::TruncIOp::create(r.e.b, r.e.loc, r.o.type(r.e.b.getI16Type()), half.v);
  return success();
}

static LogicalResult apply(q4::WidenOp op, Rules &r) {
  r.set(op.getResult(), F{widenBf16(r.e, r.block(op.getX()))});
  return success();
}

static LogicalResult apply(q4::DequantizeOp op, Rules &r) {
  VectorOps &o = r.o;
  unsigned radix = logRadix(op.getCodes().getType().getElementType());
  F scale = r.real(op.getScale());
  I code = r.code(op.getCodes());
  if (radix) {
    r.set(op.getResult(), o.mul(generic::decodeLog(o, code, radix == 4 ? 2 : 1), scale));
    return success();
  }
  if (op.getZeroPoint())
    code = o.isub(code, r.hoist([&](VectorOps &) { return I{r.scalar(op.getZeroPoint())}; }));
  r.set(op.getResult(), generic::dequantize(o, code, scale));
  return success();
}

//===----------------------------------------------------------------------===//
// train
//===----------------------------------------------------------------------===//

static LogicalResult apply(train::SgdOp op, Rules &r) {
  VectorOps &o = r.o;
  float momentum = op.getMomentum().convertToFloat(), decay = op.getDecay().convertToFloat();
  nibble::numerics::SgdForm form{.decay = decay != 0, .momentum = momentum != 0, .nesterov = op.getNesterov()};
  auto next = generic::sgd(o, form, r.real(op.getTheta()), r.real(op.getVelocity()), r.real(op.getGrad()),
                           r.real(op.getRate()), o.constF(momentum), o.constF(decay));
  r.set(op.getNewTheta(), next.theta);
  r.set(op.getNewVelocity(), next.velocity);
  return success();
}

static LogicalResult apply(train::AdamOp op, Rules &r) {
  VectorOps &o = r.o;
  nibble::numerics::AdamConstants<float> c(op.getBeta1().convertToDouble(), op.getBeta2().convertToDouble(),
                                           op.getEpsilon().convertToFloat());
  float lambda = op.getDecay().convertToFloat();
  bool decoupled = static_cast<bool>(op.getDecayRate());
  if (decoupled && lambda != 0)
    return op.emitOpError("has both kinds of decay");
  F decay = decoupled ? r.real(op.getDecayRate()) : o.constF(lambda);
  nibble::numerics::AdamForm form{.decay = decoupled || lambda != 0, .decoupled = decoupled};
  auto next = generic::adam(o, form, r.real(op.getTheta()), r.real(op.getM()), r.real(op.getV()), r.real(op.getGrad()),
                            r.real(op.getRate()), decay, o.constF(c.b1), o.constF(c.c1), o.constF(c.b2), o.constF(c.c2),
                            o.constF(c.eps));
  r.set(op.getNewTheta(), next.theta);
  r.set(op.getNewM(), next.m);
  r.set(op.getNewV(), next.v);
  return success();
}

LogicalResult nibble::codegen::applyRule(Operation *op, Rules &rules) {
  if (applyUnary(op, rules) || applyBinary(op, rules))
    return success();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<q4::QuantizeOp, q4::QuantizeLogOp, q4::DequantizeOp, q4::NarrowOp, q4::WidenOp, train::SgdOp, train::AdamOp>(
          [&](auto typed) { return apply(typed, rules); })
      .Default([](Operation *other) { return other->emitOpError("has no vector rule in Codegen/CPU/ElementwiseRules.cpp"); });
}
