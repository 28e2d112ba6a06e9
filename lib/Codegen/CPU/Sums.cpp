//===- Sums.cpp - reductions whose order is defined ---------------------------===//
#include "Sums.h"

#include "nibble/Numerics/Reduce.h"

using namespace nibble::codegen;

static constexpr int64_t kFlatBlock = nibble::numerics::kFlatBlock;
static_assert(kLanes == nibble::numerics::kFlatLanes);
static_assert(kChunkElements % kFlatBlock == 0 && kChunkElements % kBlock == 0);

SmallVector<Value> nibble::codegen::flatBlockSums(LoopBuilder &e, Value begin, int64_t length,
                                                  unsigned k, Terms terms) {
  VectorOps o = e.ops(kLanes);
  SmallVector<Value> lanes(k, o.constF(0).v);
  int64_t whole = length / kLanes * kLanes;
  if (whole > 0)
    lanes = e.loop(begin, e.add(begin, whole), kLanes, lanes, [&](Value at, ValueRange soFar) {
      SmallVector<Value> next = terms(at, kLanes);
      for (unsigned i = 0; i < k; ++i)
        next[i] = o.add({soFar[i]}, {next[i]}).v;
      return next;
    });
  if (int64_t active = length - whole) {
    SmallVector<Value> last = terms(e.add(begin, whole), active);
    VectorOps::B mask{e.activeLanes(kLanes, active)};
    for (unsigned i = 0; i < k; ++i) // lanes past the end keep their sum
      lanes[i] = o.select(mask, o.add({lanes[i]}, {last[i]}), VectorOps::F{lanes[i]}).v;
  }
  for (Value &lane : lanes)
    lane = e.combineLanes(lane);
  return lanes;
}

/// sums += blocks, in f64.
static SmallVector<Value> addWide(LoopBuilder &e, ValueRange sums, ValueRange blocks) {
  SmallVector<Value> next;
  for (auto [sum, block] : llvm::zip(sums, blocks)) {
    Value wide = arith::ExtFOp::create(e.b, e.loc, e.b.getF64Type(), block);
    next.push_back(arith::AddFOp::create(e.b, e.loc, sum, wide));
  }
  return next;
}

SmallVector<Value> nibble::codegen::rowSums(LoopBuilder &e, Value begin, int64_t length, unsigned k,
                                            Terms terms) {
  SmallVector<Value> sums(k, e.f64(0));
  int64_t whole = length / kFlatBlock * kFlatBlock;
  if (whole > 0)
    sums = e.loop(begin, e.add(begin, whole), kFlatBlock, sums, [&](Value at, ValueRange soFar) {
      return addWide(e, soFar, flatBlockSums(e, at, kFlatBlock, k, terms));
    });
  if (length > whole)
    sums = addWide(e, sums, flatBlockSums(e, e.add(begin, whole), length - whole, k, terms));
  return sums;
}

int64_t nibble::codegen::flatSumsScratch(int64_t n, unsigned k) {
  return n <= kFlatBlock ? 0 : llvm::divideCeil(n, kFlatBlock) * k * sizeof(float);
}

SmallVector<Value> nibble::codegen::flatSums(Group &group, unsigned part, int64_t n, unsigned k,
                                             Terms terms) {
  LoopBuilder &e = group.e;
  if (n <= kFlatBlock)
    return rowSums(e, e.index(0), n, k, terms);
  int64_t whole = n / kFlatBlock, blocks = llvm::divideCeil(n, kFlatBlock);
  Value partial = group.scratch(part, e.b.getF32Type(), blocks * k);
  auto keep = [&](Value block, int64_t length) {
    SmallVector<Value> sums = flatBlockSums(e, e.mul(block, kFlatBlock), length, k, terms);
    for (unsigned i = 0; i < k; ++i)
      e.storeScalar(sums[i], partial, e.add(e.mul(block, k), i));
  };
  e.parallel(whole, kFlatBlock, [&](Value block) { keep(block, kFlatBlock); });
  if (blocks > whole)
    keep(e.index(whole), n - whole * kFlatBlock);
  return e.loop(e.index(0), e.index(blocks), 1, SmallVector<Value>(k, e.f64(0)),
                [&](Value block, ValueRange soFar) {
                  SmallVector<Value> sums;
                  for (unsigned i = 0; i < k; ++i)
                    sums.push_back(e.loadScalar(partial, e.add(e.mul(block, k), i)));
                  return addWide(e, soFar, sums);
                });
}

int64_t nibble::codegen::foldFlatScratch(int64_t n, unsigned accumulators) {
  return foldChunksScratch(llvm::divideCeil(n, kChunkElements), accumulators);
}

int64_t nibble::codegen::foldChunksScratch(int64_t chunks, unsigned accumulators) {
  return chunks == 1 ? 0 : ChunkFolds::bytesOf(chunks, accumulators);
}

/// Halves a vector until one lane is left. Scalars are what they are.
static Value mergeLanes(LoopBuilder &e, unsigned i, Value vector, const FlatFold &fold) {
  if (!isa<VectorType>(vector.getType()))
    return vector;
  for (int64_t distance = kBlock / 2; distance > 0; distance /= 2) {
    auto low = llvm::to_vector(llvm::seq<int64_t>(0, distance)),
         high = llvm::to_vector(llvm::seq<int64_t>(distance, 2 * distance));
    vector = fold.merge(i, e.shuffle(vector, vector, low), e.shuffle(vector, vector, high));
  }
  return e.extract(vector, 0);
}

