//===- ElementwiseEmitter.cpp - a set of element-wise ops as one flat loop ----===//
//
// n is the number of elements of the group's iteration space. The loop goes over blocks of 32
// elements, whole ones only, since buffers are padded: load the operands' blocks, apply each op's
// rule, store.
//
//   operand of n elements    loaded in the loop
//   operand of 1 element     loaded once, in every lane
//   operand of P elements    element i takes i mod P
//
// The shape of an operand of P elements, leading ones aside, is the end of the iteration shape.
// Where P mod 32 = 0 it is loaded at i mod P. Else a table table[k] = x[k mod P], k < P + 32, is
// made in scratch before the loop, and loaded at i mod P (a block wraps around at most once where P
// ≥ 32, and as often as it has to below).
//
// Ops that move elements (Analysis/StridedView.h) beside others are how those read: a block of the
// result is loaded where it lies in the operand's memory.
//
// Ops whose results have one element in a larger group are computed once, before the loop. Folds
// (trait FoldLike) ride in the loop, with accumulators of their own; what they give is stored after
// it. Random bits are made in registers, for four blocks at a time, which is what fills vectors of
// counters.
//
// Where sums per channel ride along (trait ChannelFoldLike), the loop goes over the images (or 96
// rows) that their order makes blocks of, tiles of channels, rows: a tile's sums stay in registers,
// for a block they go to scratch, and what follows from them comes after the loop. Rows begin at
// whole blocks there.
//
//===----------------------------------------------------------------------===//
#include "Elementwise.h"

#include "nibble/Analysis/StridedView.h"
#include "nibble/Interfaces/Interfaces.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

#include <functional>
#include <numeric>

using namespace nibble::codegen;
namespace nn = nibble::nn;
namespace plan = nibble::plan;
namespace train = nibble::train;

/// f32 elements of a cache line, and how far ahead of a masked load memory is asked for.
static constexpr int64_t kLineElements = 16, kPrefetchElements = 512;

/// Is it an op that moves no element: nn.reshape, train.save?
static bool isSameElements(Operation *op) { return isa<nn::ReshapeOp, train::SaveOp>(op); }

/// Keys of random bits, vectors of channels, and what is read at other places, are no elements of
/// the loop.
static bool isAside(Value argument) {
  return !argument.use_empty() && llvm::all_of(argument.getUsers(), [&](Operation *user) {
    if (isa<nn::ReshapeOp>(user))
      return isAside(user->getResult(0));
    return isRandom(*user) || nibble::movesElements(user) ||
           (nibble::ridesByChannel(user) && countOf(argument) != countOf(user->getOperand(0)));
  });
}

/// Is a move read by further ones only, which look through it?
static bool isLookedThrough(Value moved) {
  return llvm::all_of(moved.getUsers(), [](Operation *user) {
    return isa<nn::ReshapeOp>(user) ? isLookedThrough(user->getResult(0))
                                    : nibble::movesElements(user);
  });
}

bool nibble::codegen::isElementwiseBody(Block &body) {
  if (Operation *only = singleOp(body);
      only && (isRandom(*only) || nibble::ridesByChannel(only) || nibble::movesElements(only) ||
               only->hasTrait<nibble::HardlyReads>()))
    return false; // an emitter of its own
  return llvm::all_of(body.without_terminator(), [](Operation &op) {
    return op.hasTrait<nibble::ElementwiseLike>() || isFold(op) || nibble::ridesByChannel(&op) ||
           isRandom(op) || isSameElements(&op) || nibble::movesElements(&op) ||
           matchPattern(&op, m_Constant());
  });
}

int64_t Elementwise::iterationCount(Block &body) {
  int64_t n = 1;
  for (Operation &op : body)
    if (!nibble::movesElements(&op) && !isSameElements(&op))
      for (Value v : op.getOperands())
        n = std::max(n, countOf(v));
  return n;
}

static bool needsTable(Value argument, int64_t n) {
  int64_t count = countOf(argument);
  return !isAside(argument) && count != 1 && count != n && count % kBlock != 0 &&
         !elementOf(argument).isInteger(1);
}

/// Tables hold elements as registers do. (Masks do not repeat: their ops want the mask's own
/// shape.)
static Type tableType(Value argument) {
  return registerType(elementOf(argument), argument.getContext());
}

