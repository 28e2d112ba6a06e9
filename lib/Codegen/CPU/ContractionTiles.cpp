//===- ContractionTiles.cpp - the loops around the kernel of codes -------------===//
#include "ContractionTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

int64_t contraction::exactTerms(int64_t left, int64_t right) {
  return std::max<int64_t>(2, std::numeric_limits<int32_t>::max() / (left * right));
}

void contraction::chooseTile(CodeProduct &p, int64_t columns) {
  int64_t lanes = p.unit->lanes();
  p.blockColumns = columns;
  // Panels are packed in vectors, so a tile is a power of two wide.
  uint64_t vectors = llvm::divideCeil(columns, lanes);
  p.vectors = std::min<int64_t>(p.unit->vectors, llvm::bit_ceil(vectors));
  p.tileColumns = p.vectors * lanes;
}

void contraction::chooseRows(CodeProduct &p) {
  // Beyond, what the last tile lacks does not count. A tile's start and end take as long as seven
  // fifths of a row of it (20 x 650 by tiles of 5, 7, 8 and 10 rows: 74, 70, 80, 66 µs).
  constexpr int64_t kFewRows = 64;
  int64_t rows = p.rows.count();
  if (rows > kFewRows)
    return;
  auto cost = [&](int64_t tile) { return llvm::divideCeil(rows, tile) * (5 * tile + 7); };
  for (int64_t tile = p.unit->rows * 5 / 8; tile <= p.unit->mostRows(); ++tile)
    if (cost(tile) < cost(p.registerRows()))
      p.tileRows = tile;
}

/// Rows of the row table: whole register tiles.
static int64_t tableRows(const CodeProduct &p) {
  return llvm::alignTo(p.rows.count(), p.registerRows());
}

void contraction::reserveTables(CodeProduct &p, ScratchLayout &scratch, int64_t starts) {
  p.rowTable = scratch.reserve(tableRows(p) * 16);
  p.segTable = scratch.reserve(std::max<int64_t>(1, p.segments.count()) * 16);
  p.starts = starts ? scratch.reserve(4 * starts) : 0;
}

static void emitTable(Emit &e, const IndexMap &map, int64_t offset, int64_t entries) {
  Value table = e.view(offset, entries * 2, e.b.getI64Type()), last = e.index(map.count() - 1);
  e.chunks(e.index(entries), 2048, 4 * entries, [&](Value from, Value to) {
    e.loop(from, to, 1, [&](Value i) {
      SmallVector<Value> values = e.apply(map, e.min(i, last));
      for (int column = 0; column < 2; ++column)
        memref::StoreOp::create(e.b, e.loc, e.toI64(values[column]), table,
                                ValueRange{e.add(e.mul(i, 2), column)});
    });
  });
}

void contraction::emitTables(Emit &e, const CodeProduct &p) {
  emitTable(e, p.rows, p.rowTable, tableRows(p));
  emitTable(e, p.segments, p.segTable, p.segments.count());
}

/// Rows that one task takes through one tile of columns. Their part of `a` stays in the
/// second-level cache while the panels pass, each of them once a task; and there are tasks enough
/// for threads.
static int64_t rowsATask(const CodeProduct &p) {
  constexpr int64_t kCacheBytes = 256 << 10, kTasks = 16, kLeastRows = 64;
  int64_t rows = p.rows.count(),
          bytes = std::max<int64_t>(1, p.rowElements) * p.unit->elementBytes();
  int64_t chunks = llvm::divideCeil(rows, std::max<int64_t>(kLeastRows, kCacheBytes / bytes));
  int64_t wanted = llvm::divideCeil(kTasks, p.columns.count());
  chunks = std::max(chunks, std::min(wanted, rows / kLeastRows));
  return llvm::alignTo(llvm::divideCeil(rows, std::max<int64_t>(1, chunks)), p.registerRows());
}

namespace {
/// One tile of columns over a range of rows.
struct TileCalls {
  Emit &e;
  const CodeProduct &p;
  Epilogue epilogue;
  CodeCall call;
  Value columns;

  bool streams() const { return p.streams && epilogue == Epilogue::StoreF32; }

  void kernel(int64_t vectors) {
    callCodeKernel(e,
                   {p.unit, static_cast<int>(vectors), p.start, epilogue,
                    static_cast<int>(p.registerRows()), streams()},
                   call);
  }

  void segments(Value from, Value to) {
    call.segBegin = e.toI64(from);
    call.segEnd = e.toI64(to);
    int64_t lanes = p.unit->lanes(), lastColumns = (p.blockColumns - 1) % p.tileColumns + 1;
    if (p.vectors == 1 || lastColumns > lanes)
      return kernel(p.vectors);
    // A last tile that one vector covers.
    Value narrow =
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sle, columns, e.index(lanes));
    auto either = scf::IfOp::create(e.b, e.loc, narrow, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPoint(either.thenBlock()->getTerminator());
    kernel(1);
    e.b.setInsertionPoint(either.elseBlock()->getTerminator());
    kernel(p.vectors);
  }

