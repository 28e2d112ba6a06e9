//===- ChannelEmitters.cpp - sums per channel, and batch normalization --------===//
#include "ChannelSums.h"
#include "Emitters.h"

#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Numerics/BatchNorm.h"
#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Scale.h"

using namespace nibble::codegen;
namespace nn = nibble::nn;
namespace plan = nibble::plan;
namespace train = nibble::train;
namespace generic = nibble::numerics::generic;
namespace q4 = nibble::q4;
using F = VectorOps::F;
using I = VectorOps::I;
using B = VectorOps::B;

static constexpr int64_t kLanes16 = kChannelLanes;

static F narrow(LoopBuilder &e, F wide) {
  Type type = e.ops(kLanes16).type(e.b.getF32Type());
  return {arith::TruncFOp::create(e.b, e.loc, type, wide.v)};
}
static F widen(LoopBuilder &e, F x) {
  Type type = e.ops(kLanes16).type(e.b.getF64Type());
  return {arith::ExtFOp::create(e.b, e.loc, type, x.v)};
}

/// Stores 16 channels of a per-channel result, where it is wanted.
static void storeChannels(LoopBuilder &e, F value, const Buffer &y, Value first, int64_t active) {
  if (y.memory)
    e.store(value.v, y.memory, first, active);
}

/// A code as a whole number.
static I wideCode(LoopBuilder &e, Value operand, Value code) {
  VectorOps o = e.ops(cast<VectorType>(code.getType()).getNumElements());
  Type i32 = o.type(e.b.getI32Type());
  if (logRadix(cast<RankedTensorType>(operand.getType()).getElementType()))
    return {arith::ExtUIOp::create(e.b, e.loc, i32, code)};
  return {arith::ExtSIOp::create(e.b, e.loc, i32, code)};
}

/// What a code is worth in steps of its scale, less zero's (log codes have none).
static F wholeOf(LoopBuilder &e, Value operand, Value code, I zero) {
  VectorOps o = e.ops(cast<VectorType>(code.getType()).getNumElements());
  unsigned radix = logRadix(cast<RankedTensorType>(operand.getType()).getElementType());
  I wide = wideCode(e, operand, code);
  return radix ? generic::decodeLog(o, wide, radix == 4 ? 2 : 1) : o.toFloat(o.isub(wide, zero));
}

/// What makes reals of the codes that an operand stands for; null where it does not.
static q4::DequantizeOp decoderOf(Value operand) {
  return sourceOf(operand).getDefiningOp<q4::DequantizeOp>();
}

/// A zero point, in every lane; 0 where there is none.
static I zeroOf(Group &g, Value zeroPoint) {
  VectorOps o = g.e.ops(kBlock);
  return zeroPoint ? o.splat(I{loadScalar(g.e, g.in(zeroPoint))}) : o.constI(0);
}

using Elements = ChannelRule::Elements;

static ChannelRule ruleOf(Group &g, nn::ChannelSumOp op) {
  ChannelRule rule;
  rule.terms = [op](Elements elements, ArrayRef<Value>, int64_t) mutable {
    return SmallVector<Value>{elements(op.getX())};
  };
  rule.finish = [&g, op](unsigned part) mutable {
    forChannelSums(g, part, ChannelShape(op.getX().getType()), 1,
                   [&](Value first, int64_t active, ArrayRef<Value> sums) {
                     storeChannels(g.e, narrow(g.e, {sums[0]}), g.out(op.getResult()), first,
                                   active);
                   });
  };
  return rule;
}

/// Terms bit ? +0 : (y > 0 ? dy : y < 0 ? −dy : +0), y the clipped value or its code less zero's.
static ChannelRule ruleOf(Group &g, nn::ClipAlphaGradOp op) {
  LoopBuilder &e = g.e;
  I zero = zeroOf(g, op.getZeroPoint());
  ChannelRule rule;
  rule.packed = true;
  rule.terms = [&e, op, zero](Elements elements, ArrayRef<Value>, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F gradient{elements(op.getDy())}, none = o.constF(0);
    Value y = elements(op.getY());
    B above, below;
    if (op.getY().getType().getElementType().isF32()) {
      above = o.lt(none, {y}), below = o.lt({y}, none);
    } else {
      I value = wideCode(e, op.getY(), y);
      above = o.ilt(zero, value), below = o.ilt(value, zero);
    }
    F outside = o.select(above, gradient, o.select(below, generic::neg(o, gradient), none));
    return SmallVector<Value>{o.select(B{elements(op.getInside())}, none, outside).v};
  };
  rule.finish = [&g, &e, op](unsigned part) mutable {
    Value sum = sumChannels(g, part, ChannelShape(op.getDy().getType()), 1)[0];
    storeScalar(e, arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), sum),
                g.out(op.getResult()));
  };
  return rule;
}

