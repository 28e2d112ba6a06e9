//===- LossEmitters.cpp - softmax, cross-entropy, squared error ---------------===//
//
// Formulas of Numerics/Loss.h. A row's maximum does not depend on the order (of the values that
// compare equal only zeros differ, and exp(x − max) is the same for both), so it is taken in lanes;
// NaN is skipped there and reaches the sum. Row sums are flat reductions counted from the row's
// start.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"
#include "Sums.h"

#include "nibble/Numerics/Loss.h"

#include <limits>

using namespace nibble::codegen;
namespace nn = nibble::nn;
namespace plan = nibble::plan;
namespace train = nibble::train;
namespace generic = nibble::numerics::generic;
using F = VectorOps::F;
using I = VectorOps::I;
using B = VectorOps::B;

namespace {

/// The rows of a tensor along its last dimension.
struct Rows {
  explicit Rows(Buffer x)
      : x(x), width(x.shape().empty() ? 1 : x.shape().back()), count(x.count() / width) {}
  Buffer x;
  int64_t width, count;
};

/// What the elements of a row share (numerics::SoftmaxRow), as scalars.
struct Row {
  Value begin; ///< flat index of the row's first element
  F max, sum;
};

} // namespace

/// exp(x − max) of 16 elements.
static F shiftedExp(LoopBuilder &e, const Rows &rows, F max, Value at, int64_t active) {
  VectorOps o = e.ops(kLanes);
  return generic::exp(o, o.sub({loadReals(e, rows.x, at, kLanes, active)}, o.splat(max)));
}

/// Calls body(accumulator, x, at, active) over the row's vectors and returns the accumulator.
static Value foldRow(LoopBuilder &e, const Rows &rows, Value begin, Value init,
                     function_ref<Value(Value, F, Value, int64_t)> body) {
  int64_t whole = rows.width / kLanes * kLanes;
  Value sum = init;
  if (whole > 0)
    sum = e.loop(begin, e.add(begin, whole), kLanes, {sum}, [&](Value at, ValueRange soFar) {
      return SmallVector<Value>{body(soFar[0], {loadReals(e, rows.x, at, kLanes)}, at, kLanes)};
    })[0];
  if (int64_t active = rows.width - whole) {
    Value at = e.add(begin, whole);
    sum = body(sum, {loadReals(e, rows.x, at, kLanes, active)}, at, active);
  }
  return sum;
}

/// Halves a vector with `merge` until one lane is left.
static Value mergeLanes(LoopBuilder &e, Value vector, function_ref<Value(Value, Value)> merge) {
  for (int64_t distance = kLanes / 2; distance > 0; distance /= 2) {
    auto low = llvm::to_vector(llvm::seq<int64_t>(0, distance)),
         high = llvm::to_vector(llvm::seq<int64_t>(distance, 2 * distance));
    vector = merge(e.shuffle(vector, vector, low), e.shuffle(vector, vector, high));
  }
  return e.extract(vector, 0);
}

static F rowMax(LoopBuilder &e, const Rows &rows, Value begin) {
  VectorOps o = e.ops(kLanes);
  auto larger = [&](Value a, Value b) { return o.select(o.lt({a}, {b}), F{b}, F{a}).v; };
  F lowest = o.constF(-std::numeric_limits<double>::infinity());
  Value lanes = foldRow(e, rows, begin, lowest.v, [&](Value soFar, F x, Value, int64_t active) {
    if (active < kLanes)
      x = o.select(B{e.activeLanes(kLanes, active)}, x, lowest);
    return larger(soFar, x.v);
  });
  return {mergeLanes(e, lanes, larger)};
}

/// With `kept`, memory of the rows' size, the elements' exp(x − max) are left there.
static Row softmaxRow(LoopBuilder &e, const Rows &rows, Value row, Value kept = nullptr) {
  Value begin = e.mul(row, rows.width);
  F max = rowMax(e, rows, begin);
  Value wide = rowSums(e, begin, rows.width, 1, [&](Value at, int64_t active) {
    F term = shiftedExp(e, rows, max, at, active);
    if (kept)
      e.store(term.v, kept, at, active);
    return SmallVector<Value>{term.v};
  })[0];
  return {begin, max, {arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), wide)}};
}

