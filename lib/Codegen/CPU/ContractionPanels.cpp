//===- ContractionPanels.cpp - operands laid out for vectors ------------------===//
#include "ContractionPanels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

static int64_t sizeOf(Value memref) { return cast<MemRefType>(memref.getType()).getNumElements(); }

static Value shuffle(Emit &e, Value x, Value y, ArrayRef<int64_t> order) {
  return vector::ShuffleOp::create(e.b, e.loc, x, y, order);
}

Value contraction::interleaveTerms(Emit &e, ArrayRef<Value> terms) {
  auto two = [&](Value x, Value y) -> Value {
    return vector::InterleaveOp::create(e.b, e.loc, x, y);
  };
  if (terms.size() == 2)
    return two(terms[0], terms[1]);
  // Bytes to pairs, pairs to quads.
  int64_t columns = cast<VectorType>(terms[0].getType()).getDimSize(0);
  auto pairs = VectorType::get({columns}, e.b.getI16Type());
  auto pair = [&](Value x, Value y) -> Value {
    return vector::BitCastOp::create(e.b, e.loc, pairs, two(x, y));
  };
  Value quads = two(pair(terms[0], terms[1]), pair(terms[2], terms[3]));
  return vector::BitCastOp::create(e.b, e.loc, VectorType::get({4 * columns}, e.b.getI8Type()),
                                   quads);
}

static Value concatenate(Emit &e, SmallVector<Value> parts) {
  for (; parts.size() > 1; parts.resize(parts.size() / 2)) {
    int64_t lanes = 2 * cast<VectorType>(parts[0].getType()).getDimSize(0);
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, lanes));
    for (size_t i = 0; i < parts.size() / 2; ++i)
      parts[i] = shuffle(e, parts[2 * i], parts[2 * i + 1], order);
  }
  return parts[0];
}

/// In every four lanes: lane i of x where the order says i, lane i of y where it says -1 - i.
static Value unpack(Emit &e, Value x, Value y, const int64_t (&order)[4]) {
  int64_t lanes = cast<VectorType>(x.getType()).getDimSize(0);
  SmallVector<int64_t> all;
  for (int64_t lane = 0; lane < lanes; lane += 4)
    for (int64_t i : order)
      all.push_back(lane + (i >= 0 ? i : lanes - 1 - i));
  return shuffle(e, x, y, all);
}

// A tuple is a 32-bit number here. Register i takes the columns i, i + 4, ..., so that unpacking
// within 128 bits leaves the columns in order.
SmallVector<Value> contraction::transposeTuples(Emit &e, ArrayRef<Value> columns) {
  Value parts[4];
  for (size_t i = 0; i < 4; ++i) {
    SmallVector<Value> own;
    for (size_t c = i; c < columns.size(); c += 4)
      own.push_back(columns[c]);
    parts[i] = concatenate(e, own);
  }
  Value low01 = unpack(e, parts[0], parts[1], {0, -1, 1, -2}),
        high01 = unpack(e, parts[0], parts[1], {2, -3, 3, -4}),
        low23 = unpack(e, parts[2], parts[3], {0, -1, 1, -2}),
        high23 = unpack(e, parts[2], parts[3], {2, -3, 3, -4});
  return {unpack(e, low01, low23, {0, 1, -1, -2}), unpack(e, low01, low23, {2, 3, -3, -4}),
          unpack(e, high01, high23, {0, 1, -1, -2}), unpack(e, high01, high23, {2, 3, -3, -4})};
}

namespace {
/// Packs one (tile, segment).
struct Packer {
  Emit &e;
  const PackSpec &spec;
  Value source, target, length;
  Value from, kStart, to, columns; // of this tile and segment

  Value termAt(Value k) { return e.add(from, e.apply(spec.terms, k)[0]); }
  Value tupleAt(Value t) { return e.add(to, e.mul(t, spec.tileColumns * spec.tuple)); }

  /// source[at], or zero if k is no term.
  Value termOrZero(VectorType type, Value k, Value skip) {
    Value inside = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, k, length);
    auto either = scf::IfOp::create(e.b, e.loc, type, inside, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(either.thenBlock());
    Value value = loadVector(e, type, source, e.add(termAt(k), skip));
    scf::YieldOp::create(e.b, e.loc, value);
    e.b.setInsertionPointToStart(either.elseBlock());
    scf::YieldOp::create(e.b, e.loc, e.splat(type, 0));
    return either.getResult(0);
  }

