//===- ScaleEmitters.cpp - scalars from scalars -------------------------------===//
//
// Each is its function of Numerics/Scale.h, Log4.h or Optimizer.h, instantiated for scalar values of the IR.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"

#include "nibble/Numerics/Scale.h"

using namespace nibble::codegen;
namespace generic = nibble::numerics::generic;
namespace q4 = nibble::q4;
namespace train = nibble::train;
using F = VectorOps::F;
using I = VectorOps::I;
using B = VectorOps::B;

static F scalar(Group &g, Value operand) { return {loadScalar(g.e, g.in(operand))}; }

static LogicalResult emit(Group &g, q4::ScaleOp op) {
  VectorOps s = g.e.scalarOps();
  F scale = generic::scaleFromMax(s, scalar(g, op.getMax()), s.constF(op.getDivisor().convertToFloat()));
  storeScalar(g.e, scale.v, g.out(op.getScale()));
  return success();
}

/// numerics::minMaxScale
static LogicalResult emit(Group &g, q4::AffineScaleOp op) {
  VectorOps s = g.e.scalarOps();
  F min = scalar(g, op.getLo()), max = scalar(g, op.getHi()), zero = s.constF(0);
  F lo = s.select(s.lt(min, zero), min, zero);
  F scale = generic::scaleFromMax(s, generic::minMaxWidth(s, min, max), s.constF(15));
  I zeroPoint = generic::minMaxZeroPoint(s, lo, generic::reciprocal(s, scale));
  storeScalar(g.e, scale.v, g.out(op.getScale()));
  storeScalar(g.e, zeroPoint.v, g.out(op.getZeroPoint()));
  return success();
}

/// numerics::radix4Step(phaseMultiplier(s, odd)): 4⁻³/M, M = s or 2s.
static LogicalResult emit(Group &g, q4::LogScaleOp op) {
  VectorOps s = g.e.scalarOps();
  F mult = scalar(g, op.getGradScale());
  if (op.getOdd())
    mult = s.mul(s.constF(2), mult);
  storeScalar(g.e, s.div(s.constF(0.015625), mult).v, g.out(op.getScale()));
  return success();
}

static LogicalResult emit(Group &g, q4::GradScaleUpdateOp op) {
  VectorOps s = g.e.scalarOps();
  F next = generic::updateGradScale(s, scalar(g, op.getGradScale()), scalar(g, op.getMax()));
  storeScalar(g.e, next.v, g.out(op.getResult()));
  return success();
}

static LogicalResult emit(Group &g, q4::MovingRangeOp op) {
  VectorOps s = g.e.scalarOps();
  F state = scalar(g, op.getState());
  B unset = s.compare(arith::CmpFPredicate::OEQ, state, s.constF(0));
  storeScalar(g.e, generic::movingRange(s, state, scalar(g, op.getValue()), unset).v, g.out(op.getResult()));
  return success();
}

/// numerics::powInteger: x^n by repeated squaring from the lowest bit of n. All 63 bits are gone through: those beyond the
/// highest set one leave the result as it is.
static Value powInteger(LoopBuilder &e, double x, Value n) {
  VectorOps wide = e.scalarOps(/*wide=*/true);
  auto result = e.loop(e.index(0), e.index(63), 1, {e.f64(1), e.f64(x), n}, [&](Value, ValueRange v) {
    Value bit = arith::TruncIOp::create(e.b, e.loc, e.b.getI1Type(), v[2]);
    F product = wide.select({bit}, wide.mul({v[0]}, {v[1]}), F{v[0]});
    Value rest = arith::ShRUIOp::create(e.b, e.loc, v[2], e.i64(1));
    return SmallVector<Value>{product.v, wide.mul({v[1]}, {v[1]}).v, rest};
  });
  return result[0];
}

/// lr·factor, with `adam` numerics::adamRate64 of it: lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ), from left to right; rounded once.
static LogicalResult emit(Group &g, train::RateOp op) {
  LoopBuilder &e = g.e;
  VectorOps wide = e.scalarOps(/*wide=*/true);
  F rate = wide.mul(scalar(g, op.getLr()), wide.constF(op.getFactor().convertToDouble()));
  if (op.getAdam()) {
    Value t = loadScalar(e, g.in(op.getStep()));
    F one = wide.constF(1);
    F second = wide.sub(one, {powInteger(e, op.getBeta2().convertToDouble(), t)});
    F first = wide.sub(one, {powInteger(e, op.getBeta1().convertToDouble(), t)});
    rate = wide.div(wide.mul(rate, wide.sqrt(second)), first);
  }
  storeScalar(e, arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), rate.v), g.out(op.getResult()));
  return success();
}

/// The remainder of the counter by `count` is 0, count − 1.
static LogicalResult emit(Group &g, train::MicroBatchOp op) {
  LoopBuilder &e = g.e;
  Value counter = loadScalar(e, g.in(op.getRng()), 1), count = e.i64(static_cast<int64_t>(op.getCount()));
  Value place = arith::RemUIOp::create(e.b, e.loc, counter, count);
  auto is = [&](int64_t wanted) -> Value {
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, place, e.i64(wanted));
  };
  storeScalar(e, is(0), g.out(op.getFirst()));
  storeScalar(e, is(static_cast<int64_t>(op.getCount()) - 1), g.out(op.getLast()));
  return success();
}

Emitted nibble::codegen::emitScale(Group &group, Operation *op) {
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<q4::ScaleOp, q4::AffineScaleOp, q4::LogScaleOp, q4::GradScaleUpdateOp, q4::MovingRangeOp, train::RateOp,
            train::MicroBatchOp>(
          [&](auto typed) { return emit(group, typed); })
      .Default([](Operation *) { return std::nullopt; });
}
