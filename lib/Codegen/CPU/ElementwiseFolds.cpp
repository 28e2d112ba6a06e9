//===- ElementwiseFolds.cpp - what rides in the loop of an element-wise group --===//
#include "Elementwise.h"

#include "nibble/Interfaces/Interfaces.h"

using namespace nibble::codegen;

Value nibble::codegen::walkedBy(Operation &op) {
  return op.getOperand(op.hasTrait<nibble::HardlyReads>() ? 1 : 0);
}

bool nibble::codegen::isFold(Operation &op) {
  return (op.hasTrait<nibble::FoldLike>() || op.hasTrait<nibble::HardlyReads>()) &&
         countOf(walkedBy(op)) > 1;
}

bool nibble::codegen::isFolded(Value v) {
  return v.getDefiningOp() && (isFold(*v.getDefiningOp()) || nibble::ridesByChannel(v.getDefiningOp()));
}

/// Sums of an element that two blocks of channels at a time can keep in registers.
static constexpr int64_t kTiledSums = 3;

/// One shape for all sums; what they do not walk comes from outside.
LogicalResult Elementwise::checkChannelFold(Operation &op) {
  auto shapeOf = [](Operation &fold) {
    return cast<RankedTensorType>(fold.getOperand(0).getType()).getShape();
  };
  for (Operation &other : body)
    if (nibble::ridesByChannel(&other) && shapeOf(other) != shapeOf(op))
      return op.emitOpError("stands in one group with sums over another shape");
  for (Value operand : op.getOperands())
    if (countOf(operand) != n && !group.in(operand))
      return op.emitOpError("takes an operand from its own group that it does not walk");
  return success();
}

void Elementwise::prepareFolds() {
  SmallVector<std::pair<size_t, unsigned>> owner; // accumulator -> fold, its number there
  for (Operation &op : body) {
    if (nibble::ridesByChannel(&op))
      sums.emplace_back(&op, channelRule(group, &op));
    if (!isFold(op))
      continue;
    folds.emplace_back(&op, foldRule(group, &op));
    if (op.hasTrait<nibble::HardlyReads>())
      folds.back().second.finish = [this](ValueRange found) { lastingBits = found[0]; };
    for (unsigned i = 0; i < folds.back().second.init.size(); ++i)
      owner.push_back({folds.size() - 1, i});
    all.init.append(folds.back().second.init);
  }
  all.merge = [this, owner](unsigned i, Value a, Value b) {
    return folds[owner[i].first].second.merge(owner[i].second, a, b);
  };
}

/// The accumulators after the block whose elements the rules have.
SmallVector<Value> Elementwise::updateFolds(ValueRange soFar, std::optional<VectorOps::B> mask) {
  SmallVector<Value> next;
  for (auto &[op, rule] : folds) {
    llvm::append_range(
        next, rule.update(rules.block(walkedBy(*op)), soFar.take_front(rule.init.size()), mask));
    soFar = soFar.drop_front(rule.init.size());
  }
  return next;
}

void Elementwise::finishFolds(ValueRange found) {
  for (auto &[op, rule] : folds) {
    rule.finish(found.take_front(rule.init.size()));
    found = found.drop_front(rule.init.size());
  }
}

/// The same loop with the folds' accumulators carried along.
LogicalResult Elementwise::emitFolds() {
  all.wholeBlocks = true;
  if (!random.empty()) {
    all.together = RandomBlocks::kAtOnce;
    all.prepare = [&](Value at, int64_t blocks) { makeRandom(at, blocks); };
  }
  all.step = [&](Value at, ValueRange soFar, std::optional<VectorOps::B> mask) {
    if (failed(result) || failed(result = emitBlock(at)))
      return SmallVector<Value>(soFar);
    return updateFolds(soFar, mask);
  };
  finishFolds(foldFlat(group, foldPart, n, all));
  return result;
}

/// A row's elements of a tile of channels, from element `at` on; carried are the folds'
/// accumulators and the sums' of each block.
SmallVector<Value> Elementwise::emitRow(Value at, int64_t tile,
                                        ArrayRef<SmallVector<Value>> prepared, ValueRange soFar) {
  SmallVector<Value> accumulators(soFar.take_front(all.init.size())), next;
  soFar = soFar.drop_front(all.init.size());
  makeRandom(at, tile);
  for (int64_t t = 0; t < tile && succeeded(result); ++t) {
    if (failed(result = emitBlock(e.add(at, t * kBlock))))
      break;
    accumulators = updateFolds(accumulators, std::nullopt);
    for (auto [i, sum] : llvm::enumerate(sums)) {
      auto elements = [&](Value operand) { return rules.block(operand); };
      e.loc = sum.first->getLoc();
      for (Value term : sum.second.terms(elements, prepared[t * sums.size() + i], kBlock)) {
        next.push_back(arith::AddFOp::create(e.b, e.loc, soFar.front(), term));
        soFar = soFar.drop_front();
      }
    }
  }
  llvm::append_range(next, soFar); // after an error
  accumulators.append(next);
  return accumulators;
}

