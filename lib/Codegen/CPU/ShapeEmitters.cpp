//===- ShapeEmitters.cpp - moving elements ------------------------------------===//
//
// Every op here is one or more strided moves: element (i0, i1, …) of a box goes from base + Σ
// i·stride of one buffer to that of another. Dimensions of 1 vanish and dimensions that continue
// one another in both buffers become one; the innermost loop is in vectors where both (or, for a
// broadcast, the target alone) go in steps of one element. Where the source goes in steps of one
// along another dimension than the target does (a transpose), the two are walked in tiles of 16 x
// 16 that are transposed in registers.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

#include <functional>

using namespace nibble::codegen;
namespace nn = nibble::nn;

namespace {

struct Move {
  SmallVector<int64_t> shape, from, to;
  int64_t fromBase = 0, toBase = 0;

  void append(int64_t size, int64_t fromStride, int64_t toStride) {
    if (size == 1)
      return;
    if (!shape.empty() && from.back() == size * fromStride && to.back() == size * toStride) {
      shape.back() *= size, from.back() = fromStride, to.back() = toStride;
      return;
    }
    shape.push_back(size), from.push_back(fromStride), to.push_back(toStride);
  }
};

} // namespace

/// The innermost dimension, from element `at` to element `to`.
static void moveRow(LoopBuilder &e, const Buffer &x, Value memory, Value at, Value to, int64_t size,
                    int64_t fromStride, int64_t toStride) {
  if (toStride == 1 && fromStride == 1)
    return e.vectors(size, kBlock, [&](Value place, int64_t active) {
      e.store(loadReals(e, x, e.add(at, place), kBlock, active), memory, e.add(to, place), active);
    });
  if (toStride == 1 && fromStride == 0) {
    Value same = e.ops(kBlock).splat(VectorOps::F{e.loadScalar(x.memory, at)}).v;
    return e.vectors(size, kBlock, [&](Value place, int64_t active) {
      e.store(same, memory, e.add(to, place), active);
    });
  }
  e.loop(e.index(0), e.index(size), 1, [&](Value i) {
    Value value = e.loadScalar(x.memory, e.add(at, e.mul(i, fromStride)));
    e.storeScalar(value, memory, e.add(to, e.mul(i, toStride)));
  });
}

/// Loops over dimensions d, d + 1 … of the move, at the given places of the buffers.
static void moveFrom(LoopBuilder &e, const Move &move, size_t d, const Buffer &x, Value memory,
                     Value at, Value to) {
  if (d + 1 == move.shape.size())
    return moveRow(e, x, memory, at, to, move.shape[d], move.from[d], move.to[d]);
  auto body = [&](Value i) {
    moveFrom(e, move, d + 1, x, memory, e.add(at, e.mul(i, move.from[d])),
             e.add(to, e.mul(i, move.to[d])));
  };
  if (d > 0)
    return e.loop(e.index(0), e.index(move.shape[d]), 1, body);
  int64_t work = 1;
  for (int64_t size : ArrayRef(move.shape).drop_front())
    work *= size;
  e.parallel(move.shape[0], work, body);
}

//===----------------------------------------------------------------------===//
// Transposes
//===----------------------------------------------------------------------===//

static constexpr int64_t kTile = 16;

/// Blocks of 8, 4, 2, 1 change places across the diagonal.
void nibble::codegen::transposeTile(LoopBuilder &e, SmallVector<Value> &rows) {
  for (int64_t block = kTile / 2; block > 0; block /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < kTile; ++lane) {
      low.push_back((lane & block) == 0 ? lane : kTile + lane - block);
      high.push_back((lane & block) == 0 ? lane + block : kTile + lane);
    }
    for (int64_t i = 0; i < kTile; ++i) {
      if (i & block)
        continue;
      Value a = rows[i], b = rows[i + block];
      rows[i] = e.shuffle(a, b, low);
      rows[i + block] = e.shuffle(a, b, high);
    }
  }
}