SmallVector<int64_t> nibble::codegen::elementwiseScratch(Block &body) {
  int64_t n = Elementwise::iterationCount(body);
  SmallVector<int64_t> parts;
  for (Value argument : body.getArguments())
    if (needsTable(argument, n))
      parts.push_back((countOf(argument) + kBlock) * tableType(argument).getIntOrFloatBitWidth() /
                      8);
  unsigned accumulators = 0, sums = 0;
  for (Operation &op : body)
    accumulators += isFold(op) ? foldWidth(&op) : 0;
  parts.push_back(foldFlatScratch(n, accumulators));
  for (Operation &op : body)
    if (nibble::ridesByChannel(&op)) {
      ChannelShape shape(cast<RankedTensorType>(op.getOperand(0).getType()));
      parts[parts.size() - 1 - sums] = foldChunksScratch(shape.blocks, accumulators);
      parts.push_back(channelSumsScratch(shape, channelWidth(&op)));
      ++sums;
    }
  return parts;
}

LogicalResult Elementwise::emit() {
  if (failed(checkShapes()))
    return failure();
  for (Operation &op : body)
    if (op.hasTrait<nibble::HardlyReads>()) {
      emitLasting(group, &op, [&] {
        result = emitAll();
        return succeeded(result) ? magnitudeOf(e, lastingBits) : e.f32(0);
      });
      return result;
    }
  return emitAll();
}

LogicalResult Elementwise::emitAll() {
  loadScalars();
  for (Value argument : body.getArguments())
    if (needsTable(argument, n))
      tables[argument] = makeTable(argument, foldPart++);
  if (failed(applyAll(/*inLoop=*/false)))
    return failure();
  storeAll(/*inLoop=*/false, e.index(0));
  return n == 1 ? success() : emitLoop();
}

/// Results have n elements or one; operands besides may be the end of a result's shape.
LogicalResult Elementwise::checkShapes() {
  for (Operation &op : body.without_terminator()) {
    if (llvm::any_of(op.getOperands(), isFolded))
      return op.emitOpError(
          "reads what a fold of its own group gives, which is there only after the loop");
    if (isFold(op) || nibble::ridesByChannel(&op)) {
      if (countOf(walkedBy(op)) != n)
        return op.emitOpError() << "folds " << countOf(walkedBy(op)) << " elements in a group of "
                                << n;
      if (op.hasTrait<nibble::HardlyReads>() &&
          (group.yielded().size() != 1 || !group.out(op.getResult(0))))
        return op.emitOpError("stands in a group that gives more than its result");
      if (nibble::ridesByChannel(&op) && failed(checkChannelFold(op)))
        return failure();
      continue;
    }
    if (matchPattern(&op, m_Constant()) && !group.in(op.getResult(0)))
      return op.emitOpError("is no splat: constants of other kinds come in as inputs");
    if (nibble::movesElements(&op)) {
      std::optional<nibble::StridedView> view = nibble::stridedView(&op, nibble::movesElements);
      bool fits = ((view && view->isWholeBlocks()) || nibble::joinedView(&op)) &&
                  countOf(op.getResult(0)) == n;
      if (!fits && !isLookedThrough(op.getResult(0)))
        return op.emitOpError("does not move whole blocks of 32 elements of the group");
      continue;
    }
    if (isRandom(op) && (n == 1 || group.out(op.getResult(0))))
      return op.emitOpError("stays in registers: it is neither handed back nor of one element");
    for (Value result : op.getResults())
      if (countOf(result) != n && countOf(result) != 1 && !isSameElements(&op) &&
          !matchPattern(&op, m_Constant()))
        return op.emitOpError() << "makes " << countOf(result) << " elements in a group of " << n;
    if (!op.hasTrait<nibble::ElementwiseLike>())
      continue;
    ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getResult(0).getType()).getShape();
    for (Value operand : op.getOperands()) {
      ArrayRef<int64_t> tail = cast<RankedTensorType>(operand.getType()).getShape();
      tail = tail.drop_while([](int64_t d) { return d == 1; });
      bool repeats = !elementOf(operand).isInteger(1) || countOf(operand) == 1;
      bool fits = countOf(operand) == countOf(op.getResult(0)) ||
                  (repeats && tail.size() <= shape.size() && tail == shape.take_back(tail.size()));
      if (!fits)
        return op.emitOpError() << "has an operand of type " << operand.getType()
                                << " that does not repeat along leading dimensions: it needs an "
                                   "nn.broadcast before the group";
    }
  }
  for (auto [value, buffer] : group.yielded())
    if (buffer.count() != n && buffer.count() != 1 && !isFolded(value))
      return group.op.emitOpError()
             << "hands back " << buffer.count() << " elements, it works on " << n;
  return success();
}