/// ⟨g, g⟩/⟨g, Q(g)⟩: terms g·g and g·(code·scale), each product rounded.
static ChannelRule ruleOf(Group &g, q4::GainOp op) {
  LoopBuilder &e = g.e;
  F scale = e.ops(kBlock).splat(F{loadScalar(e, g.in(op.getScale()))});
  ChannelRule rule;
  rule.packed = true;
  rule.terms = [&e, op, scale](Elements elements, ArrayRef<Value>, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F value{elements(op.getG())};
    F whole = wholeOf(e, op.getCodes(), elements(op.getCodes()), o.constI(0));
    return SmallVector<Value>{o.mul(value, value).v, o.mul(value, o.mul(whole, scale)).v};
  };
  rule.finish = [&g, &e, op](unsigned part) mutable {
    VectorOps wide = e.scalarOps(/*wide=*/true);
    SmallVector<Value> sums = sumChannels(g, part, ChannelShape(op.getG().getType()), 2);
    F gain = generic::gain(wide, F{sums[0]}, F{sums[1]});
    storeScalar(e, arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), gain.v),
                g.out(op.getResult()));
  };
  return rule;
}

/// ⟨x, Q(x)⟩/⟨x, x⟩ and ‖x − Q(x)‖²/‖x‖² (numerics::fidelityGain, fidelityNoise).
static ChannelRule ruleOf(Group &g, q4::FidelityOp op) {
  LoopBuilder &e = g.e;
  F scale = e.ops(kBlock).splat(F{loadScalar(e, g.in(op.getScale()))});
  I zero = zeroOf(g, op.getZeroPoint());
  ChannelRule rule;
  rule.packed = true;
  rule.terms = [&e, op, scale, zero](Elements elements, ArrayRef<Value>, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F value{elements(op.getX())};
    F whole = wholeOf(e, op.getCodes(), elements(op.getCodes()), zero);
    F worth = o.mul(whole, scale), d = o.sub(value, worth);
    return SmallVector<Value>{o.mul(value, value).v, o.mul(value, worth).v, o.mul(d, d).v};
  };
  rule.finish = [&g, &e, op](unsigned part) mutable {
    VectorOps wide = e.scalarOps(/*wide=*/true);
    SmallVector<Value> sums = sumChannels(g, part, ChannelShape(op.getX().getType()), 3);
    auto ratio = [&](Value sum, double otherwise) {
      F all{sums[0]};
      F quotient =
          wide.select(wide.lt(wide.constF(0), all), wide.div(F{sum}, all), wide.constF(otherwise));
      return arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), quotient.v);
    };
    storeScalar(e, ratio(sums[1], 1), g.out(op.getGain()));
    storeScalar(e, ratio(sums[2], 0), g.out(op.getNoise()));
  };
  return rule;
}

/// a = γ·rstd, b = β − mean·a (numerics::batchNormForward).
static void storeMap(LoopBuilder &e, F gamma, F beta, F mean, F rstd, const Buffer &a,
                     const Buffer &b, Value first, int64_t active) {
  VectorOps o = e.ops(kLanes16), wide = e.ops(kLanes16, /*wide=*/true);
  F slope = o.mul(gamma, rstd);
  F offset =
      narrow(e, generic::batchNormOffset(wide, widen(e, beta), widen(e, mean), widen(e, slope)));
  storeChannels(e, slope, a, first, active);
  storeChannels(e, offset, b, first, active);
}

/// Channels of a per-channel operand.
static F channelsOf(Group &g, Value operand, Value first, int64_t active,
                    int64_t lanes = kLanes16) {
  return {loadReals(g.e, g.in(operand), first, lanes, active)};
}

