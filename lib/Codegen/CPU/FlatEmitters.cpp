//===- FlatEmitters.cpp - statistics and flags of whole tensors ---------------===//
#include "Emitters.h"
#include "Sums.h"

#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Numerics/Optimizer.h"
#include "nibble/Numerics/Scale.h"

using namespace nibble::codegen;
namespace generic = nibble::numerics::generic;
namespace q4 = nibble::q4;
namespace train = nibble::train;
using F = VectorOps::F;
using I = VectorOps::I;
using B = VectorOps::B;

/// max over 32 lanes a chunk: the op's tensor is its operand `x`.
static SmallVector<int64_t> magnitudeScratch(Value x) {
  return {foldFlatScratch(cast<RankedTensorType>(x.getType()).getNumElements(), 1)};
}

//===----------------------------------------------------------------------===//
// Folds: alone, or in the loop of an element-wise group
//===----------------------------------------------------------------------===//

/// The largest bits of |x|, where a NaN counts as more than infinity.
static FoldRule magnitudeRule(Group &g) {
  LoopBuilder &e = g.e;
  VectorOps o = e.ops(kBlock);
  FoldRule rule;
  rule.init = {o.constI(0).v};
  rule.merge = [&e](unsigned, Value a, Value b) -> Value {
    return arith::MaxSIOp::create(e.b, e.loc, a, b);
  };
  rule.update = [&e, merge = rule.merge](Value block, ValueRange soFar, std::optional<B> mask) {
    VectorOps o = e.ops(kBlock);
    I magnitude = o.iand(o.bits({block}), o.constI(0x7FFFFFFF));
    if (mask)
      magnitude = o.select(*mask, magnitude, o.constI(0));
    return SmallVector<Value>{merge(0, soFar[0], magnitude.v)};
  };
  return rule;
}

static FoldRule ruleOf(Group &g, q4::AbsMaxOp op) {
  FoldRule rule = magnitudeRule(g);
  rule.finish = [&g, op](ValueRange found) mutable {
    storeScalar(g.e, magnitudeOf(g.e, found[0]), g.out(op.getResult()));
  };
  return rule;
}

static FoldRule ruleOf(Group &g, q4::NonFiniteOp op) {
  FoldRule rule = magnitudeRule(g);
  rule.finish = [&g, op](ValueRange found) mutable {
    VectorOps o = g.e.scalarOps();
    B isSet = o.ilt(o.constI(op.getInfinities() ? 0x7F7FFFFF : 0x7F800000), I{found[0]});
    storeScalar(g.e, isSet.v, g.out(op.getResult()));
  };
  return rule;
}

/// How many of 32 truth values are set.
static Value popCount(LoopBuilder &e, B set) {
  Type i32 = e.b.getI32Type();
  Value bits = vector::BitCastOp::create(e.b, e.loc, VectorType::get({1}, i32), set.v);
  return math::CtPopOp::create(e.b, e.loc, e.extract(bits, 0));
}

/// {codes at an end of their set, codes of zero}: counted a block at a time, in scalar registers.
static FoldRule ruleOf(Group &g, q4::CodeCountsOp op) {
  LoopBuilder &e = g.e;
  bool isLog = logRadix(cast<RankedTensorType>(op.getCodes().getType()).getElementType()) != 0;
  VectorOps s = e.scalarOps();
  int8_t qmin = static_cast<int8_t>(op.getQmin()), qmax = static_cast<int8_t>(op.getQmax());
  auto type = VectorType::get({kBlock}, e.b.getI8Type());
  auto constant = [&e, type](int8_t value) { return e.splat(type, e.b.getI8IntegerAttr(value)); };
  I zeroScalar = op.getZeroPoint() ? I{loadScalar(e, g.in(op.getZeroPoint()))} : s.constI(0);
  Value zeroByte = arith::TruncIOp::create(e.b, e.loc, e.b.getI8Type(), zeroScalar.v);
  Value zero = vector::BroadcastOp::create(e.b, e.loc, type, zeroByte);
  // Where zero is the smallest code, that end does not count: then both ends are the largest code.
  Value zeroIsMin = s.ieq(zeroScalar, s.constI(op.getQmin())).v;
  Value least = arith::SelectOp::create(e.b, e.loc, zeroIsMin, constant(qmax), constant(qmin));
  FoldRule rule;
  rule.init = {e.i32(0), e.i32(0)};
  rule.merge = [&e](unsigned, Value a, Value b) -> Value {
    return arith::AddIOp::create(e.b, e.loc, a, b);
  };
  rule.update = [=, &e, add = rule.merge](Value block, ValueRange soFar, std::optional<B> mask) {
    VectorOps o = e.ops(kBlock);
    auto equal = [&](Value a, Value b) { return o.compare(arith::CmpIPredicate::eq, I{a}, I{b}); };
    Value code = isLog ? arith::AndIOp::create(e.b, e.loc, block, constant(7)).getResult() : block;
    B end =
        isLog ? equal(code, constant(7)) : o.bor(equal(code, constant(qmax)), equal(code, least));
    B isZero = equal(code, isLog ? constant(0) : zero);
    if (mask)
      end = o.band(end, *mask), isZero = o.band(isZero, *mask);
    return SmallVector<Value>{add(0, soFar[0], popCount(e, end)),
                              add(1, soFar[1], popCount(e, isZero))};
  };
  rule.finish = [&g, op](ValueRange found) mutable {
    Buffer result = g.out(op.getResult());
    storeScalar(g.e, found[0], result, 0);
    storeScalar(g.e, found[1], result, 1);
  };
  return rule;
}

