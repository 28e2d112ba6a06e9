//===- Buffers.cpp - the tensors of a group as flat memory --------------------===//
#include "Buffers.h"

#include "nibble/Numerics/Packing.h"
#include "nibble/Numerics/Rounding.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace nibble::codegen;
namespace q4 = nibble::q4;

static constexpr int64_t kPadding = 128;

bool nibble::codegen::isPacked(Type element) {
  return isa<q4::Int4Type, q4::LogType, q4::E2M1Type>(element);
}

unsigned nibble::codegen::logRadix(Type element) {
  auto log = dyn_cast<q4::LogType>(element);
  return log ? log.getRadix() : 0;
}

Type nibble::codegen::registerType(Type element, MLIRContext *context) {
  if (element.isBF16())
    return IntegerType::get(context, 16);
  return isPacked(element) || isa<q4::Int8Type>(element) ? IntegerType::get(context, 8) : element;
}

int64_t nibble::codegen::paddedBytes(RankedTensorType type) {
  size_t n = type.getNumElements();
  unsigned bits = q4::storageBits(type.getElementType());
  size_t bytes = bits == 4   ? numerics::packedBytes(n)
                 : bits == 1 ? numerics::maskBytes(n)
                             : n * bits / 8;
  return llvm::alignTo(std::max<size_t>(bytes, 1), kPadding);
}

Value nibble::codegen::flatView(LoopBuilder &e, Operation *op, Value memref,
                                RankedTensorType type) {
  auto memrefType = cast<MemRefType>(memref.getType());
  Type stored = memrefType.getElementType();
  unsigned bits = q4::storageBits(type.getElementType());
  Type expected =
      bits < 8 ? Type(e.b.getI8Type()) : registerType(type.getElementType(), e.b.getContext());
  if (!memrefType.getLayout().isIdentity() || !memrefType.hasStaticShape() || stored != expected) {
    op->emitOpError() << "cannot use a buffer of type " << memrefType << " for a tensor of type "
                      << type << ": expected a dense memref of " << expected;
    return nullptr;
  }
  // One element alone is read and written without its padding.
  int64_t size =
      type.getNumElements() == 1 ? 1 : paddedBytes(type) * 8 / stored.getIntOrFloatBitWidth();
  auto flat = MemRefType::get({size}, stored);
  if (memrefType == flat)
    return memref;
  return memref::ReinterpretCastOp::create(e.b, e.loc, flat, memref, int64_t(0),
                                           ArrayRef<int64_t>{size}, ArrayRef<int64_t>{1});
}

/// Sixteen bytes → 32 nibbles: element b of the low nibbles, then of the high ones.
static Value unpackNibbles(LoopBuilder &e, Value bytes) {
  auto type = cast<VectorType>(bytes.getType());
  auto i8 = [&](int64_t v) { return e.splat(type, e.b.getI8IntegerAttr(v)); };
  Value low = arith::AndIOp::create(e.b, e.loc, bytes, i8(15));
  Value high = arith::ShRUIOp::create(e.b, e.loc, bytes, i8(4));
  return e.shuffle(low, high, llvm::to_vector(llvm::seq<int64_t>(0, 32)));
}

static Value packNibbles(LoopBuilder &e, Value nibbles) {
  Value low = e.shuffle(nibbles, nibbles, llvm::to_vector(llvm::seq<int64_t>(0, 16)));
  Value high = e.shuffle(nibbles, nibbles, llvm::to_vector(llvm::seq<int64_t>(16, 32)));
  Value four = e.splat(cast<VectorType>(low.getType()), e.b.getI8IntegerAttr(4));
  Value fifteen = e.splat(cast<VectorType>(low.getType()), e.b.getI8IntegerAttr(15));
  low = arith::AndIOp::create(e.b, e.loc, low, fifteen);
  return arith::OrIOp::create(e.b, e.loc, low, arith::ShLIOp::create(e.b, e.loc, high, four));
}

Value nibble::codegen::loadBlock(LoopBuilder &e, const Buffer &x, Value at) {
  Type element = x.element();
  auto type = VectorType::get({kBlock}, registerType(element, e.b.getContext()));
  if (x.splat)
    return e.splat(type, x.splat);
  if (element.isInteger(1)) {
    Value bytes = e.load(x.memory, e.div(at, 8), kBlock / 8);
    return vector::BitCastOp::create(e.b, e.loc, type, bytes);
  }
  if (!isPacked(element))
    return e.load(x.memory, x.begin ? e.sub(at, x.begin) : at, kBlock);
  Value nibbles = unpackNibbles(e, e.load(x.memory, e.div(at, 2), kBlock / 2));
  if (logRadix(element))
    return nibbles;
  return arith::SubIOp::create(e.b, e.loc, nibbles, e.splat(type, e.b.getI8IntegerAttr(8)));
}

void nibble::codegen::storeBlock(LoopBuilder &e, Value block, const Buffer &y, Value at,
                                 bool streams) {
  Type element = y.element();
  if (element.isInteger(1)) {
    auto bytes = VectorType::get({kBlock / 8}, e.b.getI8Type());
    return e.store(vector::BitCastOp::create(e.b, e.loc, bytes, block), y.memory, e.div(at, 8));
  }
  if (streams) {
    vector::StoreOp::create(e.b, e.loc, block, y.memory, ValueRange{at}, /*nontemporal=*/true,
                            llvm::MaybeAlign(64));
    return;
  }
  if (!isPacked(element))
    return e.store(block, y.memory, at);
  if (!logRadix(element)) // code + 8
    block = arith::AddIOp::create(
        e.b, e.loc, block, e.splat(cast<VectorType>(block.getType()), e.b.getI8IntegerAttr(8)));
  e.store(packNibbles(e, block), y.memory, e.div(at, 2));
}

Value nibble::codegen::widenBf16(LoopBuilder &e, Value bits) {
  VectorOps o = e.ops(cast<VectorType>(bits.getType()).getNumElements());
  Value whole = arith::ExtUIOp::create(e.b, e.loc, o.type(e.b.getI32Type()), bits);
  return numerics::generic::fromBf16(o, VectorOps::I{whole}).v;
}

Value nibble::codegen::loadReals(LoopBuilder &e, const Buffer &x, Value at, int64_t lanes,
                                 int64_t active) {
  if (x.splat)
    return e.splat(VectorType::get({lanes}, x.element()), x.splat);
  Value loaded = e.load(x.memory, at, lanes, active);
  return x.element().isBF16() ? widenBf16(e, loaded) : loaded;
}

Value nibble::codegen::loadScalar(LoopBuilder &e, const Buffer &x, int64_t at) {
  if (x.splat)
    return e.pool.get(e.b, x.splat);
  Value value = e.loadScalar(x.memory, e.index(at));
  if (x.element().isInteger(1))
    return arith::TruncIOp::create(e.b, e.loc, e.b.getI1Type(), value);
  return value;
}

void nibble::codegen::storeScalar(LoopBuilder &e, Value value, const Buffer &y, int64_t at) {
  if (!y.memory)
    return;
  if (y.element().isInteger(1))
    value = arith::ExtUIOp::create(e.b, e.loc, e.b.getI8Type(), value);
  e.storeScalar(value, y.memory, e.index(at));
}