void Elementwise::loadScalars() {
  for (Value argument : body.getArguments())
    if (isOutside(argument)) {
      Buffer buffer = group.in(argument);
      if (isPacked(elementOf(argument))) // one code of four bits: its block
        rules.blocks[argument] = loadBlock(e, buffer, e.index(0));
      else
        rules.scalars[argument] = loadScalar(e, buffer);
    }
  for (Operation &op : body.without_terminator())
    if (matchPattern(&op, m_Constant()))
      if (Buffer constant = group.in(op.getResult(0)))
        rules.scalars[op.getResult(0)] = loadScalar(e, constant);
}

/// table[k] = x[k mod P] for k < P + 32.
Value Elementwise::makeTable(Value argument, unsigned part) {
  Buffer x = group.in(argument);
  int64_t period = x.count();
  Value table = group.scratch(part, tableType(argument), period + kBlock);
  // Whole blocks first: the last one reaches up to 31 elements past P, within the table, and is
  // then mended.
  e.loop(e.index(0), e.index(llvm::alignTo(period, kBlock)), kBlock,
         [&](Value at) { e.store(loadBlock(e, x, at), table, at); });
  e.loop(e.index(period), e.index(period + kBlock), 1, [&](Value at) {
    Value from = e.sub(at, e.index(period)); // ascending, so that short periods repeat
    e.storeScalar(e.loadScalar(table, from), table, at);
  });
  return table;
}

LogicalResult Elementwise::applyAll(bool inLoop) {
  for (Operation &op : body.without_terminator()) {
    if (isFold(op) || nibble::ridesByChannel(&op) || isRandom(op) || matchPattern(&op, m_Constant()) ||
        isOutside(op.getResult(0)) == inLoop)
      continue;
    if (isSameElements(&op)) {
      Value from = op.getOperand(0), to = op.getResult(0);
      if (Value block = rules.blocks.lookup(from))
        rules.blocks[to] = block;
      if (Value scalar = rules.scalars.lookup(from))
        rules.scalars[to] = scalar;
      continue;
    }
    e.loc = rules.o.loc = op.getLoc();
    if (nibble::movesElements(&op) && isLookedThrough(op.getResult(0)))
      continue;
    if (nibble::movesElements(&op))
      rules.blocks[op.getResult(0)] = loadAt(op.getResult(0), here);
    else if (failed(applyRule(&op, rules)))
      return failure();
  }
  return success();
}

/// The block of a value at `at`: of memory, or of what an op moves.
Value Elementwise::loadAt(Value value, Value at) {
  Operation *op = sourceOf(value).getDefiningOp();
  if (std::optional<nibble::JoinedView> joined = nibble::joinedView(op))
    return loadJoined(op, joined->lengths, at);
  if (!nibble::movesElements(op))
    return loadBlock(e, group.in(value), at);
  nibble::StridedView view = *nibble::stridedView(op, nibble::movesElements);
  Buffer x = group.in(view.memory);
  Value rest = at, from = e.index(view.offset);
  for (auto [i, level] : llvm::enumerate(llvm::reverse(view.levels))) {
    bool last = i + 1 == view.levels.size();
    if (level.stride != 0)
      from = e.add(from, e.mul(last ? rest : e.rem(rest, level.size), level.stride));
    if (!last)
      rest = e.div(rest, level.size);
  }
  if (view.levels.back().stride != 0)
    return loadBlock(e, x, from);
  return rules.o.splat(VectorOps::F{e.loadScalar(x.memory, from)}).v;
}

