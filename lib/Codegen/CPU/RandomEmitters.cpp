//===- RandomEmitters.cpp - random bits by counter ----------------------------===//
//
// numerics.md, section 6; Numerics/Random.h's Philox, instantiated for vectors of counters. A block
// of four words holds the half-words of eight elements in order, so eight counters, a vector of 512
// bits, make 64 elements. Ten rounds are one chain: several vectors at a time, so that chains
// overlap.
//
//===----------------------------------------------------------------------===//
#include "Emitters.h"

#include "nibble/Numerics/Random.h"

using namespace nibble::codegen;
namespace generic = nibble::numerics::generic;
namespace train = nibble::train;
using I = VectorOps::I;

/// Elements that one counter makes.
static constexpr int64_t kElements = 8;

RandomBlocks::RandomBlocks(Group &group, train::RandomBitsOp op)
    : e(group.e), stream(static_cast<int32_t>(op.getStream())) {
  Buffer rng = group.in(op.getRng());
  auto low = [&](Value wide) -> Value {
    return arith::TruncIOp::create(e.b, e.loc, e.b.getI32Type(), wide);
  };
  Value seed = loadScalar(e, rng, 0), update = loadScalar(e, rng, 1);
  key0 = low(seed);
  key1 = low(arith::ShRUIOp::create(e.b, e.loc, seed, e.i64(32)));
  step = low(update);
}

namespace {

/// The policy of Numerics for words that lie in the low halves of 64-bit lanes, as the instruction
/// wants them that multiplies 32 by 32 bits: one product gives both of its halves. High halves may
/// hold anything.
struct WideWords {
  using I = VectorOps::I;
  LoopBuilder &e;
  int64_t lanes;

  VectorType type() const { return VectorType::get({lanes}, e.b.getI64Type()); }
  I constant(int64_t x) const { return {e.splat(type(), e.b.getI64IntegerAttr(x))}; }
  I constI(int32_t x) const { return constant(static_cast<uint32_t>(x)); }
  /// Of an i32.
  I splat(Value x) const {
    Value wide = arith::ExtUIOp::create(e.b, e.loc, e.b.getI64Type(), x);
    return {vector::BroadcastOp::create(e.b, e.loc, type(), wide)};
  }
  I iadd(I x, I y) const { return {arith::AddIOp::create(e.b, e.loc, x.v, y.v)}; }
  I ixor(I x, I y) const { return {arith::XOrIOp::create(e.b, e.loc, x.v, y.v)}; }
  I iand(I x, I y) const { return {arith::AndIOp::create(e.b, e.loc, x.v, y.v)}; }
  I ior(I x, I y) const { return {arith::OrIOp::create(e.b, e.loc, x.v, y.v)}; }
  I low(I x) const { return iand(x, constant(0xFFFFFFFF)); }
  I imul(I x, I y) const { return {arith::MulIOp::create(e.b, e.loc, low(x).v, low(y).v)}; }
  I umulHigh(I x, I y) const {
    return {arith::ShRUIOp::create(e.b, e.loc, imul(x, y).v, constant(32).v)};
  }
  /// Two words to one lane: x below y.
  Value pair(I x, I y) const {
    return ior(low(x), {arith::ShLIOp::create(e.b, e.loc, y.v, constant(32).v)}).v;
  }
};

} // namespace

/// Elements of eight counters, or of as many as there are.
Value RandomBlocks::some(Value element, int64_t elements) const {
  WideWords o{e, elements / kElements};
  auto numbers = llvm::to_vector(llvm::seq<int64_t>(0, o.lanes));
  I iota{e.pool.get(e.b, DenseElementsAttr::get(o.type(), ArrayRef<int64_t>(numbers)))};
  // Counter: low, high word of the block's number (a tensor has less than 2³⁵ elements: the high
  // word is 0), step, stream.
  std::array<I, 4> c = {o.iadd(o.splat(e.toI32(e.div(element, kElements))), iota), o.constI(0),
                        o.splat(step), o.constI(stream)};
  generic::philox4x32(o, c, o.splat(key0), o.splat(key1));
  Value words = vector::InterleaveOp::create(e.b, e.loc, o.pair(c[0], c[1]), o.pair(c[2], c[3]));
  auto halves = VectorType::get({elements}, e.b.getI16Type());
  return vector::BitCastOp::create(e.b, e.loc, halves, words);
}

SmallVector<Value> RandomBlocks::at(Value element, int64_t blocks) const {
  SmallVector<Value> made;
  for (int64_t i = 0; i < blocks; i += 2) {
    Value first = e.add(element, i * kBlock);
    if (i + 1 == blocks) {
      made.push_back(some(first, kBlock));
      continue;
    }
    Value both = some(first, 2 * kBlock);
    for (int64_t half : {0, 1})
      made.push_back(
          vector::ExtractStridedSliceOp::create(e.b, e.loc, both, ArrayRef<int64_t>{half * kBlock},
                                                ArrayRef<int64_t>{kBlock}, ArrayRef<int64_t>{1}));
  }
  return made;
}

/// Bits that are a group by themselves, since several groups read them.
Emitted nibble::codegen::emitRandom(Group &group, Operation *op) {
  auto random = dyn_cast<train::RandomBitsOp>(op);
  if (!random)
    return std::nullopt;
  LoopBuilder &e = group.e;
  Buffer bits = group.out(random.getResult());
  if (!bits.memory)
    return success();
  RandomBlocks made(group, random);
  e.flatBlocks(bits.count(), RandomBlocks::kAtOnce, [&](Value at, int64_t blocks) {
    for (auto [i, block] : llvm::enumerate(made.at(at, blocks)))
      e.store(block, bits.memory, e.add(at, i * kBlock));
  });
  return success();
}
