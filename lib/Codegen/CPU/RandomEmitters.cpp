//===- RandomEmitters.cpp - random bits by counter ----------------------------===//
//
// numerics.md, section 6; Numerics/Random.h's Philox, instantiated for vectors of counters. A block of four words holds the
// half-words of eight elements in order, so 16 counters make 128 elements: their words, interleaved.
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

namespace {

struct Philox {
  LoopBuilder &e;
  Value key0, key1, step; ///< i32
  int32_t stream;
  Value memory;

  /// The half-words of `lanes` counters from block `first` on, to element 8·first of the result.
  void blocks(Value first, int64_t lanes) const {
    VectorOps o = e.ops(lanes);
    // Counter: low, high word of the block's number (a tensor has less than 2³⁵ elements: the high word is 0), step, stream.
    std::array<I, 4> c = {o.iadd(o.splat(I{e.toI32(first)}), o.iota()), o.constI(0), o.splat(I{step}), o.constI(stream)};
    generic::philox4x32(o, c, o.splat(I{key0}), o.splat(I{key1}));
    Value even = interleave(c[0].v, c[2].v), odd = interleave(c[1].v, c[3].v);
    auto halves = VectorType::get({lanes * kElements}, e.b.getI16Type());
    e.store(vector::BitCastOp::create(e.b, e.loc, halves, interleave(even, odd)), memory, e.mul(first, kElements));
  }
  Value interleave(Value x, Value y) const { return vector::InterleaveOp::create(e.b, e.loc, x, y); }
};

} // namespace

Emitted nibble::codegen::emitRandom(Group &group, Operation *op) {
  auto random = dyn_cast<train::RandomBitsOp>(op);
  if (!random)
    return std::nullopt;
  LoopBuilder &e = group.e;
  Buffer rng = group.in(random.getRng()), bits = group.out(random.getResult());
  if (!bits.memory)
    return success();
  Type i32 = e.b.getI32Type();
  auto low = [&](Value wide) -> Value { return arith::TruncIOp::create(e.b, e.loc, i32, wide); };
  Value seed = loadScalar(e, rng, 0), update = loadScalar(e, rng, 1);
  Value high = low(arith::ShRUIOp::create(e.b, e.loc, seed, e.i64(32)));
  Philox philox{e, low(seed), high, low(update), static_cast<int32_t>(random.getStream()), bits.memory};
  // 8 counters fill 128 bytes, the unit of padding; 16 are a whole vector of 512 bits.
  int64_t blocks = llvm::alignTo(llvm::divideCeil(bits.count(), kElements), 8), whole = blocks / 16 * 16;
  if (whole > 0)
    e.flat(whole * kElements, 16 * kElements, [&](Value at) { philox.blocks(e.div(at, kElements), 16); });
  if (blocks > whole)
    philox.blocks(e.index(whole), 8);
  return success();
}