FoldRule nibble::codegen::foldRule(Group &group, Operation *op) {
  if (op->hasTrait<nibble::HardlyReads>())
    return magnitudeRule(group); // what becomes of it is the op's own (emitLasting)
  return TypeSwitch<Operation *, FoldRule>(op)
      .Case<q4::AbsMaxOp, q4::NonFiniteOp, q4::CodeCountsOp>(
          [&](auto typed) { return ruleOf(group, typed); });
}

unsigned nibble::codegen::foldWidth(Operation *op) { return isa<q4::CodeCountsOp>(op) ? 2 : 1; }

/// A fold that is a group by itself.
static LogicalResult emitFold(Group &g, Operation *op) {
  FoldRule rule = foldRule(g, op);
  Buffer x = g.in(op->getOperand(0));
  FlatFold fold;
  fold.init = rule.init;
  fold.merge = rule.merge;
  fold.step = [&](Value at, ValueRange soFar, std::optional<B> mask) {
    return rule.update(loadBlock(g.e, x, at), soFar, mask);
  };
  rule.finish(foldFlat(g, 0, x.count(), fold));
  return success();
}

//===----------------------------------------------------------------------===//
// Ranges, flags, clips
//===----------------------------------------------------------------------===//

/// lo = min(0, min x), hi = max(0, max x), starting at +0 and replaced by what is beyond; the third
/// accumulator tells of NaN.
static LogicalResult emit(Group &g, q4::RangeOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX());
  VectorOps o = e.ops(kBlock);
  FlatFold fold;
  fold.init = {o.constF(0).v, o.constF(0).v, o.constI(0).v};
  fold.merge = [&](unsigned i, Value a, Value b) -> Value {
    VectorOps any = e.scalarOps();
    if (i == 2)
      return any.ior({a}, {b}).v;
    return any.select(i == 0 ? any.lt({b}, {a}) : any.lt({a}, {b}), F{b}, F{a}).v;
  };
  fold.step = [&](Value at, ValueRange soFar, std::optional<B> mask) {
    F value{loadBlock(e, x, at)};
    if (mask)
      value = o.select(*mask, value, o.constF(0));
    I nan = o.select(generic::isNan(o, value), o.constI(1), o.constI(0));
    return SmallVector<Value>{fold.merge(0, soFar[0], value.v), fold.merge(1, soFar[1], value.v),
                              fold.merge(2, soFar[2], nan.v)};
  };
  SmallVector<Value> found = foldFlat(g, 0, x.count(), fold);
  VectorOps s = e.scalarOps();
  B nan = s.ilt(s.constI(0), I{found[2]});
  F quietNan = s.fromBits(s.constI(0x7FC00000));
  storeScalar(e, s.select(nan, quietNan, F{found[0]}).v, g.out(op.getLo()));
  storeScalar(e, s.select(nan, quietNan, F{found[1]}).v, g.out(op.getHi()));
  return success();
}

/// Flags are bytes 0 or 1.
static LogicalResult emit(Group &g, q4::OrOp op) {
  VectorOps o = g.e.scalarOps();
  B any = o.constB(false);
  for (Value flag : op.getFlags())
    any = o.bor(any, {loadScalar(g.e, g.in(flag))});
  storeScalar(g.e, any.v, g.out(op.getResult()));
  return success();
}

/// α = c1·√mean(w²) + c0·mean|w| from flat sums; the maximum is looked for only where the formula
/// gives nothing positive.
static LogicalResult emit(Group &g, q4::SawbClipOp op) {
  LoopBuilder &e = g.e;
  Buffer w = g.in(op.getW());
  VectorOps o = e.ops(kLanes), wide = e.scalarOps(/*wide=*/true);
  SmallVector<Value> sums = flatSums(g, 0, w.count(), 2, [&](Value at, int64_t active) {
    F x{loadReals(e, w, at, kLanes, active)};
    return SmallVector<Value>{o.mul(x, x).v, generic::abs(o, x).v};
  });
  F count = wide.constF(static_cast<double>(w.count())), zero = wide.constF(0);
  F alpha = generic::sawbClip(wide, F{sums[0]}, F{sums[1]}, count,
                              zero); // 0 where the formula is not positive
  Type f32 = e.b.getF32Type();
  Value result = e.ifElse(
      wide.lt(zero, alpha).v, f32,
      [&] { return SmallVector<Value>{arith::TruncFOp::create(e.b, e.loc, f32, alpha.v)}; },
      [&] { return SmallVector<Value>{absMax(g, 1, w)}; })[0];
  storeScalar(e, result, g.out(op.getAlpha()));
  return success();
}

