//===- LoopBuilder.cpp - loops, index arithmetic and vectors in memory --------===//
#include "LoopBuilder.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace nibble::codegen;

static std::optional<int64_t> constantOf(Value v) { return getConstantIntValue(OpFoldResult(v)); }

Value LoopBuilder::splat(VectorType type, TypedAttr value) const {
  return pool.get(b, DenseElementsAttr::get(type, Attribute(value)));
}

Value LoopBuilder::add(Value x, Value y) const {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q)
    return index(*p + *q);
  if (p && *p == 0)
    return y;
  if (q && *q == 0)
    return x;
  return arith::AddIOp::create(b, loc, x, y);
}

Value LoopBuilder::sub(Value x, Value y) const {
  auto p = constantOf(x), q = constantOf(y);
  if (p && q)
    return index(*p - *q);
  if (q && *q == 0)
    return x;
  return arith::SubIOp::create(b, loc, x, y);
}

Value LoopBuilder::mul(Value x, int64_t y) const {
  if (auto p = constantOf(x))
    return index(*p * y);
  if (y == 1)
    return x;
  return y == 0 ? index(0) : arith::MulIOp::create(b, loc, x, index(y)).getResult();
}

Value LoopBuilder::div(Value x, int64_t y) const {
  if (auto p = constantOf(x))
    return index(*p / y);
  return y == 1 ? x : arith::DivUIOp::create(b, loc, x, index(y)).getResult();
}

Value LoopBuilder::rem(Value x, int64_t y) const {
  if (auto p = constantOf(x))
    return index(*p % y);
  return y == 1 ? index(0) : arith::RemUIOp::create(b, loc, x, index(y)).getResult();
}

Value LoopBuilder::min(Value x, Value y) const {
  auto p = constantOf(x), q = constantOf(y);
  return p && q ? index(std::min(*p, *q)) : arith::MinSIOp::create(b, loc, x, y).getResult();
}

Value LoopBuilder::max(Value x, Value y) const {
  auto p = constantOf(x), q = constantOf(y);
  return p && q ? index(std::max(*p, *q)) : arith::MaxSIOp::create(b, loc, x, y).getResult();
}

void LoopBuilder::loop(Value lo, Value hi, int64_t step, function_ref<void(Value)> body) const {
  auto op = scf::ForOp::create(b, loc, lo, hi, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.getBody()->getTerminator());
  body(op.getInductionVar());
}

