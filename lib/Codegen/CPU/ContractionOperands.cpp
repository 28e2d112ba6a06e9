//===- ContractionOperands.cpp - operands as small integers -------------------===//
#include "ContractionOperands.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble;
using namespace nibble::contraction;

VectorType contraction::vectorOf(Value memref, int64_t n) {
  return VectorType::get({n}, cast<MemRefType>(memref.getType()).getElementType());
}
Value contraction::loadVector(Emit &e, VectorType type, Value memref, Value at) {
  return vector::LoadOp::create(e.b, e.loc, type, memref, ValueRange{at});
}
void contraction::storeVector(Emit &e, Value value, Value memref, Value at) {
  vector::StoreOp::create(e.b, e.loc, value, memref, ValueRange{at});
}
static int64_t sizeOf(Value memref) { return cast<MemRefType>(memref.getType()).getNumElements(); }

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

Type contraction::formType(OpBuilder &b, Form form) {
  return form == Form::S16 ? b.getI16Type() : b.getI8Type();
}

/// What U8 adds to values, without the zero point.
static int64_t staticOffset(const CodeFormat &format) {
  return format.kind == CodeFormat::Int4 ? 8 : format.kind == CodeFormat::Int8 ? 128 : 64;
}

int64_t contraction::largestUnsigned(const CodeFormat &format) {
  return format.kind == CodeFormat::Int4 ? 15 : format.kind == CodeFormat::Int8 ? 255 : 128;
}

Value contraction::decodedOffset(Emit &e, const CodeFormat &format, Value zeroPoint) {
  Value offset = arith::ConstantIntOp::create(e.b, e.loc, e.b.getI32Type(), staticOffset(format));
  if (!zeroPoint)
    return offset;
  return e.add(offset, arith::ExtSIOp::create(e.b, e.loc, e.b.getI32Type(), zeroPoint).getResult());
}

Value contraction::zeroElement(Emit &e, const CodeFormat &format, Form form, Value zeroPoint) {
  Type type = formType(e.b, form);
  if (form != Form::U8)
    return arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(type));
  return arith::TruncIOp::create(e.b, e.loc, type, decodedOffset(e, format, zeroPoint));
}

namespace {
/// Decodes blocks of 32 codes.
struct Decoder {
  Emit &e;
  const CodeFormat &format;
  Form form;
  Value bytes, zeroPoint, target;
  Value offset = {}; // of int4: 8 + zero point, a vector

  VectorType type(int64_t n) { return vectorOf(target, n); }
  Value bitAnd(Value x, int64_t mask) {
    return arith::AndIOp::create(e.b, e.loc, x, e.splat(cast<VectorType>(x.getType()), mask));
  }
  Value shiftRight(Value x, int64_t bits) {
    return arith::ShRUIOp::create(e.b, e.loc, x, e.splat(cast<VectorType>(x.getType()), bits));
  }

  /// (1 << e·log2(radix)) >> log2(radix) is radix^(e-1), and 0 for e = 0.
  Value logValue(Value nibbles) {
    auto type = cast<VectorType>(nibbles.getType());
    Value exponent = bitAnd(nibbles, 7);
    if (format.radix == 4)
      exponent = e.add(exponent, exponent);
    Value magnitude = arith::ShLIOp::create(e.b, e.loc, e.splat(type, 1), exponent);
    magnitude = shiftRight(magnitude, format.radix == 4 ? 2 : 1);
    Value sign = e.sub(e.splat(type, 0), shiftRight(nibbles, 3));
    return e.sub(arith::XOrIOp::create(e.b, e.loc, magnitude, sign).getResult(), sign);
  }

  /// The values of the 16 nibbles, looked up by byte shuffles.
  Value lookUp(Value nibbles) {
    SmallVector<int8_t> table;
    for (int lane = 0; lane < 32; ++lane) {
      int exponent = lane & 7, magnitude = (1 << exponent) >> 1;
      int value = lane & 8 ? -magnitude : magnitude;
      table.push_back(static_cast<int8_t>(value + (form == Form::U8 ? staticOffset(format) : 0)));
    }
    Value values = arith::ConstantOp::create(
        e.b, e.loc, DenseElementsAttr::get(type(32), ArrayRef<int8_t>(table)));
    return e.intrinsic("llvm.x86.avx2.pshuf.b", type(32), {values, nibbles});
  }

  /// Nibbles 0 ... 15 to what they are worth.
  Value nibbleValue(Value nibbles) {
    if (format.kind == CodeFormat::Int4)
      return form == Form::U8 ? nibbles : e.sub(nibbles, offset);
    if (form != Form::S16 && e.target.avx2)
      return lookUp(nibbles);
    Value value = logValue(nibbles);
    if (form != Form::U8)
      return value;
    return e.add(value, e.splat(cast<VectorType>(value.getType()), staticOffset(format)));
  }

