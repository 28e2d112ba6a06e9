//===- ChannelEmitters.cpp - sums per channel, and batch normalization --------===//
#include "ChannelSums.h"
#include "Emitters.h"

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

static LogicalResult emit(Group &g, nn::ChannelSumOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX()), y = g.out(op.getResult());
  ChannelShape shape(x.type);
  channelBlockSums(g, 0, shape, 1, nothing, [&](Value at, int64_t active, ArrayRef<Value>) {
    return SmallVector<Value>{loadReals(e, x, at, kLanes16, active)};
  });
  forChannelSums(g, 0, shape, 1, [&](Value first, int64_t active, ArrayRef<Value> sums) {
    storeChannels(e, narrow(e, {sums[0]}), y, first, active);
  });
  return success();
}

/// Terms bit ? +0 : (y > 0 ? dy : y < 0 ? −dy : +0), y the clipped value or its code less zero's.
static LogicalResult emit(Group &g, nn::ClipAlphaGradOp op) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), inside = g.in(op.getInside()), y = g.in(op.getY());
  ChannelShape shape(dy.type);
  VectorOps o = e.ops(kBlock);
  I zero = o.constI(0);
  if (op.getZeroPoint())
    zero = o.splat(I{loadScalar(e, g.in(op.getZeroPoint()))});
  channelBlockSums(g, 0, shape, 1, [&](Value at) {
    F gradient{loadBlock(e, dy, at)}, none = o.constF(0);
    B above, below;
    if (y.element().isF32()) {
      F value{loadBlock(e, y, at)};
      above = o.lt(none, value), below = o.lt(value, none);
    } else {
      Type i32 = o.type(e.b.getI32Type());
      Value code = loadBlock(e, y, at);
      I value{logRadix(y.element()) ? arith::ExtUIOp::create(e.b, e.loc, i32, code).getResult()
                                    : arith::ExtSIOp::create(e.b, e.loc, i32, code).getResult()};
      above = o.ilt(zero, value), below = o.ilt(value, zero);
    }
    F outside = o.select(above, gradient, o.select(below, generic::neg(o, gradient), none));
    return SmallVector<Value>{o.select(B{loadBlock(e, inside, at)}, none, outside).v};
  });
  Value sum = sumChannels(g, 0, shape, 1)[0];
  storeScalar(e, arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), sum), g.out(op.getResult()));
  return success();
}

/// ⟨g, g⟩/⟨g, Q(g)⟩: terms g·g and g·(code·scale), each product rounded.
static LogicalResult emit(Group &g, q4::GainOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getG()), codes = g.in(op.getCodes());
  ChannelShape shape(x.type);
  VectorOps o = e.ops(kBlock), wide = e.scalarOps(/*wide=*/true);
  F scale = o.splat(F{loadScalar(e, g.in(op.getScale()))});
  unsigned radix = logRadix(codes.element());
  channelBlockSums(g, 0, shape, 2, [&](Value at) {
    F value{loadBlock(e, x, at)};
    Value code = loadBlock(e, codes, at);
    Type i32 = o.type(e.b.getI32Type());
    F whole = radix ? generic::decodeLog(o, I{arith::ExtUIOp::create(e.b, e.loc, i32, code)}, radix == 4 ? 2 : 1)
                    : o.toFloat(I{arith::ExtSIOp::create(e.b, e.loc, i32, code)});
    return SmallVector<Value>{o.mul(value, value).v, o.mul(value, o.mul(whole, scale)).v};
  });
  SmallVector<Value> sums = sumChannels(g, 0, shape, 2);
  F gain = generic::gain(wide, F{sums[0]}, F{sums[1]});
  storeScalar(e, arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), gain.v), g.out(op.getResult()));
  return success();
}

