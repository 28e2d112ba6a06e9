//===- ChannelEmitters.cpp - sums per channel, and batch normalization --------===//
#include "ChannelSums.h"
#include "Emitters.h"

#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Numerics/BatchNorm.h"
#include "nibble/Numerics/Int4.h"
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

static SmallVector<Value> nothing(Value, int64_t) { return {}; }

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
  I zeroPoint =
      op.getZeroPoint() ? I{loadScalar(e, g.in(op.getZeroPoint()))} : e.scalarOps().constI(0);
  I zero = e.ops(kBlock).splat(zeroPoint);
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
  rule.k = channelWidth(op);
  rule.packed = true;
  rule.terms = [&e, op, scale](Elements elements, ArrayRef<Value>, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F value{elements(op.getG())};
    I code = wideCode(e, op.getCodes(), elements(op.getCodes()));
    unsigned radix = logRadix(op.getCodes().getType().getElementType());
    F whole = radix ? generic::decodeLog(o, code, radix == 4 ? 2 : 1) : o.toFloat(code);
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
  I zeroPoint =
      op.getZeroPoint() ? I{loadScalar(e, g.in(op.getZeroPoint()))} : e.scalarOps().constI(0);
  I zero = e.ops(kBlock).splat(zeroPoint);
  ChannelRule rule;
  rule.k = channelWidth(op);
  rule.packed = true;
  rule.terms = [&e, op, scale, zero](Elements elements, ArrayRef<Value>, int64_t lanes) mutable {
    VectorOps o = e.ops(lanes);
    F value{elements(op.getX())};
    I code = wideCode(e, op.getCodes(), elements(op.getCodes()));
    unsigned radix = logRadix(op.getCodes().getType().getElementType());
    F whole =
        radix ? generic::decodeLog(o, code, radix == 4 ? 2 : 1) : o.toFloat(o.isub(code, zero));
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
  rule.k = channelWidth(op);
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
    auto channels = [&](Value operand) {
      return F{loadReals(e, g.in(operand), first, kLanes16, active)};
    };
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
  rule.k = channelWidth(op);
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

unsigned nibble::codegen::channelWidth(Operation *op) {
  if (isa<q4::FidelityOp>(op))
    return 3;
  return isa<q4::GainOp, nn::BatchStatsOp, nn::BatchNormGradOp, nn::NormalizedGradOp>(op) ? 2 : 1;
}

ChannelRule nibble::codegen::channelRule(Group &group, Operation *op) {
  return TypeSwitch<Operation *, ChannelRule>(op)
      .Case<nn::ChannelSumOp, nn::ClipAlphaGradOp, q4::GainOp, q4::FidelityOp, nn::BatchStatsOp,
            nn::BatchNormGradOp>([&](auto typed) { return ruleOf(group, typed); });
}

/// A sum that is a group by itself.
static LogicalResult emitSum(Group &g, Operation *op) {
  LoopBuilder &e = g.e;
  ChannelShape shape(cast<RankedTensorType>(op->getOperand(0).getType()));
  ChannelRule rule = channelRule(g, op);
  if (rule.packed)
    channelBlockSums(g, 0, shape, rule.k, [&](Value at) {
      return rule.terms([&](Value operand) { return loadBlock(e, g.in(operand), at); }, {}, kBlock);
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

/// S₁ = Σdy, S₂ = Σdy·x̂, where x̂ may be codes or bf16, behind a decoder.
static void normalizedSums(Group &g, nn::NormalizedGradOp op, const ChannelShape &shape) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy());
  auto decode = sourceOf(op.getX()).getDefiningOp<q4::DequantizeOp>();
  if (!decode) {
    Buffer x = g.in(op.getX());
    VectorOps o = e.ops(kLanes16);
    return channelBlockSums(g, 0, shape, 2, nothing,
                            [&](Value at, int64_t active, ArrayRef<Value>) {
                              F gradient{loadReals(e, dy, at, kLanes16, active)},
                                  value{loadReals(e, x, at, kLanes16, active)};
                              return SmallVector<Value>{gradient.v, o.mul(gradient, value).v};
                            });
  }
  VectorOps o = e.ops(kBlock);
  Buffer codes = g.in(decode.getCodes());
  F scale = o.splat(F{loadScalar(e, g.in(decode.getScale()))});
  channelBlockSums(g, 0, shape, 2, [&](Value at) {
    Type i32 = o.type(e.b.getI32Type());
    I code{arith::ExtSIOp::create(e.b, e.loc, i32, loadBlock(e, codes, at))};
    F gradient{loadBlock(e, dy, at)};
    return SmallVector<Value>{gradient.v, o.mul(gradient, generic::dequantize(o, code, scale)).v};
  });
}

/// numerics::batchNormBackward of these sums, with mean 0, deviation 1 and a for γ.
static LogicalResult emit(Group &g, nn::NormalizedGradOp op) {
  LoopBuilder &e = g.e;
  ChannelShape shape(op.getDy().getType());
  auto decode = sourceOf(op.getX()).getDefiningOp<q4::DequantizeOp>();
  if (decode && (decode.getZeroPoint() || logRadix(g.in(decode.getCodes()).element())))
    return op.emitOpError("reads codes of whole numbers without a zero point");
  normalizedSums(g, op, shape);
  VectorOps wide = e.ops(kLanes16, /*wide=*/true);
  F n = wide.constF(static_cast<double>(shape.rows)), one = wide.constF(1), zero = wide.constF(0);
  Buffer slope = g.in(op.getSlope());
  forChannelSums(g, 0, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
    F s1{sums[0]}, s2{sums[1]}, a = widen(e, F{loadReals(e, slope, first, kLanes16, active)});
    F k2 = narrow(e, generic::batchNormK2(wide, a, one, s2, n));
    F k3 = narrow(e, generic::batchNormK3(wide, a, widen(e, k2), zero, s1, n));
    storeChannels(e, k2, g.out(op.getK2()), first, active);
    storeChannels(e, k3, g.out(op.getK3()), first, active);
    storeChannels(e, narrow(e, s2), g.out(op.getDscale()), first, active);
    storeChannels(e, narrow(e, s1), g.out(op.getDbias()), first, active);
  });
  return success();
}

Emitted nibble::codegen::emitChannel(Group &group, Operation *op) {
  if (op->hasTrait<nibble::ChannelFoldLike>())
    return emitSum(group, op);
  if (auto fold = dyn_cast<nn::BatchNormFoldOp>(op))
    return emit(group, fold);
  if (auto grad = dyn_cast<nn::NormalizedGradOp>(op))
    return emit(group, grad);
  return std::nullopt;
}

SmallVector<int64_t> nibble::codegen::channelScratch(Operation *op) {
  auto grad = dyn_cast<nn::NormalizedGradOp>(op);
  if (!op->hasTrait<nibble::ChannelFoldLike>() && !grad)
    return {};
  ChannelShape shape(cast<RankedTensorType>(op->getOperand(0).getType()));
  unsigned k = channelWidth(op);
  SmallVector<int64_t> bytes{channelSumsScratch(shape, k)};
  bool codes = grad && sourceOf(grad.getX()).getDefiningOp<q4::DequantizeOp>();
  if (codes || isa<nn::ClipAlphaGradOp, q4::GainOp, q4::FidelityOp>(op))
    bytes.push_back(channelStageScratch(shape, k));
  return bytes;
}
