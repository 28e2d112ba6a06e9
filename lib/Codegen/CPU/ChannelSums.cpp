//===- ChannelSums.cpp - per-channel reductions -------------------------------===//
//
// Scratch holds block sums as [block][k][channel], channels padded to whole vectors.
//
//===----------------------------------------------------------------------===//
#include "ChannelSums.h"

#include "nibble/Numerics/Reduce.h"

using namespace nibble::codegen;

/// Vectors of channels that one pass over a block's rows sums at a time: independent chains of
/// additions.
static constexpr int64_t kTileVectors = 4;
/// Elements of a block that are decoded at a time where rows do not begin at whole flat blocks.
static constexpr int64_t kStageElements = 512;

ChannelShape::ChannelShape(RankedTensorType type) {
  ArrayRef<int64_t> shape = type.getShape();
  channels = shape.empty() ? 1 : shape.back();
  rows = type.getNumElements() / channels;
  bool images = shape.size() == 4;
  blockRows = numerics::channelBlockRows(static_cast<int>(shape.size()), images ? shape[1] : 1,
                                         images ? shape[2] : 1);
  blocks = llvm::divideCeil(rows, blockRows);
}

int64_t nibble::codegen::channelSumsScratch(const ChannelShape &shape, unsigned k) {
  return shape.blocks * k * shape.padded() * sizeof(float);
}

/// Rows that are decoded at a time.
static int64_t stageRows(const ChannelShape &shape) {
  return std::min(shape.blockRows, std::max<int64_t>(1, kStageElements / shape.channels));
}
/// Elements of one stage: the rows, and what is cut off at both ends by whole blocks.
static int64_t stageElements(const ChannelShape &shape) {
  return llvm::alignTo(stageRows(shape) * shape.channels, kBlock) + 2 * kBlock;
}

int64_t nibble::codegen::channelStageScratch(const ChannelShape &shape, unsigned k) {
  return shape.channels % kBlock == 0 ? 0 : shape.blocks * k * stageElements(shape) * sizeof(float);
}

Value nibble::codegen::endOfBlock(LoopBuilder &e, const ChannelShape &shape, Value firstRow) {
  Value end = e.add(firstRow, shape.blockRows);
  return shape.rows % shape.blockRows ? e.min(end, e.index(shape.rows)) : end;
}

/// body(first channel, lanes in use of each vector) over all channels, in tiles of up to
/// kTileVectors vectors.
static void forTiles(LoopBuilder &e, int64_t channels, int64_t lanes,
                     function_ref<void(Value, ArrayRef<int64_t>)> body) {
  int64_t tile = lanes * kTileVectors, whole = channels / tile * tile;
  SmallVector<int64_t> full(kTileVectors, lanes), rest;
  if (whole == tile)
    body(e.index(0), full);
  else if (whole > 0)
    e.loop(e.index(0), e.index(whole), tile, [&](Value first) { body(first, full); });
  for (int64_t left = channels - whole; left > 0; left -= lanes)
    rest.push_back(std::min(left, lanes));
  if (!rest.empty())
    body(e.index(whole), rest);
}

Value nibble::codegen::sumAt(LoopBuilder &e, const ChannelShape &shape, unsigned k, Value block,
                             unsigned i, Value channel) {
  return e.add(e.add(e.mul(block, k * shape.padded()), i * shape.padded()), channel);
}

/// Sums `terms(row, vector of the tile)` over rows lo … hi − 1, starting from `sums`.
static SmallVector<Value> addRows(LoopBuilder &e, Value lo, Value hi, int64_t vectors,
                                  ArrayRef<Value> sums,
                                  function_ref<SmallVector<Value>(Value, int64_t)> terms) {
  unsigned k = sums.size() / vectors;
  return e.loop(lo, hi, 1, sums, [&](Value row, ValueRange soFar) {
    SmallVector<Value> next;
    for (int64_t v = 0; v < vectors; ++v)
      for (auto [i, term] : llvm::enumerate(terms(row, v)))
        next.push_back(arith::AddFOp::create(e.b, e.loc, soFar[v * k + i], term));
    return next;
  });
}