/// result = f(row, x) for all rows; f also gets the lanes' places in the row. With `keepsTerms` it finds
/// exp(x − max) where its result goes.
static void emitRows(LoopBuilder &e, const Rows &rows, const Buffer &result, bool keepsTerms,
                     function_ref<void(Row &)> prepare, function_ref<F(Row &, Value, int64_t)> f) {
  e.parallel(rows.count, rows.width * 4, [&](Value index) {
    Row row = softmaxRow(e, rows, index, keepsTerms ? result.memory : Value());
    prepare(row);
    e.vectors(rows.width, kLanes, [&](Value place, int64_t active) {
      e.store(f(row, place, active).v, result.memory, e.add(row.begin, place), active);
    });
  });
}

static LogicalResult emit(Group &g, nn::SoftmaxOp op) {
  LoopBuilder &e = g.e;
  Rows rows(g.in(op.getX()));
  VectorOps o = e.ops(kLanes), s = e.scalarOps();
  F reciprocal;
  Buffer y = g.out(op.getResult());
  emitRows(
      e, rows, y, /*keepsTerms=*/true,
      [&](Row &row) { reciprocal = o.splat(s.div(s.constF(1), row.sum)); },
      [&](Row &row, Value place, int64_t active) {
        return o.mul({e.load(y.memory, e.add(row.begin, place), kLanes, active)}, reciprocal);
      });
  return success();
}

static LogicalResult emit(Group &g, nn::LogSoftmaxOp op) {
  LoopBuilder &e = g.e;
  Rows rows(g.in(op.getX()));
  VectorOps o = e.ops(kLanes), s = e.scalarOps();
  F logSum;
  emitRows(
      e, rows, g.out(op.getResult()), /*keepsTerms=*/false,
      [&](Row &row) { logSum = o.splat(generic::log(s, row.sum)); },
      [&](Row &row, Value place, int64_t active) {
        F x{loadReals(e, rows.x, e.add(row.begin, place), kLanes, active)};
        return o.sub(o.sub(x, o.splat(row.max)), logSum);
      });
  return success();
}

/// (p − [i = label])·(dloss·(1/rows)).
static LogicalResult emit(Group &g, nn::SoftmaxCrossEntropyGradOp op) {
  LoopBuilder &e = g.e;
  Rows rows(g.in(op.getLogits()));
  Buffer labels = g.in(op.getLabels());
  VectorOps o = e.ops(kLanes), s = e.scalarOps();
  F each = s.constF(nibble::numerics::meanWeight<float>(rows.count));
  F weight = o.splat(s.mul({loadScalar(e, g.in(op.getDloss()))}, each));
  F reciprocal;
  I label;
  Buffer y = g.out(op.getResult());
  emitRows(
      e, rows, y, /*keepsTerms=*/true,
      [&](Row &row) {
        reciprocal = o.splat(s.div(s.constF(1), row.sum));
        Value index = e.div(row.begin, rows.width);
        label = o.splat(
            I{labels.splat ? e.pool.get(e.b, labels.splat) : e.loadScalar(labels.memory, index)});
      },
      [&](Row &row, Value place, int64_t active) {
        Value at = e.add(row.begin, place);
        F p = o.mul({e.load(y.memory, at, kLanes, active)}, reciprocal);
        B isLabel = o.ieq(o.iadd(o.iota(), o.splat(I{e.toI32(place)})), label);
        return o.mul(o.select(isLabel, o.sub(p, o.constF(1)), p), weight);
      });
  return success();
}

/// The place of the row's first largest element, by the rule "replaced where x > best": 0 where the
/// first element is NaN.
static I firstMaximum(LoopBuilder &e, const Rows &rows, const Row &row) {
  VectorOps o = e.ops(kLanes), s = e.scalarOps();
  auto smaller = [&](Value a, Value b) -> Value {
    return arith::MinSIOp::create(e.b, e.loc, a, b);
  };
  I far = o.constI(std::numeric_limits<int32_t>::max());
  F max = o.splat(row.max);
  Value lanes = foldRow(e, rows, row.begin, far.v, [&](Value soFar, F x, Value at, int64_t active) {
    B isMax = o.compare(arith::CmpFPredicate::OEQ, x, max);
    if (active < kLanes)
      isMax = o.band(isMax, B{e.activeLanes(kLanes, active)});
    I place = o.iadd(o.iota(), o.splat(I{e.toI32(e.sub(at, row.begin))}));
    return smaller(soFar, o.select(isMax, place, far).v);
  });
  F first{e.loadScalar(rows.x.memory, row.begin)};
  return s.select(generic::isNan(s, first), s.constI(0), I{mergeLanes(e, lanes, smaller)});
}