/// √(Σ flat sums of g²), and min(1, limit/norm), in f64, rounded once.
static LogicalResult emit(Group &g, train::ClipFactorOp op) {
  LoopBuilder &e = g.e;
  VectorOps o = e.ops(kLanes), wide = e.scalarOps(/*wide=*/true);
  F sum = wide.constF(0);
  for (Value gradient : op.getGradients()) {
    Buffer x = g.in(gradient);
    sum = wide.add(sum, F{flatSums(g, 0, x.count(), 1, [&](Value at, int64_t active) {
                     F v{loadReals(e, x, at, kLanes, active)};
                     return SmallVector<Value>{o.mul(v, v).v};
                   })[0]});
  }
  F norm = wide.sqrt(sum),
    factor = generic::clipFactor(wide, norm, wide.constF(op.getLimit().convertToDouble()));
  Type f32 = e.b.getF32Type();
  storeScalar(e, arith::TruncFOp::create(e.b, e.loc, f32, factor.v), g.out(op.getFactor()));
  storeScalar(e, arith::TruncFOp::create(e.b, e.loc, f32, norm.v), g.out(op.getNorm()));
  return success();
}

/// α, or while it is unset `init`, or max|x| where `init` is 0: only then x is read. At least `floor`.
static void emitLasting(Group &g, q4::InitClipOp op, function_ref<Value()> maximum) {
  LoopBuilder &e = g.e;
  VectorOps s = e.scalarOps();
  F alpha{loadScalar(e, g.in(op.getAlpha()))};
  float init = op.getInit().convertToFloat();
  F first = s.constF(init);
  if (init == 0)
    first.v = e.ifElse(
        s.lt(s.constF(0), alpha).v, e.b.getF32Type(),
        [&] { return SmallVector<Value>{e.f32(0)}; },
        [&] { return SmallVector<Value>{maximum()}; })[0];
  F clip = generic::learnedClip(s, alpha, first, op.getFloor().convertToFloat());
  storeScalar(e, clip.v, g.out(op.getResult()));
}

/// The stored maximum, or this batch's while it is unset: only then x is read.
static void emitLasting(Group &g, q4::FrozenRangeOp op, function_ref<Value()> maximum) {
  LoopBuilder &e = g.e;
  VectorOps s = e.scalarOps();
  F state{loadScalar(e, g.in(op.getState()))};
  B isSet = s.compare(arith::CmpFPredicate::UNE, state, s.constF(0));
  Value result = e.ifElse(
      isSet.v, e.b.getF32Type(), [&] { return SmallVector<Value>{state.v}; },
      [&] { return SmallVector<Value>{maximum()}; })[0];
  storeScalar(e, result, g.out(op.getResult()));
}

void nibble::codegen::emitLasting(Group &group, Operation *op, function_ref<Value()> maximum) {
  TypeSwitch<Operation *>(op).Case<q4::InitClipOp, q4::FrozenRangeOp>(
      [&](auto typed) { ::emitLasting(group, typed, maximum); });
}

Emitted nibble::codegen::emitStatistics(Group &group, Operation *op) {
  if (op->hasTrait<nibble::FoldLike>())
    return emitFold(group, op);
  if (op->hasTrait<nibble::HardlyReads>()) {
    emitLasting(group, op, [&] { return absMax(group, 0, group.in(op->getOperand(1))); });
    return success();
  }
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<q4::RangeOp, q4::OrOp, q4::SawbClipOp, train::ClipFactorOp>(
          [&](auto typed) { return emit(group, typed); })
      .Default([](Operation *) { return std::nullopt; });
}

SmallVector<int64_t> nibble::codegen::statisticsScratch(Operation *op) {
  auto count = [](Value v) { return cast<RankedTensorType>(v.getType()).getNumElements(); };
  using Parts = SmallVector<int64_t>;
  return TypeSwitch<Operation *, Parts>(op)
      .Case<q4::AbsMaxOp, q4::NonFiniteOp, q4::InitClipOp, q4::FrozenRangeOp>(
          [&](auto typed) { return magnitudeScratch(typed.getX()); })
      .Case<train::ClipFactorOp>([&](train::ClipFactorOp clip) {
        int64_t most = 0;
        for (Value gradient : clip.getGradients())
          most = std::max(most, flatSumsScratch(count(gradient), 1));
        return Parts{most};
      })
      .Case<q4::RangeOp>(
          [&](q4::RangeOp range) { return Parts{foldFlatScratch(count(range.getX()), 3)}; })
      .Case<q4::CodeCountsOp>([&](q4::CodeCountsOp counts) {
        return Parts{foldFlatScratch(count(counts.getCodes()), 2)};
      })
      .Case<q4::SawbClipOp>([&](q4::SawbClipOp sawb) {
        return Parts{flatSumsScratch(count(sawb.getW()), 2),
                     foldFlatScratch(count(sawb.getW()), 1)};
      })
      .Default([](Operation *) { return Parts{}; });
}