void nibble::codegen::channelBlockSums(Group &group, unsigned part, const ChannelShape &shape,
                                       unsigned k, ChannelPrepare prepare, ChannelTerms terms) {
  LoopBuilder &e = group.e;
  Value memory = group.scratch(part, e.b.getF32Type(), shape.blocks * k * shape.padded());
  Value zero = e.ops(kChannelLanes).constF(0).v;
  e.parallel(shape.blocks, shape.blockRows * shape.channels, [&](Value block) {
    Value lo = e.mul(block, shape.blockRows), hi = endOfBlock(e, shape, lo);
    forTiles(e, shape.channels, kChannelLanes, [&](Value first, ArrayRef<int64_t> active) {
      int64_t vectors = active.size();
      SmallVector<SmallVector<Value>> prepared;
      for (int64_t v = 0; v < vectors; ++v)
        prepared.push_back(prepare(e.add(first, v * kChannelLanes), active[v]));
      auto sums = addRows(
          e, lo, hi, vectors, SmallVector<Value>(vectors * k, zero), [&](Value row, int64_t v) {
            Value at = e.add(e.add(e.mul(row, shape.channels), first), v * kChannelLanes);
            return terms(at, active[v], prepared[v]);
          });
      for (int64_t v = 0; v < vectors; ++v)
        for (unsigned i = 0; i < k; ++i)
          e.store(sums[v * k + i], memory,
                  sumAt(e, shape, k, block, i, e.add(first, v * kChannelLanes)));
    });
  });
}

/// Rows begin at whole flat blocks: terms of 32 channels at a time.
static void alignedBlockSums(Group &group, unsigned part, const ChannelShape &shape, unsigned k,
                             FlatTerms terms) {
  LoopBuilder &e = group.e;
  Value memory = group.scratch(part, e.b.getF32Type(), shape.blocks * k * shape.padded());
  Value zero = e.ops(kBlock).constF(0).v;
  e.parallel(shape.blocks, shape.blockRows * shape.channels, [&](Value block) {
    Value lo = e.mul(block, shape.blockRows), hi = endOfBlock(e, shape, lo);
    e.vectors(shape.channels, kBlock, [&](Value first, int64_t) {
      auto sums = addRows(e, lo, hi, 1, SmallVector<Value>(k, zero), [&](Value row, int64_t) {
        return terms(e.add(e.mul(row, shape.channels), first));
      });
      for (unsigned i = 0; i < k; ++i)
        e.store(sums[i], memory, sumAt(e, shape, k, block, i, first));
    });
  });
}

namespace {

/// Where rows begin anywhere: a few rows' terms are made in flat blocks into a stage, from which
/// the channels' sums read.
struct Stage {
  Group &group;
  LoopBuilder &e;
  const ChannelShape &shape;
  unsigned k;
  Value sums, stage;

  /// Terms of rows lo … hi − 1 of the block; returns the flat index that the stage begins with.
  Value fill(Value block, Value lo, Value hi, FlatTerms terms) const {
    Value begin = e.mul(e.div(e.mul(lo, shape.channels), kBlock), kBlock),
          end = e.mul(hi, shape.channels);
    e.loop(begin, end, kBlock, [&](Value at) {
      for (auto [i, term] : llvm::enumerate(terms(at)))
        e.store(term, stage, stageAt(block, i, e.sub(at, begin)));
    });
    return begin;
  }
  Value stageAt(Value block, unsigned i, Value place) const {
    return e.add(e.add(e.mul(block, k * stageElements(shape)), i * stageElements(shape)), place);
  }
  /// Adds rows lo … hi − 1 to the block's sums.
  void sum(Value block, Value lo, Value hi, Value begin) const {
    forTiles(e, shape.channels, kChannelLanes, [&](Value first, ArrayRef<int64_t> active) {
      int64_t vectors = active.size();
      SmallVector<Value> soFar;
      auto at = [&](unsigned i, int64_t v) {
        return sumAt(e, shape, k, block, i, e.add(first, v * kChannelLanes));
      };
      for (int64_t v = 0; v < vectors; ++v)
        for (unsigned i = 0; i < k; ++i)
          soFar.push_back(e.load(sums, at(i, v), kChannelLanes));
      auto next = addRows(e, lo, hi, vectors, soFar, [&](Value row, int64_t v) {
        Value place =
            e.sub(e.add(e.add(e.mul(row, shape.channels), first), v * kChannelLanes), begin);
        SmallVector<Value> terms;
        for (unsigned i = 0; i < k; ++i)
          terms.push_back(e.load(stage, stageAt(block, i, place), kChannelLanes, active[v]));
        return terms;
      });
      for (int64_t v = 0; v < vectors; ++v)
        for (unsigned i = 0; i < k; ++i)
          e.store(next[v * k + i], sums, at(i, v));
    });
  }
};

} // namespace

