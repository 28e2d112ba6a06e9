//===- ReduceEmitters.cpp - sums over axes ------------------------------------===//
//
// One f32 accumulator an output, from +0, operand elements in ascending flat order: loops over the kept dimensions around loops
// over the reduced ones. Where the last dimension is kept its elements are the lanes; they are different outputs. Where it is
// reduced, 16 outputs along the last kept dimension are the lanes: 16 x 16 elements at a time are transposed in registers.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"

using namespace nibble::codegen;
namespace nn = nibble::nn;

static constexpr int64_t kLanes16 = 16;

namespace {

/// The operand as dimensions that are kept or reduced, in order; neighbours of one kind become one.
struct Reduction {
  struct Dim {
    int64_t size, stride; ///< elements of the operand
    bool reduced;
  };
  SmallVector<Dim> dims;
  float divisor = 0; ///< 0: a sum

  Reduction(ArrayRef<int64_t> shape, ArrayRef<int64_t> axes) {
    int64_t stride = 1;
    for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0; --d) {
      bool reduced = llvm::is_contained(axes, d);
      if (shape[d] != 1 && !dims.empty() && dims.front().reduced == reduced)
        dims.front().size *= shape[d];
      else if (shape[d] != 1)
        dims.insert(dims.begin(), Dim{shape[d], stride, reduced});
      stride *= shape[d];
    }
  }
  bool lastIsKept() const { return !dims.empty() && !dims.back().reduced; }
  SmallVector<Dim> all(bool reduced) const {
    SmallVector<Dim> some;
    for (const Dim &dim : dims)
      if (dim.reduced == reduced)
        some.push_back(dim);
    return some;
  }
};

struct ReduceEmitter {
  LoopBuilder &e;
  Buffer x, y;
  Reduction reduction;
  SmallVector<Reduction::Dim> kept = reduction.all(false), reduced = reduction.all(true);
  bool inTiles = false;

  void emit() {
    if (reduction.lastIsKept())
      kept.pop_back();
    inTiles = !reduction.lastIsKept() && !reduced.empty() && !kept.empty() && kept.back().size >= kLanes16;
    overKept(0, e.index(0), e.index(0));
  }

  /// Loops over kept dimensions d …; `at` and `to` are the places in operand and result (without the lanes' dimension).
  void overKept(size_t d, Value at, Value to) {
    if (d == kept.size())
      return output(at, to);
    if (inTiles && d + 1 == kept.size())
      return overTiles(at, to);
    auto body = [&](Value i) {
      overKept(d + 1, e.add(at, e.mul(i, kept[d].stride)), e.add(e.mul(to, kept[d].size), i));
    };
    overDim(d, kept[d].size, body);
  }

  void overDim(size_t d, int64_t count, function_ref<void(Value)> body) {
    if (d == 0)
      e.parallel(count, x.count() / count, body);
    else
      e.loop(e.index(0), e.index(count), 1, body);
  }

  /// The last kept dimension in tiles of 16 outputs, then one by one.
  void overTiles(Value at, Value to) {
    const Reduction::Dim &rows = kept.back();
    int64_t whole = rows.size / kLanes16 * kLanes16;
    Value first = e.mul(to, rows.size);
    overDim(kept.size() - 1, rows.size / kLanes16, [&](Value i) {
      VectorOps o = e.ops(kLanes16);
      Value sum = overTileColumns(0, e.add(at, e.mul(i, kLanes16 * rows.stride)), o.constF(0).v);
      e.store(finish(o, sum), y.memory, e.add(first, e.mul(i, kLanes16)));
    });
    e.loop(e.index(whole), e.index(rows.size), 1,
           [&](Value i) { output(e.add(at, e.mul(i, rows.stride)), e.add(first, i)); });
  }

  Value overTileColumns(size_t d, Value at, Value sum) {
    const Reduction::Dim &dim = reduced[d];
    if (d + 1 < reduced.size())
      return e.loop(e.index(0), e.index(dim.size), 1, {sum}, [&](Value i, ValueRange soFar) {
        return SmallVector<Value>{overTileColumns(d + 1, e.add(at, e.mul(i, dim.stride)), soFar[0])};
      })[0];
    int64_t whole = dim.size / kLanes16 * kLanes16;
    if (whole > 0)
      sum = e.loop(e.index(0), e.index(whole), kLanes16, {sum}, [&](Value i, ValueRange soFar) {
        return SmallVector<Value>{addColumns(e.add(at, i), kLanes16, soFar[0])};
      })[0];
    return dim.size > whole ? addColumns(e.add(at, whole), dim.size - whole, sum) : sum;
  }

  /// Adds `columns` elements of each of 16 rows, ascending.
  Value addColumns(Value at, int64_t columns, Value sum) {
    SmallVector<Value> tile;
    for (int64_t row = 0; row < kLanes16; ++row)
      tile.push_back(e.load(x.memory, e.add(at, row * kept.back().stride), kLanes16, columns));
    transposeTile(e, tile);
    for (int64_t column = 0; column < columns; ++column)
      sum = arith::AddFOp::create(e.b, e.loc, sum, tile[column]);
    return sum;
  }

  /// One output, or the outputs along the last dimension.
  void output(Value at, Value to) {
    if (!reduction.lastIsKept()) {
      VectorOps s = e.scalarOps();
      Value sum = overReduced(0, at, s.constF(0).v, [&](Value place) { return e.loadScalar(x.memory, place); });
      return e.storeScalar(finish(s, sum), y.memory, to);
    }
    int64_t width = reduction.dims.back().size;
    VectorOps o = e.ops(kLanes16);
    e.vectors(width, kLanes16, [&](Value first, int64_t active) {
      Value sum = overReduced(0, e.add(at, first), o.constF(0).v,
                              [&](Value place) { return e.load(x.memory, place, kLanes16, active); });
      e.store(finish(o, sum), y.memory, e.add(e.mul(to, width), first), active);
    });
  }

  Value overReduced(size_t d, Value at, Value sum, function_ref<Value(Value)> term) {
    if (d == reduced.size())
      return arith::AddFOp::create(e.b, e.loc, sum, term(at));
    return e.loop(e.index(0), e.index(reduced[d].size), 1, {sum}, [&](Value i, ValueRange soFar) {
      return SmallVector<Value>{overReduced(d + 1, e.add(at, e.mul(i, reduced[d].stride)), soFar[0], term)};
    })[0];
  }

  Value finish(VectorOps &o, Value sum) {
    return reduction.divisor == 0 ? sum : o.div({sum}, o.constF(reduction.divisor)).v;
  }
};

} // namespace

template <typename Op>
static LogicalResult emit(Group &g, Op op) {
  Buffer x = g.in(op.getX()), y = g.out(op.getResult());
  if (!y.memory)
    return success();
  if (!x.memory)
    return op.emitOpError("sums a constant, which has no buffer");
  ReduceEmitter emitter{g.e, x, y, Reduction(x.shape(), op.getAxes())};
  if (isa<nn::ReduceMeanOp>(op))
    emitter.reduction.divisor = static_cast<float>(x.count() / y.count());
  emitter.emit();
  return success();
}

Emitted nibble::codegen::emitReduce(Group &group, Operation *op) {
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<nn::ReduceSumOp, nn::ReduceMeanOp>([&](auto typed) { return emit(group, typed); })
      .Default([](Operation *) { return std::nullopt; });
}