/// Terms of a vector of n rows' losses in memory, those from `valid` on (where it is given) left
/// out.
static Value sumOfRows(Group &g, unsigned part, Value losses, int64_t n, Value valid) {
  LoopBuilder &e = g.e;
  VectorOps o = e.ops(kLanes);
  return flatSums(g, part, n, 1, [&](Value at, int64_t active) {
    F x{e.load(losses, at, kLanes, active)};
    if (valid) // +0 changes no sum: none is ever −0
      x = o.select(
          o.ilt(o.iota(), o.splat(I{arith::SubIOp::create(e.b, e.loc, valid, e.toI32(at))})), x,
          o.constF(0));
    return SmallVector<Value>{x.v};
  })[0];
}

/// The sum as f32, or the mean over n.
static Value finishLoss(LoopBuilder &e, Value sum, std::optional<int64_t> n) {
  VectorOps wide = e.scalarOps(/*wide=*/true);
  if (n)
    sum = wide.div({sum}, wide.constF(static_cast<double>(*n))).v;
  return arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(), sum);
}

static Value validOf(Group &g, Value valid) {
  return valid ? loadScalar(g.e, g.in(valid)) : Value();
}

/// Row loss = log(sum) − (x_label − max). A label that names no class is read as a neighbouring
/// one: Runtime has checked them.
static LogicalResult emit(Group &g, nn::SoftmaxCrossEntropyOp op) {
  LoopBuilder &e = g.e;
  Rows rows(g.in(op.getLogits()));
  Buffer labels = g.in(op.getLabels());
  VectorOps s = e.scalarOps();
  Value losses = g.scratch(0, e.b.getF32Type(), llvm::alignTo(rows.count, kBlock));
  Value hits = g.scratch(1, e.b.getI32Type(), rows.count);
  e.parallel(rows.count, rows.width * 4, [&](Value index) {
    Row row = softmaxRow(e, rows, index);
    I label{e.loadScalar(labels.memory, index)};
    Value place = e.min(e.max(e.toIndex(label.v), e.index(0)), e.index(rows.width - 1));
    F x{e.loadScalar(rows.x.memory, e.add(row.begin, place))};
    F loss = s.sub(generic::log(s, row.sum), s.sub(x, row.max));
    e.storeScalar(loss.v, losses, index);
    I hit = s.select(s.ieq(firstMaximum(e, rows, row), label), s.constI(1), s.constI(0));
    e.storeScalar(hit.v, hits, index);
  });
  Value valid = validOf(g, op.getValid());
  int64_t labelsEach = rows.count / rows.x.shape()[0]; // of a sample
  if (valid && labelsEach > 1)
    valid = arith::MulIOp::create(e.b, e.loc, valid, e.i32(labelsEach));
  Value sum = sumOfRows(g, 2, losses, rows.count, valid);
  int64_t divisor = valid ? labelsEach : rows.count;
  storeScalar(e, finishLoss(e, sum, divisor == 1 ? std::nullopt : std::optional(divisor)),
              g.out(op.getLoss()));
  Value end = valid ? e.min(e.toIndex(valid), e.index(rows.count)) : e.index(rows.count);
  Value correct = e.loop(e.index(0), end, 1, {e.i32(0)}, [&](Value row, ValueRange soFar) {
    return SmallVector<Value>{s.iadd({soFar[0]}, {e.loadScalar(hits, row)}).v};
  })[0];
  storeScalar(e, correct, g.out(op.getCorrect()));
  return success();
}

/// Mean of the terms of all elements; with `valid` the sum over the first rows of their means, each
/// rounded.
static Value elementLoss(Group &g, const Buffer &y, Value valid, Terms terms) {
  LoopBuilder &e = g.e;
  if (!valid)
    return finishLoss(e, flatSums(g, 0, y.count(), 1, terms)[0], y.count());
  int64_t rows = y.shape().empty() ? 1 : y.shape()[0], width = y.count() / rows;
  Value losses = g.scratch(1, e.b.getF32Type(), llvm::alignTo(rows, kBlock));
  e.parallel(rows, width, [&](Value row) {
    e.storeScalar(finishLoss(e, rowSums(e, e.mul(row, width), width, 1, terms)[0], width), losses,
                  row);
  });
  return finishLoss(e, sumOfRows(g, 0, losses, rows, validOf(g, valid)), std::nullopt);
}