/// The values of a tile of channels that the sums take from vectors of channels.
SmallVector<SmallVector<Value>> Elementwise::prepareTile(Value first, int64_t tile) {
  SmallVector<SmallVector<Value>> prepared;
  for (int64_t t = 0; t < tile; ++t)
    for (auto &[op, rule] : sums)
      prepared.push_back(rule.prepare ? rule.prepare(e.add(first, t * kBlock), kBlock, kBlock)
                                      : SmallVector<Value>());
  return prepared;
}

/// fn(memory, index) for each sum of a tile of channels, in the order in which rows carry them.
void Elementwise::forTileSums(const ChannelShape &shape, Value block, Value first, int64_t tile,
                              function_ref<void(Value, Value)> fn) {
  for (int64_t t = 0; t < tile; ++t)
    for (auto [sum, memory] : llvm::zip(sums, sumsMemory))
      for (unsigned i = 0; i < sum.second.k; ++i)
        fn(memory, sumAt(e, shape, sum.second.k, block, i, e.add(first, t * kBlock)));
}

/// A block whose rows are one tile: its sums stay in registers.
SmallVector<Value> Elementwise::sumNarrowBlock(const ChannelShape &shape, Value block,
                                               int64_t tile) {
  SmallVector<SmallVector<Value>> prepared = prepareTile(e.index(0), tile);
  SmallVector<Value> init = all.init;
  Value zero = e.ops(kBlock).constF(0).v;
  forTileSums(shape, block, e.index(0), tile, [&](Value, Value) { init.push_back(zero); });
  Value lo = e.mul(block, shape.blockRows), hi = endOfBlock(e, shape, lo);
  SmallVector<Value> found = e.loop(lo, hi, 1, init, [&](Value row, ValueRange carried) {
    return emitRow(e.mul(row, shape.channels), tile, prepared, carried);
  });
  ValueRange left = ValueRange(found).drop_front(all.init.size());
  forTileSums(shape, block, e.index(0), tile, [&](Value memory, Value at) {
    e.store(left.front(), memory, at);
    left = left.drop_front();
  });
  found.resize(all.init.size());
  return found;
}

/// A block with wider rows: memory is walked in its order, so the sums of a row's tiles lie in
/// scratch.
SmallVector<Value> Elementwise::sumWideBlock(const ChannelShape &shape, Value block, int64_t tile) {
  Value zero = e.ops(kBlock).constF(0).v;
  e.loop(e.index(0), e.index(shape.channels), tile * kBlock, [&](Value first) {
    forTileSums(shape, block, first, tile,
                [&](Value memory, Value at) { e.store(zero, memory, at); });
  });
  auto overTile = [&](Value row, Value first, ValueRange soFar) {
    SmallVector<Value> carried(soFar);
    forTileSums(shape, block, first, tile,
                [&](Value memory, Value at) { carried.push_back(e.load(memory, at, kBlock)); });
    SmallVector<Value> found =
        emitRow(e.add(e.mul(row, shape.channels), first), tile, prepareTile(first, tile), carried);
    ValueRange left = ValueRange(found).drop_front(all.init.size());
    forTileSums(shape, block, first, tile, [&](Value memory, Value at) {
      e.store(left.front(), memory, at);
      left = left.drop_front();
    });
    found.resize(all.init.size());
    return found;
  };
  Value lo = e.mul(block, shape.blockRows), hi = endOfBlock(e, shape, lo);
  return e.loop(lo, hi, 1, all.init, [&](Value row, ValueRange soFar) {
    return e.loop(e.index(0), e.index(shape.channels), tile * kBlock, llvm::to_vector(soFar),
                  [&](Value first, ValueRange carried) { return overTile(row, first, carried); });
  });
}

LogicalResult Elementwise::emitChannels() {
  ChannelShape shape(cast<RankedTensorType>(sums.front().first->getOperand(0).getType()));
  int64_t k = 0;
  for (auto [i, sum] : llvm::enumerate(sums)) {
    k += sum.second.k;
    sumsMemory.push_back(group.scratch(foldPart + 1 + i, e.b.getF32Type(),
                                       shape.blocks * sum.second.k * shape.padded()));
  }
  // The sums of a tile have to fit into registers; bits are best made for several blocks.
  int64_t tile = k <= kTiledSums && shape.channels % (2 * kBlock) == 0 ? 2 : 1;
  if (!random.empty() && k == 1 && shape.channels % (RandomBlocks::kAtOnce * kBlock) == 0)
    tile = RandomBlocks::kAtOnce;
  finishFolds(foldChunks(
      group, foldPart, shape.blocks, shape.blockRows * shape.channels, all, [&](Value block) {
        return shape.channels == tile * kBlock ? sumNarrowBlock(shape, block, tile)
                                               : sumWideBlock(shape, block, tile);
      }));
  for (auto [i, sum] : llvm::enumerate(sums))
    sum.second.finish(foldPart + 1 + i);
  return result;
}
