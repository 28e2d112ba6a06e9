//===- ContractionCodePanels.cpp - panels straight from four-bit codes --------===//
#include "ContractionPanels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace nibble;
using namespace nibble::contraction;

/// Does every offset of the map's first output lie on a block of codes?
static bool wholeBlocks(const IndexMap &map, size_t outputs) {
  bool whole = true;
  for (size_t output = 0; output < outputs; ++output) {
    whole &= map.base[output] % kBlockCodes == 0;
    for (const auto &level : map.levels)
      whole &= level.strides[output] % kBlockCodes == 0;
  }
  return whole;
}

bool contraction::packsCodes(const PackSpec &spec, const CodeFormat &format, int64_t length,
                             const DotUnit &unit) {
  constexpr int64_t kColumns = 32;
  if (unit.tuple != 4 || unit.lanes() != 16 || format.kind != CodeFormat::Int4)
    return false;
  if (spec.tileColumns != kColumns || spec.blockColumns % kColumns != 0 || length % 4 != 0 ||
      spec.tuples * 4 != length || !wholeBlocks(spec.tiles, 1) || !wholeBlocks(spec.segments, 1))
    return false;
  if (spec.columnStride == 1)
    return wholeBlocks(spec.terms, 1);
  return spec.contiguousTerms() && spec.columnStride % kBlockCodes == 0 &&
         length % kBlockCodes == 0;
}

namespace {
/// Packs one tile of 32 columns. Nibbles are moved two at a time and parted where they have
/// arrived: the low and the high ones of 16 bytes are the elements 0 ... 15 and 16 ... 31 of a
/// block.
struct CodePacker {
  Emit &e;
  const PackSpec &spec;
  const DotUnit &unit;
  Value codes, panel, offset; // offset: what a nibble is more than its value, a vector
  VectorType bytes = VectorType::get({64}, e.b.getI8Type());
  VectorType sums = VectorType::get({16}, e.b.getI32Type());
  Value ones = e.splat(bytes, 1), fifteen = e.splat(bytes, 15), four = e.splat(bytes, 4);

  Value low(Value pairs) {
    Value nibbles = arith::AndIOp::create(e.b, e.loc, pairs, fifteen);
    return e.sub(nibbles, offset);
  }
  Value high(Value pairs) {
    Value nibbles = arith::ShRUIOp::create(e.b, e.loc, pairs, four);
    return e.sub(nibbles, offset);
  }
  void put(Value values, Value tuple, int64_t column, Value to) {
    Value at = e.add(to, e.mul(tuple, 4 * spec.tileColumns));
    storeVector(e, values, panel, e.add(at, 4 * column));
  }
  Value sumOf(Value acc, ArrayRef<Value> values) {
    Value all = values[0]; // eight values of at most 15 fit a byte
    for (Value value : values.drop_front())
      all = e.add(all, value);
    return unit.dot(e, acc, ones, all);
  }

  /// A loop that carries sums.
  SmallVector<Value> loop(Value end, int64_t step, ValueRange init,
                          function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    auto op = scf::ForOp::create(e.b, e.loc, e.index(0), end, e.index(step), init);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(op.getBody());
    scf::YieldOp::create(e.b, e.loc, body(op.getInductionVar(), op.getRegionIterArgs()));
    return SmallVector<Value>(op.getResults());
  }

  /// Terms lie side by side: 32 terms of 16 columns at a time.
  Value column16(Value from, Value to, int64_t column, Value acc) {
    auto quarter = VectorType::get({4}, e.b.getI32Type());
    auto step = [&](Value t, ValueRange state) {
      Value in = e.at(e.pointer(codes), e.div(e.add(from, e.mul(t, 4)), 2), e.b.getI8Type());
      SmallVector<Value> columns, values;
      for (int64_t c = 0; c < 16; ++c) {
        Value at = e.i64((column + c) * spec.columnStride / 2);
        columns.push_back(e.load(quarter, e.at(in, at, e.b.getI8Type()), 1));
      }
      for (auto [i, tuples] : llvm::enumerate(transposeTuples(e, columns))) {
        Value pairs = vector::BitCastOp::create(e.b, e.loc, bytes, tuples);
        values.push_back(low(pairs));
        put(values.back(), e.add(t, i), column, to);
        values.push_back(high(pairs));
        put(values.back(), e.add(t, i + 4), column, to);
      }
      return SmallVector<Value>{sumOf(state[0], values)};
    };
    return loop(e.index(spec.tuples), 8, acc, step)[0];
  }

  /// Columns lie side by side: four terms of 32 columns at a time.
  SmallVector<Value> rows(Value from, Value to, ValueRange acc) {
    auto step = [&](Value t, ValueRange state) {
      SmallVector<Value> terms;
      for (int64_t i = 0; i < 4; ++i) {
        Value at = e.add(from, e.apply(spec.terms, e.add(e.mul(t, 4), i))[0]);
        terms.push_back(loadVector(e, vectorOf(codes, 16), codes, e.div(at, 2)));
      }
      Value pairs = interleaveTerms(e, terms), first = low(pairs), second = high(pairs);
      put(first, t, 0, to);
      put(second, t, 16, to);
      return SmallVector<Value>{sumOf(state[0], first), sumOf(state[1], second)};
    };
    return loop(e.index(spec.tuples), 1, acc, step);
  }

  /// The sums of the columns of all segments.
  SmallVector<Value> tile(Value number) {
    Value from = e.apply(spec.tiles, number)[0], to = e.mul(number, spec.tileElements());
    SmallVector<Value> init(2, e.splat(sums, 0));
    return loop(e.index(spec.segments.count()), 1, init, [&](Value s, ValueRange acc) {
      Value source = e.add(from, e.apply(spec.segments, s)[0]);
      Value target = e.add(to, e.mul(s, spec.segmentElements()));
      if (spec.columnStride == 1)
        return rows(source, target, acc);
      return SmallVector<Value>{column16(source, target, 0, acc[0]),
                                column16(source, target, 16, acc[1])};
    });
  }
};
} // namespace

void contraction::packCodes(Emit &e, const PackSpec &spec, const CodeFormat &format,
                            const DotUnit &unit, Value source, Value zeroPoint, Value panel,
                            Value offset, Value starts) {
  CodePacker packer{e, spec, unit, e.flat(source, (format.elements + 31) / 32 * 16), panel, {}};
  Value excess =
      arith::TruncIOp::create(e.b, e.loc, e.b.getI8Type(), decodedOffset(e, format, zeroPoint));
  packer.offset = vector::BroadcastOp::create(e.b, e.loc, packer.bytes, excess);
  Value zero = arith::ConstantIntOp::create(e.b, e.loc, e.b.getI32Type(), 0);
  Value factor = vector::BroadcastOp::create(e.b, e.loc, packer.sums, e.sub(zero, offset));
  e.parallel({e.index(spec.tiles.count())}, spec.elements() / 32, [&](ValueRange ids) {
    for (auto [half, sum] : llvm::enumerate(packer.tile(ids[0]))) {
      Value start = arith::MulIOp::create(e.b, e.loc, sum, factor);
      storeVector(e, start, starts, e.add(e.mul(ids[0], spec.tileColumns), 16 * half));
    }
  });
}