  /// Columns are contiguous: vectors of columns become a vector of tuples.
  void interleaved(Value t, Value k, bool whole) {
    auto type = vectorOf(source, spec.tileColumns);
    SmallVector<Value> terms;
    for (int64_t i = 0; i < spec.tuple; ++i) {
      Value term = e.add(k, i);
      terms.push_back(whole ? loadVector(e, type, source, termAt(term))
                            : termOrZero(type, term, e.index(0)));
    }
    storeVector(e, interleaveTerms(e, terms), target, tupleAt(t));
  }

  /// Columns lie apart: a column at a time.
  void gathered(Value t, Value k, bool whole) {
    Value out = tupleAt(t);
    bool together = whole && spec.contiguousTerms();
    auto type = vectorOf(source, together ? spec.tuple : 1);
    e.loop(e.index(0), columns, 1, [&](Value column) {
      Value skip = e.mul(column, spec.columnStride), to = e.add(out, e.mul(column, spec.tuple));
      if (together)
        return storeVector(e, loadVector(e, type, source, e.add(termAt(k), skip)), target, to);
      for (int64_t i = 0; i < spec.tuple; ++i)
        storeVector(e, termOrZero(type, e.add(k, i), skip), target, e.add(to, i));
    });
  }

  void tuple(Value t, bool whole) {
    Value k = e.add(kStart, e.mul(t, spec.tuple));
    spec.columnStride == 1 ? interleaved(t, k, whole) : gathered(t, k, whole);
  }

  /// Columns lie apart, their terms do not: four tuples of `width` columns, transposed.
  void transposed(Value t, int64_t firstColumn, int64_t width) {
    Type element = vectorOf(source, 1).getElementType();
    auto quarter = VectorType::get({4}, e.b.getI32Type());
    Value k = e.add(kStart, e.mul(t, spec.tuple));
    Value in = e.at(e.pointer(source), termAt(k), element);
    SmallVector<Value> columns;
    for (int64_t c = 0; c < width; ++c) {
      Value at = e.i64((firstColumn + c) * spec.columnStride);
      columns.push_back(e.load(quarter, e.at(in, at, element), 4 / spec.tuple));
    }
    auto type = vectorOf(target, width * spec.tuple);
    for (auto [i, tuples] : llvm::enumerate(transposeTuples(e, columns))) {
      Value out = e.add(tupleAt(e.add(t, i)), firstColumn * spec.tuple);
      storeVector(e, vector::BitCastOp::create(e.b, e.loc, type, tuples), target, out);
    }
  }

  void run() {
    Value terms = e.max(e.sub(length, kStart), e.index(0)), tuples = e.index(spec.tuples);
    Value whole = e.min(e.div(terms, spec.tuple), tuples), first = e.index(0);
    if (spec.columnStride != 1 && spec.contiguousTerms()) {
      first = e.mul(e.div(whole, 4), 4);
      int64_t width = std::min<int64_t>(spec.tileColumns, 16);
      for (int64_t column = 0; column < spec.tileColumns; column += width)
        e.loop(e.index(0), first, 4, [&](Value t) { transposed(t, column, width); });
    }
    e.loop(first, whole, 1, [&](Value t) { tuple(t, /*whole=*/true); });
    e.loop(whole, tuples, 1, [&](Value t) { tuple(t, /*whole=*/false); });
  }
};
} // namespace

void contraction::pack(Emit &e, const PackSpec &spec, Value source, Value sourceBase,
                       Value segmentCount, Value length, Value target) {
  int64_t nanoseconds = spec.elements() / 16;
  e.parallel({e.index(spec.tiles.count()), segmentCount}, nanoseconds, [&](ValueRange ids) {
    SmallVector<Value> tile = e.apply(spec.tiles, ids[0]), segment = e.apply(spec.segments, ids[1]);
    Packer packer{e, spec, source, target, length, {}, {}, {}, {}};
    packer.from = e.add(sourceBase, e.add(tile[0], segment[0]));
    packer.kStart = segment[1];
    packer.to = e.add(e.mul(ids[0], spec.tileElements()), e.mul(ids[1], spec.segmentElements()));
    packer.columns = e.min(e.sub(e.index(spec.blockColumns), tile[1]), e.index(spec.tileColumns));
    packer.run();
  });
}