/// The dimension along which the source goes in steps of one element, where it takes tiles; else
/// the move's number of dimensions.
static size_t tiledDimension(const Move &move) {
  size_t last = move.shape.size() - 1;
  if (move.to[last] == 1 && move.shape[last] >= kTile)
    for (size_t d = 0; d < last; ++d)
      if (move.from[d] == 1 && move.shape[d] >= kTile)
        return d;
  return move.shape.size();
}

/// Tiles of the last dimension and of dimension `row`, whose sizes are multiples of kTile, inside
/// loops over all other dimensions.
static void moveTiles(LoopBuilder &e, const Move &move, size_t row, const Buffer &x, Value memory) {
  size_t last = move.shape.size() - 1;
  auto tile = [&](Value at, Value to) {
    SmallVector<Value> rows;
    for (int64_t i = 0; i < kTile; ++i)
      rows.push_back(loadReals(e, x, e.add(at, i * move.from[last]), kTile));
    transposeTile(e, rows);
    for (int64_t i = 0; i < kTile; ++i)
      e.store(rows[i], memory, e.add(to, i * move.to[row]));
  };
  // Tiles along the last dimension stand innermost: what is written stays in few pages.
  SmallVector<size_t> order;
  for (size_t d = 0; d < last; ++d)
    order.push_back(d);
  order.push_back(last);
  std::function<void(size_t, Value, Value)> nest = [&](size_t n, Value at, Value to) {
    if (n == order.size())
      return tile(at, to);
    size_t d = order[n];
    int64_t step = d == row || d == last ? kTile : 1;
    auto body = [&](Value i) {
      nest(n + 1, e.add(at, e.mul(i, step * move.from[d])), e.add(to, e.mul(i, step * move.to[d])));
    };
    int64_t count = move.shape[d] / step, work = 1;
    if (n > 0)
      return e.loop(e.index(0), e.index(count), 1, body);
    for (int64_t size : move.shape)
      work *= size;
    e.parallel(count, work / count, body);
  };
  nest(0, e.index(move.fromBase), e.index(move.toBase));
}

static void emitMove(LoopBuilder &e, const Move &move, const Buffer &x, Value memory);

/// Whole tiles, and what is left over of either dimension.
static void moveTransposed(LoopBuilder &e, const Move &move, size_t row, const Buffer &x,
                           Value memory) {
  size_t last = move.shape.size() - 1;
  Move tiles = move;
  for (size_t d : {row, last})
    tiles.shape[d] = move.shape[d] / kTile * kTile;
  moveTiles(e, tiles, row, x, memory);
  Move whole = move;
  for (size_t d : {row, last}) {
    if (move.shape[d] > tiles.shape[d]) {
      Move rest = whole;
      rest.shape[d] = move.shape[d] - tiles.shape[d];
      rest.fromBase += tiles.shape[d] * move.from[d];
      rest.toBase += tiles.shape[d] * move.to[d];
      emitMove(e, rest, x, memory);
    }
    whole.shape[d] = tiles.shape[d];
  }
}

static void emitMove(LoopBuilder &e, const Move &move, const Buffer &x, Value memory) {
  if (!move.shape.empty())
    if (size_t row = tiledDimension(move); row < move.shape.size())
      return moveTransposed(e, move, row, x, memory);
  Value at = e.index(move.fromBase), to = e.index(move.toBase);
  if (move.shape.empty())
    return e.storeScalar(e.loadScalar(x.memory, at), memory, to);
  int64_t size = move.shape.back(), whole = size / kBlock * kBlock;
  if (move.shape.size() == 1 && move.from[0] == 1 && move.to[0] == 1 && whole > kChunkElements) {
    e.flat(whole, kBlock, [&](Value place) {
      e.store(loadReals(e, x, e.add(at, place), kBlock), memory, e.add(to, place));
    });
    if (size > whole)
      e.store(loadReals(e, x, e.add(at, whole), kBlock, size - whole), memory, e.add(to, whole),
              size - whole);
    return;
  }
  moveFrom(e, move, 0, x, memory, at, to);
}

