//===- ContractionBuilder.cpp - vocabulary of the contraction emitter ---------===//
#include "ContractionBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace nibble::contraction;

int64_t IndexMap::count() const {
  int64_t n = 1;
  for (const Level &level : levels)
    n *= level.size;
  return n;
}

void IndexMap::append(int64_t size, ArrayRef<int64_t> strides) {
  if (size == 1)
    return;
  if (!levels.empty()) {
    Level &outer = levels.back();
    bool continues = true;
    for (auto [o, i] : llvm::zip(outer.strides, strides))
      continues &= o == size * i;
    if (continues) {
      outer.size *= size;
      outer.strides.assign(strides.begin(), strides.end());
      return;
    }
  }
  levels.push_back({size, SmallVector<int64_t, 3>(strides)});
}

int64_t ScratchLayout::reserve(int64_t n) {
  int64_t offset = bytes;
  bytes += llvm::alignTo(n, 128) + 128;
  return offset;
}

Value Emit::index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
Value Emit::i64(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, b.getI64Type(), value);
}
Value Emit::toI64(Value v) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), v); }
Value Emit::toIndex(Value v) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), v); }
Value Emit::add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
Value Emit::add(Value x, int64_t y) { return y == 0 ? x : add(x, index(y)); }
Value Emit::sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
Value Emit::mul(Value x, int64_t y) {
  return y == 1 ? x : arith::MulIOp::create(b, loc, x, index(y)).getResult();
}
Value Emit::div(Value x, int64_t y) {
  return y == 1 ? x : arith::DivUIOp::create(b, loc, x, index(y)).getResult();
}
Value Emit::rem(Value x, int64_t y) { return arith::RemUIOp::create(b, loc, x, index(y)); }
Value Emit::ceilDiv(Value x, int64_t y) { return div(add(x, y - 1), y); }
Value Emit::min(Value x, Value y) { return arith::MinSIOp::create(b, loc, x, y); }
Value Emit::max(Value x, Value y) { return arith::MaxSIOp::create(b, loc, x, y); }

SmallVector<Value> Emit::apply(const IndexMap &map, Value flatNumber) {
  SmallVector<Value> digits(map.levels.size());
  Value rest = flatNumber;
  for (size_t i = map.levels.size(); i-- > 0;) {
    digits[i] = i == 0 ? rest : rem(rest, map.levels[i].size);
    if (i != 0)
      rest = div(rest, map.levels[i].size);
  }
  SmallVector<Value> results;
  for (size_t output = 0; output < map.base.size(); ++output) {
    Value sum;
    for (auto [level, digit] : llvm::zip(map.levels, digits)) {
      if (level.strides[output] == 0)
        continue;
      Value term = mul(digit, level.strides[output]);
      sum = sum ? add(sum, term) : term;
    }
    results.push_back(sum ? add(sum, map.base[output]) : index(map.base[output]));
  }
  return results;
}

// A fork and join of an OpenMP team costs one to a few microseconds.
static constexpr int64_t kForkNanoseconds = 4000;

void Emit::parallel(ArrayRef<Value> sizes, int64_t nanoseconds,
                    function_ref<void(ValueRange)> body) {
  OpBuilder::InsertionGuard guard(b);
  if (!oneThread && nanoseconds >= 2 * kForkNanoseconds) {
    SmallVector<Value> lower(sizes.size(), index(0)), step(sizes.size(), index(1));
    auto op = scf::ParallelOp::create(b, loc, lower, SmallVector<Value>(sizes), step);
    b.setInsertionPoint(op.getBody()->getTerminator());
    return body(op.getInductionVars());
  }
  SmallVector<Value> ivs;
  for (Value size : sizes) {
    auto op = scf::ForOp::create(b, loc, index(0), size, index(1));
    b.setInsertionPoint(op.getBody()->getTerminator());
    ivs.push_back(op.getInductionVar());
  }
  body(ivs);
}

void Emit::loop(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
  auto op = scf::ForOp::create(b, loc, begin, end, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.getBody()->getTerminator());
  body(op.getInductionVar());
}

void Emit::ifThen(Value condition, function_ref<void()> body) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.thenBlock()->getTerminator());
  body();
}

void Emit::chunks(Value count, int64_t chunk, int64_t nanoseconds,
                  function_ref<void(Value, Value)> body) {
  if (oneThread || nanoseconds < 2 * kForkNanoseconds)
    return body(index(0), count);
  parallel({ceilDiv(count, chunk)}, nanoseconds, [&](ValueRange ivs) {
    Value begin = mul(ivs[0], chunk);
    body(begin, min(add(begin, chunk), count));
  });
}

Value Emit::view(int64_t byteOffset, int64_t elements, Type type) {
  auto memref = MemRefType::get({elements}, type);
  return memref::ViewOp::create(b, loc, memref, scratch, index(byteOffset), ValueRange());
}

/// Where a `part` begins in its memref; null for whole memrefs.
static Value offsetOf(Value memref) {
  auto cast = memref.getDefiningOp<memref::ReinterpretCastOp>();
  return cast && !cast.getOffsets().empty() ? cast.getOffsets()[0] : Value();
}

Value Emit::part(Value memref, Value offset, int64_t elements) {
  auto layout = StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, {1});
  auto type =
      MemRefType::get({elements}, cast<MemRefType>(memref.getType()).getElementType(), layout);
  return memref::ReinterpretCastOp::create(b, loc, type, memref, OpFoldResult(offset),
                                           ArrayRef<OpFoldResult>{b.getIndexAttr(elements)},
                                           ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
}

Value Emit::flat(Value memref, int64_t elements) {
  if (Value offset = offsetOf(memref))
    return part(memref, offset, elements);
  auto type = cast<MemRefType>(memref.getType());
  auto flatType = MemRefType::get({elements}, type.getElementType());
  return memref::ReinterpretCastOp::create(b, loc, flatType, memref, /*offset=*/int64_t(0),
                                           ArrayRef<int64_t>{elements}, ArrayRef<int64_t>{1});
}

Value Emit::pointer(Value memref) {
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
  Value pointer =
      LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), toI64(address));
  Value offset = offsetOf(memref);
  return offset ? at(pointer, offset, cast<MemRefType>(memref.getType()).getElementType())
                : pointer;
}

Value Emit::at(Value pointer, Value offset, Type element) {
  if (offset.getType().isIndex())
    offset = toI64(offset);
  return LLVM::GEPOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), element, pointer,
                             ValueRange{offset});
}

Value Emit::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(b, loc, type, pointer, alignment);
}

Value Emit::intrinsic(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name), operands)
      .getResults();
}

void Emit::drainStores() {
  LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr("llvm.x86.sse.sfence"), ValueRange());
}

Value Emit::splat(VectorType type, int64_t value) {
  auto element = b.getIntegerAttr(type.getElementType(), value);
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, element));
}

mlir::ModuleOp Emit::module() {
  return b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
}