/// ⟨x, Q(x)⟩/⟨x, x⟩ and ‖x − Q(x)‖²/‖x‖² (numerics::fidelityGain, fidelityNoise).
static LogicalResult emit(Group &g, q4::FidelityOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX()), codes = g.in(op.getCodes());
  ChannelShape shape(x.type);
  VectorOps o = e.ops(kBlock), s = e.scalarOps(), wide = e.scalarOps(/*wide=*/true);
  F scale = o.splat(F{loadScalar(e, g.in(op.getScale()))});
  I zero = o.splat(op.getZeroPoint() ? I{loadScalar(e, g.in(op.getZeroPoint()))} : s.constI(0));
  unsigned radix = logRadix(codes.element());
  channelBlockSums(g, 0, shape, 3, [&](Value at) {
    F value{loadBlock(e, x, at)};
    Value code = loadBlock(e, codes, at);
    Type i32 = o.type(e.b.getI32Type());
    F whole = radix ? generic::decodeLog(o, I{arith::ExtUIOp::create(e.b, e.loc, i32, code)}, radix == 4 ? 2 : 1)
                    : o.toFloat(o.isub(I{arith::ExtSIOp::create(e.b, e.loc, i32, code)}, zero));
    F worth = o.mul(whole, scale), d = o.sub(value, worth);
    return SmallVector<Value>{o.mul(value, value).v, o.mul(value, worth).v, o.mul(d, d).v};
  });
  SmallVector<Value> sums = sumChannels(g, 0, shape, 3);
  auto ratio = [&](Value sum, double otherwise) {
    F all{sums[0]};
    F quotient = wide.select(wide.lt(wide.constF(0), all), wide.div(F{sum}, all), wide.constF(otherwise));
    return arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), quotient.v);
  };
  storeScalar(e, ratio(sums[1], 1), g.out(op.getGain()));
  storeScalar(e, ratio(sums[2], 0), g.out(op.getNoise()));
  return success();
}

/// a = γ·rstd, b = β − mean·a (numerics::batchNormForward).
static void storeMap(LoopBuilder &e, F gamma, F beta, F mean, F rstd, const Buffer &a, const Buffer &b, Value first,
                     int64_t active) {
  VectorOps o = e.ops(kLanes16), wide = e.ops(kLanes16, /*wide=*/true);
  F slope = o.mul(gamma, rstd);
  F offset = narrow(e, generic::batchNormOffset(wide, widen(e, beta), widen(e, mean), widen(e, slope)));
  storeChannels(e, slope, a, first, active);
  storeChannels(e, offset, b, first, active);
}

/// Sums of d = x − c and d², c the running mean; numerics::batchNormStats, batchNormForward and runningStat of them.
static LogicalResult emit(Group &g, nn::BatchStatsOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX());
  ChannelShape shape(x.type);
  VectorOps o = e.ops(kLanes16), wide = e.ops(kLanes16, /*wide=*/true);
  auto channels = [&](Value operand, Value first, int64_t active) {
    return F{loadReals(e, g.in(operand), first, kLanes16, active)};
  };
  channelBlockSums(
      g, 0, shape, 2,
      [&](Value first, int64_t active) { return SmallVector<Value>{channels(op.getMean(), first, active).v}; },
      [&](Value at, int64_t active, ArrayRef<Value> center) {
        F d = o.sub({loadReals(e, x, at, kLanes16, active)}, {center[0]});
        return SmallVector<Value>{d.v, o.mul(d, d).v};
      });
  double eps = op.getEpsilon().convertToFloat(), momentum = op.getMomentum().convertToFloat();
  F n = wide.constF(static_cast<double>(shape.rows));
  F keep = o.constF(static_cast<float>(momentum)), take = o.constF(static_cast<float>(1.0 - momentum));
  forChannelSums(g, 0, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
    F center = channels(op.getMean(), first, active), old = channels(op.getVariance(), first, active);
    auto stats = generic::batchNormStats(wide, F{sums[0]}, F{sums[1]}, n, widen(e, center), wide.constF(eps));
    F mean = narrow(e, stats.mean), variance = narrow(e, stats.variance), rstd = narrow(e, stats.rstd);
    storeMap(e, channels(op.getScale(), first, active), channels(op.getBias(), first, active), mean, rstd, g.out(op.getA()),
             g.out(op.getB()), first, active);
    storeChannels(e, mean, g.out(op.getBatchMean()), first, active);
    storeChannels(e, rstd, g.out(op.getRstd()), first, active);
    storeChannels(e, generic::runningStat(o, center, mean, keep, take), g.out(op.getNewMean()), first, active);
    storeChannels(e, generic::runningStat(o, old, variance, keep, take), g.out(op.getNewVariance()), first, active);
  });
  return success();
}

/// The affine map of running statistics.
static LogicalResult emit(Group &g, nn::BatchNormFoldOp op) {
  LoopBuilder &e = g.e;
  VectorOps wide = e.ops(kLanes16, /*wide=*/true);
  F eps = wide.constF(op.getEpsilon().convertToFloat());
  e.vectors(op.getA().getType().getNumElements(), kLanes16, [&](Value first, int64_t active) {
    auto channels = [&](Value operand) { return F{loadReals(e, g.in(operand), first, kLanes16, active)}; };
    F rstd = narrow(e, generic::reciprocalStd(wide, widen(e, channels(op.getVariance())), eps));
    storeMap(e, channels(op.getScale()), channels(op.getBias()), channels(op.getMean()), rstd, g.out(op.getA()),
             g.out(op.getB()), first, active);
    storeChannels(e, rstd, g.out(op.getRstd()), first, active);
  });
  return success();
}