static LogicalResult emit(Group &g, nn::TransposeOp op, const Buffer &x, Value memory) {
  Move move;
  SmallVector<int64_t> from = computeSuffixProduct(x.shape());
  ArrayRef<int64_t> shape = op.getResult().getType().getShape();
  SmallVector<int64_t> to = computeSuffixProduct(shape);
  for (auto [d, source] : llvm::enumerate(op.getPerm()))
    move.append(shape[d], from[source], to[d]);
  emitMove(g.e, move, x, memory);
  return success();
}

static LogicalResult emit(Group &g, nn::BroadcastOp op, const Buffer &x, Value memory) {
  Move move;
  ArrayRef<int64_t> shape = op.getResult().getType().getShape();
  SmallVector<int64_t> from = computeSuffixProduct(x.shape()), to = computeSuffixProduct(shape);
  size_t missing = shape.size() - x.shape().size();
  for (size_t d = 0; d < shape.size(); ++d) {
    bool repeats = d < missing || x.shape()[d - missing] == 1;
    move.append(shape[d], repeats ? 0 : from[d - missing], to[d]);
  }
  emitMove(g.e, move, x, memory);
  return success();
}

/// The box of `part` seen in a tensor of shape `whole`: base and strides of element starts +
/// i·steps.
static SmallVector<int64_t> sliceStrides(ArrayRef<int64_t> whole, ArrayRef<int64_t> starts,
                                         ArrayRef<int64_t> steps, int64_t &base) {
  SmallVector<int64_t> strides = computeSuffixProduct(whole);
  for (size_t d = 0; d < strides.size(); ++d) {
    base += starts[d] * strides[d];
    strides[d] *= steps[d];
  }
  return strides;
}

static LogicalResult emit(Group &g, nn::SliceOp op, const Buffer &x, Value memory) {
  Move move;
  ArrayRef<int64_t> shape = op.getResult().getType().getShape();
  SmallVector<int64_t> from = sliceStrides(x.shape(), op.getStarts(), op.getSteps(), move.fromBase),
                       to = computeSuffixProduct(shape);
  for (size_t d = 0; d < shape.size(); ++d)
    move.append(shape[d], from[d], to[d]);
  emitMove(g.e, move, x, memory);
  return success();
}

static LogicalResult emit(Group &g, nn::UnsliceOp op, const Buffer &x, Value memory) {
  LoopBuilder &e = g.e;
  Buffer y = g.out(op.getResult());
  Value zero = e.ops(kBlock).constF(0).v;
  e.flat(y.count(), kBlock, [&](Value at) { e.store(zero, memory, at); });
  Move move;
  SmallVector<int64_t> from = computeSuffixProduct(x.shape());
  SmallVector<int64_t> to = sliceStrides(y.shape(), op.getStarts(), op.getSteps(), move.toBase);
  for (size_t d = 0; d < from.size(); ++d)
    move.append(x.shape()[d], from[d], to[d]);
  emitMove(e, move, x, memory);
  return success();
}

static LogicalResult emitConcat(Group &g, nn::ConcatOp op) {
  Buffer y = g.out(op.getResult());
  SmallVector<int64_t> to = computeSuffixProduct(y.shape());
  int64_t base = 0;
  for (Value part : op.getParts()) {
    Buffer x = g.in(part);
    if (!x.memory)
      return op.emitOpError("joins a constant, which has no buffer");
    Move move;
    move.toBase = base;
    SmallVector<int64_t> from = computeSuffixProduct(x.shape());
    for (size_t d = 0; d < from.size(); ++d)
      move.append(x.shape()[d], from[d], to[d]);
    emitMove(g.e, move, x, y.memory);
    base += x.shape()[op.getAxis()] * to[op.getAxis()];
  }
  return success();
}