  /// The 32 nibbles of 16 bytes, in 8-bit lanes.
  Value byteNibbles(Value in) {
    Value packed = loadVector(e, vectorOf(bytes, 16), bytes, in);
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, 32));
    return vector::ShuffleOp::create(e.b, e.loc, bitAnd(packed, 15), shiftRight(packed, 4), order);
  }

  void byteBlock(Value in, Value out) {
    if (format.kind != CodeFormat::Int8)
      return storeVector(e, nibbleValue(byteNibbles(in)), target, out);
    Value codes = loadVector(e, type(32), bytes, in);
    if (form == Form::U8)
      codes = arith::XOrIOp::create(e.b, e.loc, codes, e.splat(type(32), -128));
    storeVector(e, codes, target, out);
  }

  /// 16 codes as 16-bit integers: the low or the high nibbles of 16 bytes, or 16 bytes.
  void wordBlock(Value in, Value out) {
    auto half = type(16);
    for (int64_t part = 0; part < 2; ++part) {
      Value value;
      if (format.kind == CodeFormat::Int8) {
        value = loadVector(e, vectorOf(bytes, 16), bytes, e.add(in, part * 16));
        value = arith::ExtSIOp::create(e.b, e.loc, half, value);
      } else {
        value = loadVector(e, vectorOf(bytes, 16), bytes, in);
        value = arith::ExtUIOp::create(e.b, e.loc, half, value);
        value = nibbleValue(part == 0 ? bitAnd(value, 15) : shiftRight(value, 4));
      }
      storeVector(e, value, target, e.add(out, part * 16));
    }
  }

  /// Block `block` of the source to `out`.
  void block(Value block, Value out) {
    Value in = e.mul(block, format.kind == CodeFormat::Int8 ? 32 : 16);
    form == Form::S16 ? wordBlock(in, out) : byteBlock(in, out);
  }

  void prepare() {
    if (format.kind != CodeFormat::Int4 || form == Form::U8)
      return;
    auto lanes = type(form == Form::S16 ? 16 : 32);
    offset = e.splat(lanes, staticOffset(format));
    if (!zeroPoint)
      return;
    Value zero = zeroPoint;
    if (form == Form::S8)
      zero = arith::TruncIOp::create(e.b, e.loc, e.b.getI8Type(), zero);
    offset = e.add(offset, vector::BroadcastOp::create(e.b, e.loc, lanes, zero).getResult());
  }
};
} // namespace

static Decoder makeDecoder(Emit &e, const CodeFormat &format, Form form, Value source,
                           Value zeroPoint, Value target) {
  int64_t blocks = llvm::divideCeil(format.elements, kBlockCodes);
  int64_t bytes = blocks * (format.kind == CodeFormat::Int8 ? 32 : 16);
  Decoder decoder{e, format, form, e.flat(source, bytes), zeroPoint, target};
  decoder.prepare();
  return decoder;
}

void contraction::decode(Emit &e, const CodeFormat &format, Form form, Value source,
                         Value zeroPoint, Value begin, Value count, Value target) {
  Decoder decoder = makeDecoder(e, format, form, source, zeroPoint, target);
  Value first = e.div(begin, 32), last = e.ceilDiv(e.add(begin, count), 32);
  constexpr int64_t kBlocksATask = 512;
  e.chunks(e.sub(last, first), kBlocksATask, sizeOf(target) / 16, [&](Value from, Value to) {
    e.loop(from, to, 1,
           [&](Value block) { decoder.block(e.add(first, block), e.mul(block, kBlockCodes)); });
  });
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

/// Copies n (static) elements. The last vector overlaps the one before it, so that nothing behind
/// the run is written.
static void copyRun(Emit &e, Value source, Value from, Value target, Value to, int64_t n) {
  int64_t most = 512 / cast<MemRefType>(source.getType()).getElementTypeBitWidth();
  int64_t width = std::min<int64_t>(llvm::bit_floor(static_cast<uint64_t>(n)), most),
          whole = n / width * width;
  auto type = vectorOf(source, width);
  auto copy = [&](Value i) {
    storeVector(e, loadVector(e, type, source, e.add(from, i)), target, e.add(to, i));
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

bool contraction::decodesMaps(const PadSpec &s) {
  return s.width * s.channels % kBlockCodes == 0 && s.dilationW == 1;
}

void contraction::decodeMaps(Emit &e, const CodeFormat &format, Form form, const PadSpec &s,
                             Value source, Value zeroPoint, Value first, Value images,
                             Value target) {
  Decoder decoder = makeDecoder(e, format, form, source, zeroPoint, target);
  int64_t row = s.width * s.channels, blocks = row / kBlockCodes;
  int64_t rowsATask = std::max<int64_t>(1, 16384 / row);
  e.chunks(e.mul(images, s.height), rowsATask, sizeOf(target) / 16, [&](Value from, Value to) {
    e.loop(from, to, 1, [&](Value imageRow) {
      Value n = e.div(imageRow, s.height),
            h = s.height == 1 ? e.index(0) : e.rem(imageRow, s.height);
      Value toRow = e.add(e.add(e.mul(n, s.paddedHeight), e.mul(h, s.dilationH)), s.top);
      Value out = e.mul(e.add(e.mul(toRow, s.paddedWidth), s.left), s.channels);
      Value in = e.mul(e.add(e.mul(first, s.height), imageRow), blocks);
      e.loop(e.index(0), e.index(blocks), 1, [&](Value block) {
        decoder.block(e.add(in, block), e.add(out, e.mul(block, kBlockCodes)));
      });
    });
  });
}

void contraction::fill(Emit &e, Value memref, int64_t n, Value value) {
  int64_t width = 512 / value.getType().getIntOrFloatBitWidth();
  e.chunks(e.index(llvm::divideCeil(n, width)), 1024, n / width, [&](Value from, Value to) {
    Value vector = vector::BroadcastOp::create(e.b, e.loc, vectorOf(memref, width), value);
    e.loop(from, to, 1, [&](Value i) { storeVector(e, vector, memref, e.mul(i, width)); });
  });
}

void contraction::fillZero(Emit &e, Value memref, int64_t n) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  fill(e, memref, n, arith::ConstantOp::create(e.b, e.loc, e.b.getZeroAttr(element)));
}
