//===- ElementwiseFolds.cpp - what rides in the loop of an element-wise group --===//
#include "Elementwise.h"

#include "nibble/Interfaces/Interfaces.h"

using namespace nibble::codegen;

bool nibble::codegen::isFold(Operation &op) {
  return op.hasTrait<nibble::FoldLike>() && countOf(op.getOperand(0)) > 1;
}

bool nibble::codegen::isChannelFold(Operation &op) {
  if (!op.hasTrait<nibble::ChannelFoldLike>())
    return false;
  ChannelShape shape(cast<RankedTensorType>(op.getOperand(0).getType()));
  return shape.channels % kBlock == 0 && shape.rows > 1;
}

bool nibble::codegen::isFolded(Value v) {
  return v.getDefiningOp() && (isFold(*v.getDefiningOp()) || isChannelFold(*v.getDefiningOp()));
}

/// Sums of an element that two blocks of channels at a time can keep in registers.
static constexpr int64_t kTiledSums = 3;

/// One shape for all sums; what they do not walk comes from outside; no bits are made, which want
/// four blocks in a row.
LogicalResult Elementwise::checkChannelFold(Operation &op) {
  auto shapeOf = [](Operation &fold) {
    return cast<RankedTensorType>(fold.getOperand(0).getType()).getShape();
  };
  for (Operation &other : body) {
    if (isRandom(other))
      return op.emitOpError("stands in one group with random bits");
    if (isChannelFold(other) && shapeOf(other) != shapeOf(op))
      return op.emitOpError("stands in one group with sums over another shape");
  }
  for (Value operand : op.getOperands())
    if (countOf(operand) != n && !group.in(operand))
      return op.emitOpError("takes an operand from its own group that it does not walk");
  return success();
}

void Elementwise::prepareFolds() {
  SmallVector<std::pair<size_t, unsigned>> owner; // accumulator -> fold, its number there
  for (Operation &op : body) {
    if (isChannelFold(op))
      sums.emplace_back(&op, channelRule(group, &op));
    if (!isFold(op))
      continue;
    folds.emplace_back(&op, foldRule(group, &op));
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
    llvm::append_range(next, rule.update(rules.block(op->getOperand(0)),
                                         soFar.take_front(rule.init.size()), mask));
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

LogicalResult Elementwise::emitChannels() {
  ChannelShape shape(cast<RankedTensorType>(sums.front().first->getOperand(0).getType()));
  int64_t k = 0;
  SmallVector<Value> memory;
  for (auto [i, sum] : llvm::enumerate(sums)) {
    k += sum.second.k;
    memory.push_back(group.scratch(foldPart + 1 + i, e.b.getF32Type(),
                                   shape.blocks * sum.second.k * shape.padded()));
  }
  // A tile of more channels reads longer runs of memory; its sums have to fit into registers.
  int64_t tile = k <= kTiledSums && shape.channels % (2 * kBlock) == 0 ? 2 : 1;
  Value zero = e.ops(kBlock).constF(0).v;
  auto overTile = [&](Value block, Value first, ValueRange soFar) {
    SmallVector<SmallVector<Value>> prepared;
    for (int64_t t = 0; t < tile; ++t)
      for (auto &[op, rule] : sums)
        prepared.push_back(rule.prepare ? rule.prepare(e.add(first, t * kBlock), kBlock, kBlock)
                                        : SmallVector<Value>());
    SmallVector<Value> init(soFar);
    init.append(tile * k, zero);
    Value lo = e.mul(block, shape.blockRows), hi = endOfBlock(e, shape, lo);
    SmallVector<Value> found = e.loop(lo, hi, 1, init, [&](Value row, ValueRange carried) {
      return emitRow(e.add(e.mul(row, shape.channels), first), tile, prepared, carried);
    });
    ValueRange left = ValueRange(found).drop_front(all.init.size());
    for (int64_t t = 0; t < tile; ++t)
      for (auto [sum, sumsMemory] : llvm::zip(sums, memory))
        for (unsigned i = 0; i < sum.second.k; ++i, left = left.drop_front())
          e.store(left.front(), sumsMemory,
                  sumAt(e, shape, sum.second.k, block, i, e.add(first, t * kBlock)));
    found.resize(all.init.size());
    return found;
  };
  SmallVector<Value> found = foldChunks(
      group, foldPart, shape.blocks, shape.blockRows * shape.channels, all, [&](Value block) {
        return e.loop(e.index(0), e.index(shape.channels), tile * kBlock, all.init,
                      [&](Value first, ValueRange soFar) { return overTile(block, first, soFar); });
      });
  finishFolds(found);
  for (auto [i, sum] : llvm::enumerate(sums))
    sum.second.finish(foldPart + 1 + i);
  return result;
}