/// A block of the part, of those side by side in a row, that has it.
Value Elementwise::loadJoined(Operation *concat, ArrayRef<int64_t> lengths, Value at) {
  int64_t whole = std::accumulate(lengths.begin(), lengths.end(), int64_t(0));
  Value row = e.div(at, whole), place = e.rem(at, whole);
  std::function<Value(size_t, int64_t)> from = [&](size_t part, int64_t begin) -> Value {
    auto load = [&] {
      Value inPart = e.add(e.mul(row, lengths[part]), e.sub(place, e.index(begin)));
      return loadAt(concat->getOperand(part), inPart);
    };
    if (part + 1 == lengths.size())
      return load();
    int64_t end = begin + lengths[part];
    Value isHere = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, place, e.index(end));
    Type type = VectorType::get({kBlock}, e.b.getF32Type());
    return e.ifElse(isHere, type, [&] { return SmallVector<Value>{load()}; },
                    [&] { return SmallVector<Value>{from(part + 1, end)}; })[0];
  };
  return from(0, 0);
}

/// Is it f32 of which a mask chooses? Such a load becomes a masked one.
static bool isMasked(Value argument) {
  return elementOf(argument).isF32() &&
         llvm::any_of(argument.getUsers(), llvm::IsaPred<nn::MaskOp, nn::SelectOp>);
}

Value Elementwise::loadInLoop(Value argument, Value at) {
  Buffer x = group.in(argument);
  // Processors do not foresee masked loads: without this a long loop body waits for memory, at half
  // the speed.
  if (countOf(argument) == n && n > kChunkElements && isMasked(argument)) {
    Value last = e.index(llvm::alignTo(n, kBlock) - kBlock);
    Value ahead = e.min(e.add(at, kPrefetchElements), last);
    for (int64_t line = 0; line < kBlock; line += kLineElements)
      e.prefetch(x.memory, e.add(ahead, line));
  }
  if (countOf(argument) == n)
    return loadBlock(e, x, at);
  Value from = e.rem(at, countOf(argument));
  if (!needsTable(argument, n))
    return loadBlock(e, x, from);
  return e.load(tables.lookup(argument), from, kBlock);
}

void Elementwise::storeAll(bool inLoop, Value at) {
  for (auto [value, buffer] : group.yielded()) {
    if (isFolded(value) || (buffer.count() == 1) == inLoop)
      continue;
    if (inLoop)
      storeBlock(e, rules.block(value), buffer, at);
    else if (!isPacked(buffer.element()))
      storeScalar(e, rules.scalar(value), buffer);
    else
      storeBlock(e, rules.block(value), buffer, at);
  }
}

void Elementwise::prepareRandom() {
  for (auto op : body.getOps<train::RandomBitsOp>())
    random.emplace_back(op, RandomBlocks(group, op));
}

/// The bits of some blocks at once.
void Elementwise::makeRandom(Value at, int64_t blocks) {
  madeBits.clear();
  for (const RandomBlocks &maker : llvm::make_second_range(random)) {
    madeBits.push_back(maker.at(at, blocks));
    std::reverse(madeBits.back().begin(), madeBits.back().end());
  }
}

/// One block: load, apply, store.
LogicalResult Elementwise::emitBlock(Value at) {
  here = at;
  for (auto [bits, op] : llvm::zip(madeBits, llvm::make_first_range(random)))
    rules.blocks[op.getResult()] = bits.pop_back_val();
  for (Value argument : body.getArguments())
    if (!isOutside(argument) && !isAside(argument))
      rules.blocks[argument] = loadInLoop(argument, at);
  if (failed(applyAll(/*inLoop=*/true)))
    return failure();
  storeAll(/*inLoop=*/true, at);
  return success();
}

LogicalResult Elementwise::emitLoop() {
  if (e.b.getInsertionPoint() == e.b.getInsertionBlock()->begin())
    arith::ConstantIndexOp::create(e.b, e.loc, 0); // something to go behind
  prepareRandom();
  prepareFolds();
  rules.anchor = &*std::prev(e.b.getInsertionPoint());
  if (!sums.empty())
    return emitChannels();
  if (!folds.empty())
    return emitFolds();
  if (random.empty()) {
    e.flat(n, kBlock, [&](Value at) { result = emitBlock(at); });
    return result;
  }
  e.flatBlocks(n, RandomBlocks::kAtOnce, [&](Value at, int64_t blocks) {
    makeRandom(at, blocks);
    for (int64_t i = 0; i < blocks && succeeded(result); ++i)
      result = emitBlock(e.add(at, i * kBlock));
  });
  return result;
}

LogicalResult nibble::codegen::emitElementwise(Group &group) { return Elementwise(group).emit(); }