/// The accumulators after a chunk, as scalars.
static SmallVector<Value> foldChunk(LoopBuilder &e, const FlatFold &fold, Value chunk, Chunk body) {
  SmallVector<Value> found = body(chunk);
  for (unsigned i = 0; i < fold.init.size(); ++i)
    found[i] = mergeLanes(e, i, found[i], fold);
  return found;
}

ChunkFolds::ChunkFolds(Group &group, unsigned part, int64_t chunks, const FlatFold &fold)
    : e(group.e), chunks(chunks), fold(fold) {
  for (unsigned i = 0; i < fold.init.size(); ++i) {
    Type type = getElementTypeOrSelf(fold.init[i]);
    // One scratch part, an array for each accumulator (all of four bytes).
    partial.push_back(group.scratchAt(part, i * chunks * 4, type, chunks));
  }
}

void ChunkFolds::keep(Value chunk, Chunk body) {
  for (auto [value, memory] : llvm::zip(foldChunk(e, fold, chunk, body), partial))
    e.storeScalar(value, memory, chunk);
}

SmallVector<Value> ChunkFolds::merged() {
  if (partial.empty())
    return {};
  SmallVector<Value> first;
  for (Value memory : partial)
    first.push_back(e.loadScalar(memory, e.index(0)));
  return e.loop(e.index(1), e.index(chunks), 1, first, [&](Value chunk, ValueRange soFar) {
    SmallVector<Value> next;
    for (unsigned i = 0; i < partial.size(); ++i)
      next.push_back(fold.merge(i, soFar[i], e.loadScalar(partial[i], chunk)));
    return next;
  });
}

SmallVector<Value> nibble::codegen::foldChunks(Group &group, unsigned part, int64_t chunks,
                                               int64_t work, const FlatFold &fold, Chunk body) {
  if (chunks == 1)
    return foldChunk(group.e, fold, group.e.index(0), body);
  ChunkFolds folds(group, part, chunks, fold);
  group.e.parallel(chunks, work, [&](Value chunk) { folds.keep(chunk, body); });
  return folds.merged();
}

SmallVector<Value> nibble::codegen::foldFlat(Group &group, unsigned part, int64_t n,
                                             const FlatFold &fold) {
  LoopBuilder &e = group.e;
  int64_t whole = fold.wholeBlocks ? llvm::alignTo(n, kBlock) : n / kBlock * kBlock;
  auto maskAt = [&](Value at) -> std::optional<VectorOps::B> {
    if (n >= whole)
      return std::nullopt;
    VectorOps o = e.ops(kBlock);
    Value left = e.toI32(e.min(e.sub(e.index(n), at), e.index(kBlock)));
    return o.ilt(o.iota(), o.splat(VectorOps::I{left}));
  };
  return foldChunks(
      group, part, llvm::divideCeil(n, kChunkElements), kChunkElements, fold, [&](Value chunk) {
        Value lo = e.mul(chunk, kChunkElements),
              hi = e.min(e.add(lo, kChunkElements), e.index(whole));
        SmallVector<Value> sums = fold.init;
        e.blocks(lo, hi, whole, fold.together, sums,
                 [&](Value at, int64_t blocks, ValueRange soFar) {
                   if (fold.prepare)
                     fold.prepare(at, blocks);
                   SmallVector<Value> next(soFar);
                   for (int64_t i = 0; i < blocks; ++i) {
                     Value block = e.add(at, i * kBlock);
                     next = fold.step(block, next, maskAt(block));
                   }
                   return next;
                 });
        if (n > whole) { // in chunks before the last one no lane is left below the chunk's end
          VectorOps o = e.ops(kBlock);
          Value left = e.toI32(e.sub(e.min(e.add(lo, kChunkElements), e.index(n)), hi));
          sums = fold.step(hi, sums, o.ilt(o.iota(), o.splat(VectorOps::I{left})));
        }
        return sums;
      });
}

Value nibble::codegen::maxMagnitudeBits(Group &group, unsigned part, const Buffer &x) {
  LoopBuilder &e = group.e;
  VectorOps o = e.ops(kBlock);
  FlatFold fold;
  fold.init = {o.constI(0).v};
  fold.merge = [&](unsigned, Value a, Value b) -> Value {
    return arith::MaxSIOp::create(e.b, e.loc, a, b);
  };
  fold.step = [&](Value at, ValueRange soFar, std::optional<VectorOps::B> mask) {
    VectorOps::I magnitude = o.iand(o.bits({loadBlock(e, x, at)}), o.constI(0x7FFFFFFF));
    if (mask)
      magnitude = o.select(*mask, magnitude, o.constI(0));
    return SmallVector<Value>{fold.merge(0, soFar[0], magnitude.v)};
  };
  return foldFlat(group, part, x.count(), fold)[0];
}

Value nibble::codegen::magnitudeOf(LoopBuilder &e, Value bits) {
  VectorOps o = e.scalarOps();
  VectorOps::I magnitude{bits};
  auto isNan = o.ilt(o.constI(0x7F800000), magnitude);
  return o.fromBits(o.select(isNan, o.constI(0x7FC00000), magnitude)).v;
}

Value nibble::codegen::absMax(Group &group, unsigned part, const Buffer &x) {
  return magnitudeOf(group.e, maxMagnitudeBits(group, part, x));
}