/// S₁ = Σdy, S₂ = Σdy·(x − mean); numerics::batchNormBackward of them.
static LogicalResult emit(Group &g, nn::BatchNormGradOp op) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), x = g.in(op.getX());
  ChannelShape shape(dy.type);
  VectorOps o = e.ops(kLanes16), wide = e.ops(kLanes16, /*wide=*/true);
  auto channels = [&](Value operand, Value first, int64_t active) {
    return F{loadReals(e, g.in(operand), first, kLanes16, active)};
  };
  channelBlockSums(
      g, 0, shape, 2,
      [&](Value first, int64_t active) { return SmallVector<Value>{channels(op.getBatchMean(), first, active).v}; },
      [&](Value at, int64_t active, ArrayRef<Value> mean) {
        F gradient{loadReals(e, dy, at, kLanes16, active)};
        F d = o.sub({loadReals(e, x, at, kLanes16, active)}, {mean[0]});
        return SmallVector<Value>{gradient.v, o.mul(gradient, d).v};
      });
  F n = wide.constF(static_cast<double>(shape.rows));
  forChannelSums(g, 0, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
    F s1{sums[0]}, s2{sums[1]};
    F gamma = channels(op.getScale(), first, active), rstd = channels(op.getRstd(), first, active);
    F mean = widen(e, channels(op.getBatchMean(), first, active)), wideRstd = widen(e, rstd);
    F k1 = o.mul(gamma, rstd), wideK1 = widen(e, k1);
    F k2 = narrow(e, generic::batchNormK2(wide, wideK1, wideRstd, s2, n));
    F k3 = narrow(e, generic::batchNormK3(wide, wideK1, widen(e, k2), mean, s1, n));
    storeChannels(e, k1, g.out(op.getK1()), first, active);
    storeChannels(e, k2, g.out(op.getK2()), first, active);
    storeChannels(e, k3, g.out(op.getK3()), first, active);
    storeChannels(e, narrow(e, wide.mul(s2, wideRstd)), g.out(op.getDscale()), first, active);
    storeChannels(e, narrow(e, s1), g.out(op.getDbias()), first, active);
  });
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
    return channelBlockSums(g, 0, shape, 2, nothing, [&](Value at, int64_t active, ArrayRef<Value>) {
      F gradient{loadReals(e, dy, at, kLanes16, active)}, value{loadReals(e, x, at, kLanes16, active)};
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
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<nn::ChannelSumOp, nn::ClipAlphaGradOp, q4::GainOp, q4::FidelityOp, nn::BatchStatsOp, nn::BatchNormFoldOp, nn::BatchNormGradOp,
            nn::NormalizedGradOp>(
          [&](auto typed) { return emit(group, typed); })
      .Default([](Operation *) { return std::nullopt; });
}

SmallVector<int64_t> nibble::codegen::channelScratch(Operation *op) {
  using Parts = SmallVector<int64_t>;
  auto parts = [](Value x, unsigned k, bool flat) {
    ChannelShape shape(cast<RankedTensorType>(x.getType()));
    Parts bytes{channelSumsScratch(shape, k)};
    if (flat)
      bytes.push_back(channelStageScratch(shape, k));
    return bytes;
  };
  return TypeSwitch<Operation *, Parts>(op)
      .Case<nn::ChannelSumOp>([&](nn::ChannelSumOp sum) { return parts(sum.getX(), 1, false); })
      .Case<nn::ClipAlphaGradOp>([&](nn::ClipAlphaGradOp clip) { return parts(clip.getDy(), 1, true); })
      .Case<q4::GainOp>([&](q4::GainOp gain) { return parts(gain.getG(), 2, true); })
      .Case<q4::FidelityOp>([&](q4::FidelityOp fidelity) { return parts(fidelity.getX(), 3, true); })
      .Case<nn::BatchStatsOp>([&](nn::BatchStatsOp stats) { return parts(stats.getX(), 2, false); })
      .Case<nn::BatchNormGradOp>([&](nn::BatchNormGradOp grad) { return parts(grad.getDy(), 2, false); })
      .Case<nn::NormalizedGradOp>([&](nn::NormalizedGradOp grad) {
        return parts(grad.getDy(), 2, static_cast<bool>(sourceOf(grad.getX()).getDefiningOp<q4::DequantizeOp>()));
      })
      .Default([](Operation *) { return Parts{}; });
}
