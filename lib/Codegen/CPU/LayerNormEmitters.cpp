//===- LayerNormEmitters.cpp - layer normalization and its gradient ----------===//
//
// Formulas of Numerics/LayerNorm.h: a row at a time, each on one thread, its sums flat reductions
// counted from the row's start.
//
//===----------------------------------------------------------------------===//
#include "ChannelSums.h"
#include "Emitters.h"
#include "Sums.h"

#include "nibble/Numerics/LayerNorm.h"

using namespace nibble::codegen;
namespace nn = nibble::nn;
namespace plan = nibble::plan;
namespace train = nibble::train;
namespace generic = nibble::numerics::generic;
using F = VectorOps::F;

static F narrow(LoopBuilder &e, F wide) {
  return {arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), wide.v)};
}

/// The row's number as a scalar of a vector with one element a row.
static F rowScalar(LoopBuilder &e, const Buffer &x, Value row) {
  return {x.splat ? e.pool.get(e.b, x.splat) : e.loadScalar(x.memory, row)};
}

namespace {
/// What a row's elements are read with.
struct RowReader {
  LoopBuilder &e;
  Buffer x;
  F mean, rstd; // splats

  F at(Value place, int64_t active) const { return {loadReals(e, x, place, kLanes, active)}; }
  F normalized(Value place, int64_t active) const {
    VectorOps o = e.ops(kLanes);
    return generic::layerNormalized(o, at(place, active), mean, rstd);
  }
};
} // namespace

static LogicalResult emit(Group &g, nn::LayerNormOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getX()), gamma = g.in(op.getScale()),
         beta = op.getBias() ? g.in(op.getBias()) : Buffer();
  Buffer y = g.out(op.getResult()), means = g.out(op.getMean()), rstds = g.out(op.getRstd());
  int64_t n = gamma.count();
  VectorOps o = e.ops(kLanes), s = e.scalarOps(), wide = e.scalarOps(/*wide=*/true);
  F count = wide.constF(static_cast<double>(n)),
    eps = wide.constF(op.getEpsilon().convertToFloat());
  e.parallel(x.count() / n, n * 4, [&](Value row) {
    Value begin = e.mul(row, n);
    RowReader in{e, x, {}, {}};
    F mean = s.constF(0);
    if (!op.getRms())
      mean = narrow(e, wide.div({rowSums(e, begin, n, 1,
                                         [&](Value at, int64_t active) {
                                           return SmallVector<Value>{in.at(at, active).v};
                                         })[0]},
                                count));
    in.mean = o.splat(mean);
    Value squares = rowSums(e, begin, n, 1, [&](Value at, int64_t active) {
      F d = o.sub(in.at(at, active), in.mean);
      return SmallVector<Value>{o.mul(d, d).v};
    })[0];
    F rstd = narrow(e, generic::layerNormRstd(wide, F{squares}, count, eps));
    in.rstd = o.splat(rstd);
    if (means.memory)
      e.storeScalar(mean.v, means.memory, row);
    if (rstds.memory)
      e.storeScalar(rstd.v, rstds.memory, row);
    if (!y.memory)
      return;
    e.vectors(n, kLanes, [&](Value place, int64_t active) {
      Value at = e.add(begin, place);
      F normalized = in.normalized(at, active), scale{loadReals(e, gamma, place, kLanes, active)};
      F result = beta ? o.fma(normalized, scale, {loadReals(e, beta, place, kLanes, active)})
                      : o.mul(normalized, scale);
      e.store(result.v, y.memory, at, active);
    });
  });
  return success();
}

/// dx of all rows.
static void emitRows(Group &g, nn::LayerNormGradOp op, const Buffer &dx) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), gamma = g.in(op.getScale());
  Buffer means = g.in(op.getMean()), rstds = g.in(op.getRstd());
  int64_t n = gamma.count();
  VectorOps o = e.ops(kLanes), s = e.scalarOps(), wide = e.scalarOps(/*wide=*/true);
  F count = wide.constF(static_cast<double>(n));
  e.parallel(dy.count() / n, n * 4, [&](Value row) {
    Value begin = e.mul(row, n);
    RowReader in{e, g.in(op.getX()), o.splat(rowScalar(e, means, row)),
                 o.splat(rowScalar(e, rstds, row))};
    auto scaled = [&](Value at, int64_t active) {
      Value place = e.sub(at, begin);
      return o.mul({loadReals(e, dy, at, kLanes, active)},
                   {loadReals(e, gamma, place, kLanes, active)});
    };
    SmallVector<Value> sums = rowSums(e, begin, n, 2, [&](Value at, int64_t active) {
      F gradient = scaled(at, active);
      return SmallVector<Value>{gradient.v, o.mul(gradient, in.normalized(at, active)).v};
    });
    F k1 = op.getRms() ? s.constF(0) : narrow(e, wide.div({sums[0]}, count));
    F minusK2 = generic::neg(s, narrow(e, wide.div({sums[1]}, count)));
    k1 = o.splat(k1), minusK2 = o.splat(minusK2);
    e.vectors(n, kLanes, [&](Value place, int64_t active) {
      Value at = e.add(begin, place);
      F result = generic::layerNormDx(o, scaled(at, active), in.normalized(at, active), k1, minusK2,
                                      in.rstd);
      e.store(result.v, dx.memory, at, active);
    });
  });
}

/// dscale and dbias: sums over the rows.
static void emitChannels(Group &g, nn::LayerNormGradOp op, const Buffer &dscale,
                         const Buffer &dbias) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), means = g.in(op.getMean()), rstds = g.in(op.getRstd());
  ChannelShape shape(dy.type);
  VectorOps o = e.ops(kChannelLanes);
  auto nothing = [](Value, int64_t) { return SmallVector<Value>(); };
  channelBlockSums(g, 0, shape, 2, nothing, [&](Value at, int64_t active, ArrayRef<Value>) {
    Value row = e.div(at, shape.channels);
    RowReader in{e, g.in(op.getX()), o.splat(rowScalar(e, means, row)),
                 o.splat(rowScalar(e, rstds, row))};
    F gradient{loadReals(e, dy, at, kChannelLanes, active)};
    return SmallVector<Value>{o.mul(gradient, in.normalized(at, active)).v, gradient.v};
  });
  Type vector = o.type(e.b.getF32Type());
  forChannelSums(g, 0, shape, 2, [&](Value first, int64_t active, ArrayRef<Value> sums) {
    for (auto [sum, y] : llvm::zip(sums, std::array<Buffer, 2>{dscale, dbias}))
      if (y.memory)
        e.store(arith::TruncFOp::create(e.b, e.loc, vector, sum), y.memory, first, active);
  });
}

static LogicalResult emit(Group &g, nn::LayerNormGradOp op) {
  Buffer dx = g.out(op.getDx()), dscale = g.out(op.getDscale()), dbias = g.out(op.getDbias());
  if (dx.memory)
    emitRows(g, op, dx);
  if (dscale.memory || dbias.memory)
    emitChannels(g, op, dscale, dbias);
  return success();
}

Emitted nibble::codegen::emitLayerNorm(Group &group, Operation *op) {
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<nn::LayerNormOp, nn::LayerNormGradOp>([&](auto typed) { return emit(group, typed); })
      .Default([](Operation *) { return std::nullopt; });
}

SmallVector<int64_t> nibble::codegen::layerNormScratch(Operation *op) {
  if (auto grad = dyn_cast<nn::LayerNormGradOp>(op))
    return {channelSumsScratch(ChannelShape(grad.getDy().getType()), 2)};
  return {};
}
