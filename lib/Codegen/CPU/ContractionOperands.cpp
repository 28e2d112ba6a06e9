//===- ContractionOperands.cpp - operands as 16-bit integers ------------------===//
#include "ContractionOperands.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

static VectorType i16Vector(Emit &e, int64_t n) { return VectorType::get({n}, e.b.getI16Type()); }

static Value splat(Emit &e, VectorType type, int64_t value) {
  auto attribute = DenseElementsAttr::get(type, e.b.getIntegerAttr(type.getElementType(), value));
  return arith::ConstantOp::create(e.b, e.loc, attribute);
}
static Value load(Emit &e, VectorType type, Value memref, Value at) {
  return vector::LoadOp::create(e.b, e.loc, type, memref, ValueRange{at});
}
static int64_t sizeOf(Value memref) { return cast<MemRefType>(memref.getType()).getNumElements(); }
static void store(Emit &e, Value value, Value memref, Value at) {
  vector::StoreOp::create(e.b, e.loc, value, memref, ValueRange{at});
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// Nibbles 0 ... 15 in 16-bit lanes to what they are worth; `offset` is 8 + zero point (int4).
static Value nibbleValue(Emit &e, const CodeFormat &format, Value nibbles, Value offset) {
  auto type = cast<VectorType>(nibbles.getType());
  if (format.kind == CodeFormat::Int4)
    return e.sub(nibbles, offset);
  // (1 << e·log2(radix)) >> log2(radix) is radix^(e-1), and 0 for e = 0.
  int64_t shift = format.radix == 4 ? 2 : 1;
  Value exponent = arith::AndIOp::create(e.b, e.loc, nibbles, splat(e, type, 7));
  if (shift == 2)
    exponent = e.add(exponent, exponent);
  Value magnitude = arith::ShLIOp::create(e.b, e.loc, splat(e, type, 1), exponent);
  magnitude = arith::ShRUIOp::create(e.b, e.loc, magnitude, splat(e, type, shift));
  Value sign = arith::ShRUIOp::create(e.b, e.loc, nibbles, splat(e, type, 3));
  sign = e.sub(splat(e, type, 0), sign);
  return e.sub(arith::XOrIOp::create(e.b, e.loc, magnitude, sign).getResult(), sign);
}

void contraction::decode(Emit &e, const CodeFormat &format, Value source, Value zeroPoint,
                         Value begin, Value count, Value target) {
  int64_t blocks = llvm::divideCeil(format.elements, 32),
          blockBytes = format.kind == CodeFormat::Int8 ? 32 : 16;
  Value bytes = e.flat(source, blocks * blockBytes);
  auto half = i16Vector(e, 16);
  Value offset = splat(e, half, format.kind == CodeFormat::Int4 ? 8 : 0);
  if (zeroPoint)
    offset = e.add(offset, vector::BroadcastOp::create(e.b, e.loc, half, zeroPoint).getResult());
  Value first = e.div(begin, 32), last = e.ceilDiv(e.add(begin, count), 32);
  constexpr int64_t kBlocksATask = 512;
  e.chunks(e.sub(last, first), kBlocksATask, sizeOf(target) / 16, [&](Value from, Value to) {
    e.loop(from, to, 1, [&](Value block) {
      Value in = e.mul(e.add(first, block), blockBytes), out = e.mul(block, 32);
      auto byteType = VectorType::get({16}, e.b.getI8Type());
      for (int64_t part = 0; part < 2; ++part) {
        Value value;
        if (format.kind == CodeFormat::Int8) {
          value = load(e, byteType, bytes, e.add(in, part * 16));
          value = e.sub(arith::ExtSIOp::create(e.b, e.loc, half, value).getResult(), offset);
        } else {
          value = arith::ExtUIOp::create(e.b, e.loc, half, load(e, byteType, bytes, in));
          value = part == 0
                      ? arith::AndIOp::create(e.b, e.loc, value, splat(e, half, 15)).getResult()
                      : arith::ShRUIOp::create(e.b, e.loc, value, splat(e, half, 4)).getResult();
          value = nibbleValue(e, format, value, offset);
        }
        store(e, value, target, e.add(out, part * 16));
      }
    });
  });
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

/// Copies n (static) i16. The last vector overlaps the one before it, so that nothing behind the
/// run is written.
static void copyRun(Emit &e, Value source, Value from, Value target, Value to, int64_t n) {
  int64_t width = std::min<int64_t>(llvm::bit_floor(static_cast<uint64_t>(n)), 32),
          whole = n / width * width;
  auto type = i16Vector(e, width);
  auto copy = [&](Value i) {
    store(e, load(e, type, source, e.add(from, i)), target, e.add(to, i));
  };
  e.loop(e.index(0), e.index(whole), width, copy);
  if (whole != n)
    copy(e.index(n - width));
}

void contraction::pad(Emit &e, const PadSpec &s, Value source, Value begin, Value images,
                      Value target) {
  int64_t row = s.width * s.channels;
  e.chunks(e.mul(images, s.height), std::max<int64_t>(1, 16384 / row), sizeOf(target) / 8,
           [&](Value from, Value to) {
             e.loop(from, to, 1, [&](Value imageRow) {
               Value n = e.div(imageRow, s.height),
                     h = s.height == 1 ? e.index(0) : e.rem(imageRow, s.height);
               Value toRow = e.add(e.add(e.mul(n, s.paddedHeight), e.mul(h, s.dilationH)), s.top);
               Value to = e.mul(e.add(e.mul(toRow, s.paddedWidth), s.left), s.channels);
               Value from = e.add(begin, e.mul(imageRow, row));
               if (s.dilationW == 1)
                 return copyRun(e, source, from, target, to, row);
               e.loop(e.index(0), e.index(s.width), 1, [&](Value w) {
                 copyRun(e, source, e.add(from, e.mul(w, s.channels)), target,
                         e.add(to, e.mul(w, s.channels * s.dilationW)), s.channels);
               });
             });
           });
}

void contraction::fillZero(Emit &e, Value memref, int64_t n) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  int64_t width = 512 / element.getIntOrFloatBitWidth();
  auto type = VectorType::get({width}, element);
  Value zero = arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
  e.chunks(e.index(llvm::divideCeil(n, width)), 1024, n / width, [&](Value from, Value to) {
    e.loop(from, to, 1, [&](Value i) { store(e, zero, memref, e.mul(i, width)); });
  });
}

//===----------------------------------------------------------------------===//
// Panels
//===----------------------------------------------------------------------===//

namespace {
/// Packs one (tile, segment).
struct Packer {
  Emit &e;
  const PackSpec &spec;
  Value source, target, length;
  Value from, kStart, to, columns; // of this tile and segment

  Value termAt(Value k) { return e.add(from, e.apply(spec.terms, k)[0]); }
  Value pairAt(Value pair) { return e.add(to, e.mul(pair, spec.tileColumns * 2)); }

  /// Columns are contiguous: two vectors of columns become one vector of pairs.
  void interleaved(Value pair, Value k, bool second) {
    auto type = i16Vector(e, spec.tileColumns);
    Value x = load(e, type, source, termAt(k));
    Value y = second ? load(e, type, source, termAt(e.add(k, 1))) : splat(e, type, 0);
    store(e, vector::InterleaveOp::create(e.b, e.loc, x, y).getResult(), target, pairAt(pair));
  }

  /// Columns lie apart: a column at a time.
  void gathered(Value pair, Value k, bool second) {
    auto type = i16Vector(e, 2);
    bool contiguous = spec.terms.levels.size() == 1 && spec.terms.levels[0].strides[0] == 1;
    Value x = termAt(k), y = second ? termAt(e.add(k, 1)) : Value(), out = pairAt(pair);
    e.loop(e.index(0), columns, 1, [&](Value column) {
      Value skip = e.mul(column, spec.columnStride), both;
      if (second && contiguous) {
        both = load(e, type, source, e.add(x, skip));
      } else {
        auto one = i16Vector(e, 1);
        Value first = load(e, one, source, e.add(x, skip));
        Value next = second ? load(e, one, source, e.add(y, skip)) : splat(e, one, 0);
        both = vector::InterleaveOp::create(e.b, e.loc, first, next).getResult();
      }
      store(e, both, target, e.add(out, e.mul(column, 2)));
    });
  }

  void pair(Value p, Value k, bool second) {
    return spec.columnStride == 1 ? interleaved(p, k, second) : gathered(p, k, second);
  }

  void run() {
    Value terms = e.max(e.sub(length, kStart), e.index(0));
    Value whole = e.min(e.div(terms, 2), e.index(spec.pairs));
    auto termOf = [&](Value p) { return e.add(kStart, e.mul(p, 2)); };
    e.loop(e.index(0), whole, 1, [&](Value p) { pair(p, termOf(p), /*second=*/true); });
    e.loop(whole, e.index(spec.pairs), 1, [&](Value p) {
      Value k = termOf(p);
      Value inside = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, k, length);
      auto half = scf::IfOp::create(e.b, e.loc, inside, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(e.b);
      e.b.setInsertionPoint(half.thenBlock()->getTerminator());
      pair(p, k, /*second=*/false);
      e.b.setInsertionPoint(half.elseBlock()->getTerminator());
      store(e, splat(e, i16Vector(e, spec.tileColumns * 2), 0), target, pairAt(p));
    });
  }
};
} // namespace

void contraction::pack(Emit &e, const PackSpec &spec, Value source, Value sourceBase,
                       Value segmentCount, Value length, Value target) {
  int64_t nanoseconds = spec.elements() / (spec.columnStride == 1 ? 8 : 2);
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

void contraction::zip(Emit &e, Value source, Value base, int64_t unit, int64_t distance,
                      Value units, int64_t count, Value target) {
  int64_t width = std::min<int64_t>(llvm::bit_floor(static_cast<uint64_t>(count)), 16);
  // The last vector overlaps the one before it, so that nothing behind the unit is written.
  int64_t vectors = llvm::divideCeil(count, width), chunk = 1024,
          chunks = llvm::divideCeil(vectors, chunk);
  auto type = i16Vector(e, width);
  e.parallel({units, e.index(chunks)}, sizeOf(target) / 16, [&](ValueRange ids) {
    Value from = e.mul(ids[1], chunk), to = e.min(e.add(from, chunk), e.index(vectors));
    Value sourceUnit = e.add(base, e.mul(ids[0], unit)), targetUnit = e.mul(ids[0], 2 * count);
    e.loop(from, to, 1, [&](Value i) {
      Value f = e.min(e.mul(i, width), e.index(count - width)), at = e.add(sourceUnit, f);
      Value x = load(e, type, source, at), y = load(e, type, source, e.add(at, distance));
      Value pairs = vector::InterleaveOp::create(e.b, e.loc, x, y);
      store(e, pairs, target, e.add(targetUnit, e.mul(f, 2)));
    });
  });
}