/// Sums of d = x − c and d², c the running mean; numerics::batchNormStats, batchNormForward and
/// runningStat of them.
static ChannelRule ruleOf(Group &g, nn::BatchStatsOp op) {
  LoopBuilder &e = g.e;
  ChannelRule rule;
  rule.prepare = [&g, op](Value first, int64_t lanes, int64_t active) mutable {
    return SmallVector<Value>{channelsOf(g, op.getMean(), first, active, lanes).v};
  };
  rule.terms = [&e, op](Elements elements, ArrayRef<Value> center, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F d = o.sub({elements(op.getX())}, {center[0]});
    return SmallVector<Value>{d.v, o.mul(d, d).v};
  };
  rule.finish = [&g, &e, op](unsigned part) mutable {
    ChannelShape shape(op.getX().getType());
    VectorOps o = e.ops(kLanes16), wide = e.ops(kLanes16, /*wide=*/true);
    double eps = op.getEpsilon().convertToFloat(), momentum = op.getMomentum().convertToFloat();
    F n = wide.constF(static_cast<double>(shape.rows));
    F keep = o.constF(static_cast<float>(momentum)),
      take = o.constF(static_cast<float>(1.0 - momentum));
    forChannelSums(g, part, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
      auto channels = [&](Value operand) { return channelsOf(g, operand, first, active); };
      F center = channels(op.getMean()), old = channels(op.getVariance());
      auto stats = generic::batchNormStats(wide, F{sums[0]}, F{sums[1]}, n, widen(e, center),
                                           wide.constF(eps));
      F mean = narrow(e, stats.mean), variance = narrow(e, stats.variance),
        rstd = narrow(e, stats.rstd);
      storeMap(e, channels(op.getScale()), channels(op.getBias()), mean, rstd, g.out(op.getA()),
               g.out(op.getB()), first, active);
      storeChannels(e, mean, g.out(op.getBatchMean()), first, active);
      storeChannels(e, rstd, g.out(op.getRstd()), first, active);
      storeChannels(e, generic::runningStat(o, center, mean, keep, take), g.out(op.getNewMean()),
                    first, active);
      storeChannels(e, generic::runningStat(o, old, variance, keep, take),
                    g.out(op.getNewVariance()), first, active);
    });
  };
  return rule;
}

/// The affine map of running statistics.
static LogicalResult emit(Group &g, nn::BatchNormFoldOp op) {
  LoopBuilder &e = g.e;
  VectorOps wide = e.ops(kLanes16, /*wide=*/true);
  F eps = wide.constF(op.getEpsilon().convertToFloat());
  e.vectors(op.getA().getType().getNumElements(), kLanes16, [&](Value first, int64_t active) {
    auto channels = [&](Value operand) { return channelsOf(g, operand, first, active); };
    F rstd = narrow(e, generic::reciprocalStd(wide, widen(e, channels(op.getVariance())), eps));
    storeMap(e, channels(op.getScale()), channels(op.getBias()), channels(op.getMean()), rstd,
             g.out(op.getA()), g.out(op.getB()), first, active);
    storeChannels(e, rstd, g.out(op.getRstd()), first, active);
  });
  return success();
}

/// S₁ = Σdy, S₂ = Σdy·(x − mean); numerics::batchNormBackward of them.
static ChannelRule ruleOf(Group &g, nn::BatchNormGradOp op) {
  LoopBuilder &e = g.e;
  ChannelRule rule;
  rule.prepare = [&g, op](Value first, int64_t lanes, int64_t active) mutable {
    return SmallVector<Value>{channelsOf(g, op.getBatchMean(), first, active, lanes).v};
  };
  rule.terms = [&e, op](Elements elements, ArrayRef<Value> mean, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F gradient{elements(op.getDy())};
    F d = o.sub({elements(op.getX())}, {mean[0]});
    return SmallVector<Value>{gradient.v, o.mul(gradient, d).v};
  };
  rule.finish = [&g, &e, op](unsigned part) mutable {
    ChannelShape shape(op.getDy().getType());
    VectorOps o = e.ops(kLanes16), wide = e.ops(kLanes16, /*wide=*/true);
    F n = wide.constF(static_cast<double>(shape.rows));
    forChannelSums(g, part, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
      auto channels = [&](Value operand) { return channelsOf(g, operand, first, active); };
      F s1{sums[0]}, s2{sums[1]};
      F gamma = channels(op.getScale()), rstd = channels(op.getRstd());
      F mean = widen(e, channels(op.getBatchMean())), wideRstd = widen(e, rstd);
      F k1 = o.mul(gamma, rstd), wideK1 = widen(e, k1);
      F k2 = narrow(e, generic::batchNormK2(wide, wideK1, wideRstd, s2, n));
      F k3 = narrow(e, generic::batchNormK3(wide, wideK1, widen(e, k2), mean, s1, n));
      storeChannels(e, k1, g.out(op.getK1()), first, active);
      storeChannels(e, k2, g.out(op.getK2()), first, active);
      storeChannels(e, k3, g.out(op.getK3()), first, active);
      storeChannels(e, narrow(e, wide.mul(s2, wideRstd)), g.out(op.getDscale()), first, active);
      storeChannels(e, narrow(e, s1), g.out(op.getDbias()), first, active);
    });
  };
  return rule;
}