/// The row of the table that a token names. Runtime has checked the numbers: others are read as the
/// nearest row.
static Value rowOf(LoopBuilder &e, const Buffer &tokens, Value place, int64_t rows) {
  Value token = e.toIndex(e.loadScalar(tokens.memory, place));
  return e.min(e.max(token, e.index(0)), e.index(rows - 1));
}

static LogicalResult emitEmbedding(Group &g, nn::EmbeddingOp op) {
  LoopBuilder &e = g.e;
  Buffer table = g.in(op.getTable()), tokens = g.in(op.getTokens()), y = g.out(op.getResult());
  if (!table.memory || !tokens.memory)
    return op.emitOpError("reads a constant, which has no buffer");
  int64_t rows = table.shape()[0], width = table.shape()[1];
  e.parallel(tokens.count(), width, [&](Value place) {
    Value from = e.mul(rowOf(e, tokens, place, rows), width), to = e.mul(place, width);
    moveRow(e, table, y.memory, from, to, width, 1, 1);
  });
  return success();
}

/// Columns are split among threads, and each takes the tokens in order: a block of 64 columns at a
/// time.
static LogicalResult emitEmbeddingGrad(Group &g, nn::EmbeddingGradOp op) {
  LoopBuilder &e = g.e;
  Buffer dy = g.in(op.getDy()), tokens = g.in(op.getTokens()), y = g.out(op.getResult());
  if (!tokens.memory)
    return op.emitOpError("reads constant tokens, which have no buffer");
  int64_t rows = y.shape()[0], width = y.shape()[1];
  constexpr int64_t kColumns = 64, kVector = 16;
  Value zero = e.ops(kBlock).constF(0).v;
  e.flat(y.count(), kBlock, [&](Value at) { e.store(zero, y.memory, at); });
  auto columns = [&](Value first, int64_t count) {
    e.loop(e.index(0), e.index(tokens.count()), 1, [&](Value place) {
      Value from = e.add(e.mul(place, width), first),
            to = e.add(e.mul(rowOf(e, tokens, place, rows), width), first);
      for (int64_t c = 0; c < count; c += kVector) {
        int64_t active = std::min(kVector, count - c);
        Value sum = e.load(y.memory, e.add(to, c), kVector, active);
        Value term = loadReals(e, dy, e.add(from, c), kVector, active);
        e.store(arith::AddFOp::create(e.b, e.loc, sum, term), y.memory, e.add(to, c), active);
      }
    });
  };
  int64_t whole = width / kColumns;
  if (whole > 0)
    e.parallel(whole, tokens.count() * kColumns,
               [&](Value block) { columns(e.mul(block, kColumns), kColumns); });
  if (width > whole * kColumns)
    columns(e.index(whole * kColumns), width - whole * kColumns);
  return success();
}

Emitted nibble::codegen::emitShape(Group &group, Operation *op) {
  return TypeSwitch<Operation *, Emitted>(op)
      .Case<nn::TransposeOp, nn::BroadcastOp, nn::SliceOp, nn::UnsliceOp>(
          [&](auto typed) -> LogicalResult {
            Buffer x = group.in(typed.getX());
            Value memory = group.out(typed.getResult()).memory;
            if (!memory)
              return success();
            if (!x.memory)
              return typed.emitOpError("moves a constant, which has no buffer");
            return emit(group, typed, x, memory);
          })
      .Case<nn::EmbeddingOp>([&](nn::EmbeddingOp embedding) -> LogicalResult {
        return group.out(embedding.getResult()).memory ? emitEmbedding(group, embedding)
                                                       : success();
      })
      .Case<nn::EmbeddingGradOp>([&](nn::EmbeddingGradOp grad) -> LogicalResult {
        return group.out(grad.getResult()).memory ? emitEmbeddingGrad(group, grad) : success();
      })
      .Case<nn::ConcatOp>([&](nn::ConcatOp concat) -> LogicalResult {
        return group.out(concat.getResult()).memory ? emitConcat(group, concat) : success();
      })
      .Default([](Operation *) { return std::nullopt; });
}