void contraction::packStarts(Emit &e, const PackSpec &spec, const DotUnit &unit, Value panel,
                             Value segmentCount, Value starts, function_ref<Value(Value)> offset) {
  int64_t lanes = unit.lanes(), vectors = spec.tileColumns / lanes;
  auto sumType = VectorType::get({lanes}, e.b.getI32Type());
  auto tupleType = VectorType::get({4 * lanes}, e.b.getI8Type());
  Value zero = arith::ConstantIntOp::create(e.b, e.loc, e.b.getI32Type(), 0);
  Value ones = e.splat(tupleType, 1);
  e.parallel({e.index(spec.tiles.count())}, spec.elements() / 64, [&](ValueRange ids) {
    Value factor = vector::BroadcastOp::create(e.b, e.loc, sumType, e.sub(zero, offset(ids[0])));
    Value tile = e.mul(ids[0], spec.tileElements());
    SmallVector<Value> init(vectors, e.splat(sumType, 0));
    auto loop = scf::ForOp::create(e.b, e.loc, e.index(0), e.mul(segmentCount, spec.tuples),
                                   e.index(1), init);
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPointToStart(loop.getBody());
      Value at = e.add(tile, e.mul(loop.getInductionVar(), 4 * spec.tileColumns));
      SmallVector<Value> next;
      for (int64_t j = 0; j < vectors; ++j) {
        Value columns = loadVector(e, tupleType, panel, e.add(at, j * 4 * lanes));
        next.push_back(unit.dot(e, loop.getRegionIterArg(j), ones, columns));
      }
      scf::YieldOp::create(e.b, e.loc, next);
    }
    for (int64_t j = 0; j < vectors; ++j) {
      Value start = arith::MulIOp::create(e.b, e.loc, loop.getResult(j), factor);
      storeVector(e, start, starts, e.add(e.mul(ids[0], spec.tileColumns), j * lanes));
    }
  });
}

void contraction::zip(Emit &e, int64_t tuple, Value source, Value base, int64_t unit,
                      int64_t distance, Value units, int64_t count, Value target) {
  int64_t width =
      std::min<int64_t>(llvm::bit_floor(static_cast<uint64_t>(count)), tuple == 4 ? 32 : 16);
  // The last vector overlaps the one before it, so that nothing behind the unit is written.
  int64_t vectors = llvm::divideCeil(count, width), chunk = 1024,
          chunks = llvm::divideCeil(vectors, chunk);
  auto type = vectorOf(source, width);
  e.parallel({units, e.index(chunks)}, sizeOf(target) / 16, [&](ValueRange ids) {
    Value from = e.mul(ids[1], chunk), to = e.min(e.add(from, chunk), e.index(vectors));
    Value sourceUnit = e.add(base, e.mul(ids[0], unit)), targetUnit = e.mul(ids[0], tuple * count);
    e.loop(from, to, 1, [&](Value i) {
      Value f = e.min(e.mul(i, width), e.index(count - width)), at = e.add(sourceUnit, f);
      SmallVector<Value> terms;
      for (int64_t term = 0; term < tuple; ++term)
        terms.push_back(loadVector(e, type, source, e.add(at, term * distance)));
      storeVector(e, interleaveTerms(e, terms), target, e.add(targetUnit, e.mul(f, tuple)));
    });
  });
}

void contraction::zipBlocks(Emit &e, int64_t tuple, const PadSpec &maps, int64_t width,
                            int64_t unitsInTarget, Value source, Value base, Value units,
                            Value target) {
  int64_t image = maps.height * maps.width * maps.channels, pixel = width * tuple;
  int64_t unit = maps.paddedHeight * maps.paddedWidth * pixel, block = unitsInTarget * unit;
  auto type = vectorOf(source, width);
  e.parallel({units, e.index(maps.height)}, sizeOf(target) / 16, [&](ValueRange ids) {
    Value from =
        e.add(base, e.add(e.mul(ids[0], tuple * image), e.mul(ids[1], maps.width * maps.channels)));
    Value toRow = e.add(e.mul(e.add(ids[1], maps.top), maps.paddedWidth), maps.left);
    Value to = e.add(e.mul(ids[0], unit), e.mul(toRow, pixel));
    e.loop(e.index(0), e.index(maps.width), 1, [&](Value w) {
      Value pixelFrom = e.add(from, e.mul(w, maps.channels)), pixelTo = e.add(to, e.mul(w, pixel));
      e.loop(e.index(0), e.index(maps.channels / width), 1, [&](Value b) {
        Value at = e.add(pixelFrom, e.mul(b, width));
        SmallVector<Value> terms;
        for (int64_t term = 0; term < tuple; ++term)
          terms.push_back(loadVector(e, type, source, e.add(at, term * image)));
        storeVector(e, interleaveTerms(e, terms), target, e.add(pixelTo, e.mul(b, block)));
      });
    });
  });
}