void nibble::codegen::channelBlockSums(Group &group, unsigned part, const ChannelShape &shape,
                                       unsigned k, FlatTerms terms) {
  if (shape.channels % kBlock == 0)
    return alignedBlockSums(group, part, shape, k, terms);
  LoopBuilder &e = group.e;
  Type f32 = e.b.getF32Type();
  Stage stage{group,
              e,
              shape,
              k,
              group.scratch(part, f32, shape.blocks * k * shape.padded()),
              group.scratch(part + 1, f32, shape.blocks * k * stageElements(shape))};
  Value zero = e.ops(kBlock).constF(0).v;
  e.parallel(shape.blocks, shape.blockRows * shape.channels, [&](Value block) {
    Value base = e.mul(block, k * shape.padded());
    e.loop(base, e.add(base, k * shape.padded()), kBlock,
           [&](Value at) { e.store(zero, stage.sums, at); });
    Value lo = e.mul(block, shape.blockRows), hi = endOfBlock(e, shape, lo);
    e.loop(lo, hi, stageRows(shape), [&](Value first) {
      Value end = e.min(e.add(first, stageRows(shape)), hi);
      stage.sum(block, first, end, stage.fill(block, first, end, terms));
    });
  });
}

/// The k sums of 16 channels over all blocks, unrounded: vector<16xf64> each.
static SmallVector<Value> blockTotals(LoopBuilder &e, Value memory, const ChannelShape &shape,
                                      unsigned k, Value first) {
  auto wide = VectorType::get({kChannelLanes}, e.b.getF64Type());
  SmallVector<Value> zeros(k, e.ops(kChannelLanes, /*wide=*/true).constF(0).v);
  auto add = [&](Value block, ValueRange soFar) {
    SmallVector<Value> next;
    for (unsigned i = 0; i < k; ++i) {
      Value sum = e.load(memory, sumAt(e, shape, k, block, i, first), kChannelLanes);
      sum = arith::ExtFOp::create(e.b, e.loc, wide, sum);
      next.push_back(arith::AddFOp::create(e.b, e.loc, soFar[i], sum));
    }
    return next;
  };
  return e.loop(e.index(0), e.index(shape.blocks), 1, zeros, add);
}

void nibble::codegen::forChannelSums(Group &group, unsigned part, const ChannelShape &shape,
                                     unsigned k,
                                     function_ref<void(Value, int64_t, ArrayRef<Value>)> body) {
  LoopBuilder &e = group.e;
  Value memory = group.scratch(part, e.b.getF32Type(), shape.blocks * k * shape.padded());
  e.vectors(shape.channels, kChannelLanes, [&](Value first, int64_t active) {
    body(first, active, blockTotals(e, memory, shape, k, first));
  });
}

SmallVector<Value> nibble::codegen::sumChannels(Group &group, unsigned part,
                                                const ChannelShape &shape, unsigned k) {
  LoopBuilder &e = group.e;
  Value memory = group.scratch(part, e.b.getF32Type(), shape.blocks * k * shape.padded());
  // A vector's channels are summed over blocks side by side, then added one after the other.
  auto addVector = [&](Value first, int64_t active, ValueRange total) {
    SmallVector<Value> sums = blockTotals(e, memory, shape, k, first), next(total);
    for (int64_t lane = 0; lane < active; ++lane)
      for (unsigned i = 0; i < k; ++i)
        next[i] = arith::AddFOp::create(e.b, e.loc, next[i], e.extract(sums[i], lane));
    return next;
  };
  int64_t whole = shape.channels / kChannelLanes * kChannelLanes;
  SmallVector<Value> total(k, e.f64(0));
  if (whole > 0)
    total = e.loop(
        e.index(0), e.index(whole), kChannelLanes, total,
        [&](Value first, ValueRange soFar) { return addVector(first, kChannelLanes, soFar); });
  return shape.channels > whole ? addVector(e.index(whole), shape.channels - whole, total) : total;
}