  void all(Value segmentCount) {
    if (p.segments.count() <= p.maxSegments)
      return segments(e.index(0), segmentCount);
    e.loop(e.index(0), segmentCount, p.maxSegments,
           [&](Value from) { segments(from, e.min(e.add(from, p.maxSegments), segmentCount)); });
  }
};
} // namespace

/// What is added in 16 bits: all tuples of some segments, or some tuples of one.
static void setParts(Emit &e, const CodeProduct &p, CodeCall &call) {
  if (!p.unit->dot16)
    return;
  int64_t tuples = std::max<int64_t>(1, p.tuples), parts = llvm::divideCeil(tuples, p.stepsIn16);
  call.partTuples = e.i64(llvm::divideCeil(tuples, parts));
  call.partSegments = e.i64(std::max<int64_t>(1, p.stepsIn16 / tuples));
}

void contraction::emitTiles(Emit &e, const CodeProduct &p, Value a, Value b, Value out,
                            Value rowCount, Value segmentCount, Epilogue epilogue, Value scale) {
  Type unit = p.unit->element(e.b), f32 = e.b.getF32Type(), i64 = e.b.getI64Type();
  Type i32 = e.b.getI32Type();
  Type element = epilogue == Epilogue::StoreF32 ? f32 : epilogue == Epilogue::AddI32 ? i32 : i64;
  if (!scale)
    scale = arith::ConstantOp::create(e.b, e.loc, e.b.getF32FloatAttr(0));
  CodeCall call;
  call.rowTable = e.pointer(e.view(p.rowTable, 2, i64));
  call.segTable = e.pointer(e.view(p.segTable, 2, i64));
  call.tuples = e.i64(p.tuples), call.aStep = e.i64(p.aStep), call.bStep = e.i64(p.bStep);
  call.scale = scale;
  setParts(e, p, call);
  Value starts = p.start == Start::Zero ? a : e.pointer(e.view(p.starts, 1, i32));
  int64_t task = rowsATask(p);
  int64_t multiplyAdds = p.rows.count() * p.columns.count() * p.tileColumns * p.terms();
  // As many register tiles for each task, give or take one: threads get equal shares.
  Value tasks = e.ceilDiv(rowCount, task), tiles = e.ceilDiv(rowCount, p.unit->rows);
  auto taskBegin = [&](Value number) {
    return e.mul(e.div(arith::MulIOp::create(e.b, e.loc, number, tiles), tasks), p.unit->rows);
  };
  e.parallel({tasks, e.index(p.columns.count())}, multiplyAdds / 128, [&](ValueRange ids) {
    Value begin = taskBegin(ids[0]), end = e.min(taskBegin(e.add(ids[0], 1)), rowCount);
    SmallVector<Value> tile = e.apply(p.columns, ids[1]);
    Value columns = e.min(e.sub(e.index(p.blockColumns), tile[3]), e.index(p.tileColumns));
    CodeCall own = call;
    own.a = e.at(a, tile[0], unit), own.b = e.at(b, tile[1], unit);
    own.out = e.at(out, tile[2], element);
    own.start = p.start == Start::Zero ? a : e.at(starts, tile[4], i32);
    own.rowBegin = e.toI64(begin), own.rowEnd = e.toI64(end);
    own.columns = e.toI64(columns);
    TileCalls calls{e, p, epilogue, own, columns};
    calls.all(segmentCount);
    if (calls.streams())
      e.drainStores();
  });
}

void contraction::emitScale(Emit &e, Value sums, Value target, Value targetBase, Value count,
                            Value scale) {
  Type element = cast<MemRefType>(sums.getType()).getElementType();
  int64_t lanes = e.target.lanes();
  auto sumType = VectorType::get({lanes}, element),
       floatType = VectorType::get({lanes}, e.b.getF32Type());
  auto i32Type = VectorType::get({lanes}, e.b.getI32Type());
  int64_t elements = cast<MemRefType>(sums.getType()).getNumElements();
  e.chunks(e.ceilDiv(count, lanes), 1024, elements / lanes, [&](Value from, Value to) {
    Value factor = vector::BroadcastOp::create(e.b, e.loc, floatType, scale);
    e.loop(from, to, 1, [&](Value i) {
      Value at = e.mul(i, lanes);
      Value value = vector::LoadOp::create(e.b, e.loc, sumType, sums, ValueRange{at});
      if (element.isF32())
        value = vector::BitCastOp::create(e.b, e.loc, i32Type, value);
      value = arith::SIToFPOp::create(e.b, e.loc, floatType, value);
      value = arith::MulFOp::create(e.b, e.loc, value, factor);
      vector::StoreOp::create(e.b, e.loc, value, target, ValueRange{e.add(targetBase, at)});
    });
  });
}