/// Σ(y − t)²/count.
static LogicalResult emit(Group &g, nn::MseOp op) {
  LoopBuilder &e = g.e;
  Buffer y = g.in(op.getY()), target = g.in(op.getTarget());
  VectorOps o = e.ops(kLanes);
  Value loss = elementLoss(g, y, op.getValid(), [&](Value at, int64_t active) {
    F d = o.sub({loadReals(e, y, at, kLanes, active)}, {loadReals(e, target, at, kLanes, active)});
    return SmallVector<Value>{o.mul(d, d).v};
  });
  storeScalar(e, loss, g.out(op.getLoss()));
  return success();
}

static Value loadReal(LoopBuilder &e, const Buffer &x, Value at) {
  return x.splat ? e.pool.get(e.b, x.splat) : e.loadScalar(x.memory, at);
}

/// How many of the first `valid` rows (null: of all) have x > 0 exactly where t > ½.
static Value rightRows(Group &g, const Buffer &x, const Buffer &target, Value valid) {
  LoopBuilder &e = g.e;
  VectorOps s = e.scalarOps();
  int64_t rows = x.shape().empty() ? 1 : x.shape()[0], width = x.count() / rows;
  Value end = valid ? e.min(e.toIndex(valid), e.index(rows)) : e.index(rows);
  return e.loop(e.index(0), end, 1, {e.i32(0)}, [&](Value row, ValueRange soFar) {
    Value begin = e.mul(row, width);
    Value right =
        e.loop(begin, e.add(begin, width), 1, {s.constB(true).v}, [&](Value at, ValueRange all) {
          B above = s.lt(s.constF(0), F{loadReal(e, x, at)}),
            wanted = s.lt(s.constF(0.5), F{loadReal(e, target, at)});
          return SmallVector<Value>{
              s.band({all[0]}, s.compare(arith::CmpIPredicate::eq, I{above.v}, I{wanted.v})).v};
        })[0];
    return SmallVector<Value>{s.iadd({soFar[0]}, s.select({right}, s.constI(1), s.constI(0))).v};
  })[0];
}

/// Σ(max(x, 0) − x·t + log(1 + e^−|x|))/count.
static LogicalResult emit(Group &g, nn::BinaryCrossEntropyOp op) {
  LoopBuilder &e = g.e;
  Buffer x = g.in(op.getLogits()), target = g.in(op.getTarget());
  VectorOps o = e.ops(kLanes);
  Value loss = elementLoss(g, x, op.getValid(), [&](Value at, int64_t active) {
    F v{loadReals(e, x, at, kLanes, active)}, t{loadReals(e, target, at, kLanes, active)},
        zero = o.constF(0);
    F positive = o.select(o.lt(zero, v), v, zero);
    F tail =
        generic::log(o, o.add(o.constF(1), generic::exp(o, generic::neg(o, generic::abs(o, v)))));
    return SmallVector<Value>{o.add(o.sub(positive, o.mul(v, t)), tail).v};
  });
  storeScalar(e, loss, g.out(op.getLoss()));
  storeScalar(e, rightRows(g, x, target, validOf(g, op.getValid())), g.out(op.getCorrect()));
  return success();
}

Emitted nibble::codegen::emitLoss(Group &group, Operation *op) {
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<nn::SoftmaxOp, nn::LogSoftmaxOp, nn::SoftmaxCrossEntropyGradOp>(
          [&](auto typed) -> LogicalResult {
            if (!group.out(typed.getResult()).memory)
              return success();
            return emit(group, typed);
          })
      .Case<nn::SoftmaxCrossEntropyOp, nn::MseOp, nn::BinaryCrossEntropyOp>(
          [&](auto typed) { return emit(group, typed); })
      .Default([](Operation *) { return std::nullopt; });
}

SmallVector<int64_t> nibble::codegen::lossScratch(Operation *op) {
  using Parts = SmallVector<int64_t>;
  return TypeSwitch<Operation *, Parts>(op)
      .Case<nn::SoftmaxCrossEntropyOp>([](nn::SoftmaxCrossEntropyOp loss) {
        int64_t rows = loss.getLabels().getType().getNumElements(),
                bytes = llvm::alignTo(rows, kBlock) * 4;
        return Parts{bytes, bytes, flatSumsScratch(rows, 1)};
      })
      .Case<nn::MseOp, nn::BinaryCrossEntropyOp>([](Operation *loss) {
        auto type = cast<RankedTensorType>(loss->getOperand(0).getType());
        int64_t rows = type.getRank() ? type.getDimSize(0) : 1;
        return Parts{flatSumsScratch(type.getNumElements(), 1),
                     static_cast<int64_t>(llvm::alignTo(rows, kBlock)) * 4};
      })
      .Default([](Operation *) { return Parts{}; });
}