/// S₁ = Σdy, S₂ = Σdy·x̂; numerics::batchNormBackward of them, with mean 0, deviation 1 and a for γ.
static ChannelRule ruleOf(Group &g, nn::NormalizedGradOp op) {
  LoopBuilder &e = g.e;
  ChannelRule rule;
  rule.packed = static_cast<bool>(decoderOf(op.getX()));
  rule.terms = [&e, op](Elements elements, ArrayRef<Value>, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F gradient{elements(op.getDy())};
    return SmallVector<Value>{gradient.v, o.mul(gradient, {elements(op.getX())}).v};
  };
  rule.finish = [&g, &e, op](unsigned part) mutable {
    ChannelShape shape(op.getDy().getType());
    VectorOps wide = e.ops(kLanes16, /*wide=*/true);
    F n = wide.constF(static_cast<double>(shape.rows)), one = wide.constF(1), zero = wide.constF(0);
    forChannelSums(g, part, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
      F s1{sums[0]}, s2{sums[1]}, a = widen(e, channelsOf(g, op.getSlope(), first, active));
      F k2 = narrow(e, generic::batchNormK2(wide, a, one, s2, n));
      F k3 = narrow(e, generic::batchNormK3(wide, a, widen(e, k2), zero, s1, n));
      storeChannels(e, k2, g.out(op.getK2()), first, active);
      storeChannels(e, k3, g.out(op.getK3()), first, active);
      storeChannels(e, narrow(e, s2), g.out(op.getDscale()), first, active);
      storeChannels(e, narrow(e, s1), g.out(op.getDbias()), first, active);
    });
  };
  return rule;
}

unsigned nibble::codegen::channelWidth(Operation *op) {
  if (isa<q4::FidelityOp>(op))
    return 3;
  return isa<nn::ChannelSumOp, nn::ClipAlphaGradOp>(op) ? 1 : 2;
}

ChannelRule nibble::codegen::channelRule(Group &group, Operation *op) {
  ChannelRule rule = TypeSwitch<Operation *, ChannelRule>(op)
                         .Case<nn::ChannelSumOp, nn::ClipAlphaGradOp, q4::GainOp, q4::FidelityOp,
                               nn::BatchStatsOp, nn::BatchNormGradOp, nn::NormalizedGradOp>(
                             [&](auto typed) { return ruleOf(group, typed); });
  rule.k = channelWidth(op);
  return rule;
}

/// 32 elements of an operand of a sum that is a group by itself; codes behind a decoder become
/// reals.
static Value loadDecoded(Group &g, Value operand, Value at) {
  LoopBuilder &e = g.e;
  auto decode = decoderOf(operand);
  if (!decode)
    return loadBlock(e, g.in(operand), at);
  VectorOps o = e.ops(kBlock);
  F scale = o.splat(F{loadScalar(e, g.in(decode.getScale()))});
  Value codes = loadBlock(e, g.in(decode.getCodes()), at);
  return o.mul(wholeOf(e, decode.getCodes(), codes, zeroOf(g, decode.getZeroPoint())), scale).v;
}

/// A sum that is a group by itself.
static LogicalResult emitSum(Group &g, Operation *op) {
  LoopBuilder &e = g.e;
  ChannelShape shape(cast<RankedTensorType>(op->getOperand(0).getType()));
  ChannelRule rule = channelRule(g, op);
  if (rule.packed)
    channelBlockSums(g, 0, shape, rule.k, [&](Value at) {
      return rule.terms([&](Value operand) { return loadDecoded(g, operand, at); }, {}, kBlock);
    });
  else
    channelBlockSums(
        g, 0, shape, rule.k,
        [&](Value first, int64_t active) {
          return rule.prepare ? rule.prepare(first, kLanes16, active) : SmallVector<Value>();
        },
        [&](Value at, int64_t active, ArrayRef<Value> prepared) {
          auto elements = [&](Value operand) {
            return loadReals(e, g.in(operand), at, kLanes16, active);
          };
          return rule.terms(elements, prepared, kLanes16);
        });
  rule.finish(0);
  return success();
}

Emitted nibble::codegen::emitChannel(Group &group, Operation *op) {
  if (op->hasTrait<nibble::ChannelFoldLike>())
    return emitSum(group, op);
  if (auto fold = dyn_cast<nn::BatchNormFoldOp>(op))
    return emit(group, fold);
  return std::nullopt;
}

SmallVector<int64_t> nibble::codegen::channelScratch(Operation *op) {
  if (!op->hasTrait<nibble::ChannelFoldLike>())
    return {};
  ChannelShape shape(cast<RankedTensorType>(op->getOperand(0).getType()));
  unsigned k = channelWidth(op);
  SmallVector<int64_t> bytes{channelSumsScratch(shape, k)};
  bool packed = isa<nn::ClipAlphaGradOp, q4::GainOp, q4::FidelityOp>(op) ||
                llvm::any_of(op->getOperands(), decoderOf);
  if (packed)
    bytes.push_back(channelStageScratch(shape, k));
  return bytes;
}