SmallVector<Value> LoopBuilder::loop(Value lo, Value hi, int64_t step, ArrayRef<Value> init,
                                     Carried body) const {
  if (init.empty()) {
    loop(lo, hi, step, [&](Value at) { body(at, {}); });
    return {};
  }
  auto op = scf::ForOp::create(b, loc, lo, hi, index(step), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  scf::YieldOp::create(b, loc, next);
  return llvm::to_vector(ValueRange(op.getResults()));
}

void LoopBuilder::parallel(int64_t count, int64_t work, function_ref<void(Value)> body) const {
  if (count == 1)
    return body(index(0));
  if (count * work < kParallelElements)
    return loop(index(0), index(count), 1, body);
  auto op = scf::ParallelOp::create(b, loc, ValueRange{index(0)}, ValueRange{index(count)},
                                    ValueRange{index(1)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.getBody()->getTerminator());
  body(op.getInductionVars()[0]);
}

void LoopBuilder::parallel(Value lo, Value hi, function_ref<void(Value)> body) const {
  auto op = scf::ParallelOp::create(b, loc, ValueRange{lo}, ValueRange{hi}, ValueRange{index(1)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.getBody()->getTerminator());
  body(op.getInductionVars()[0]);
}

void LoopBuilder::flat(int64_t n, int64_t step, function_ref<void(Value)> body) const {
  int64_t end = llvm::alignTo(n, step);
  if (end <= kChunkElements)
    return end == step ? body(index(0)) : loop(index(0), index(end), step, body);
  parallel(llvm::divideCeil(end, kChunkElements), kChunkElements, [&](Value chunk) {
    Value lo = mul(chunk, kChunkElements), hi = add(lo, kChunkElements);
    loop(lo, end % kChunkElements ? min(hi, index(end)) : hi, step, body);
  });
}

void LoopBuilder::flatBlocks(int64_t n, int64_t together,
                             function_ref<void(Value, int64_t)> body) const {
  int64_t step = together * kBlock, whole = n / step * step;
  if (whole > 0)
    flat(whole, step, [&](Value at) { body(at, together); });
  if (n > whole)
    loop(index(whole), index(llvm::alignTo(n, kBlock)), kBlock, [&](Value at) { body(at, 1); });
}

void LoopBuilder::blocks(Value lo, Value hi, int64_t n, int64_t together,
                         SmallVector<Value> &carried, Blocks body) const {
  auto over = [&](Value from, Value to, int64_t count) {
    carried = loop(from, to, count * kBlock, carried,
                   [&](Value at, ValueRange soFar) { return body(at, count, soFar); });
  };
  int64_t step = together * kBlock;
  if (n % step == 0)
    return over(lo, hi, together);
  Value middle = add(lo, mul(div(sub(hi, lo), step), step));
  if (n > step)
    over(lo, middle, together);
  over(middle, hi, 1);
}

void LoopBuilder::vectors(int64_t n, int64_t width, function_ref<void(Value, int64_t)> body) const {
  int64_t whole = n / width * width;
  if (whole == width)
    body(index(0), width);
  else if (whole > 0)
    loop(index(0), index(whole), width, [&](Value first) { body(first, width); });
  if (n > whole)
    body(index(whole), n - whole);
}

void LoopBuilder::ifThen(Value condition, function_ref<void()> body) const {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op.thenBlock()->getTerminator());
  body();
}

SmallVector<Value> LoopBuilder::ifElse(Value condition, TypeRange types,
                                       function_ref<SmallVector<Value>()> then,
                                       function_ref<SmallVector<Value>()> otherwise) const {
  auto op =
      scf::IfOp::create(b, loc, types, condition, /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  SmallVector<Value> values = then();
  scf::YieldOp::create(b, loc, values);
  b.setInsertionPointToStart(op.elseBlock());
  values = otherwise();
  scf::YieldOp::create(b, loc, values);
  return llvm::to_vector(ValueRange(op.getResults()));
}

Value LoopBuilder::activeLanes(int64_t lanes, int64_t active) const {
  SmallVector<bool> bits(lanes, false);
  std::fill(bits.begin(), bits.begin() + active, true);
  return pool.get(
      b, DenseElementsAttr::get(VectorType::get({lanes}, b.getI1Type()), ArrayRef<bool>(bits)));
}

Value LoopBuilder::load(Value memory, Value at, int64_t lanes, int64_t active) const {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  auto type = VectorType::get({lanes}, element);
  if (active < 0 || active == lanes)
    return vector::LoadOp::create(b, loc, type, memory, at);
  Value zero = pool.get(b, cast<TypedAttr>(b.getZeroAttr(type)));
  return vector::MaskedLoadOp::create(b, loc, type, memory, ValueRange{at},
                                      activeLanes(lanes, active), zero);
}

void LoopBuilder::store(Value vector, Value memory, Value at, int64_t active) const {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  if (active < 0 || active == lanes)
    vector::StoreOp::create(b, loc, vector, memory, at);
  else
    vector::MaskedStoreOp::create(b, loc, memory, ValueRange{at}, activeLanes(lanes, active),
                                  vector);
}

void LoopBuilder::prefetch(Value memory, Value at) const {
  memref::PrefetchOp::create(b, loc, memory, ValueRange{at}, /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}

Value LoopBuilder::combineLanes(Value vector) const {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2) {
    auto low = llvm::to_vector(llvm::seq<int64_t>(0, distance)),
         high = llvm::to_vector(llvm::seq<int64_t>(distance, 2 * distance));
    vector =
        arith::AddFOp::create(b, loc, shuffle(vector, vector, low), shuffle(vector, vector, high));
  }
  return extract(vector, 0);
}
