//===- Grouping.cpp - which ops become one loop nest --------------------------===//
#include "Grouping.h"

#include "nibble/Analysis/StridedView.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Schedule/Storage.h"

#include "mlir/IR/IRMapping.h"

#include <queue>

using namespace mlir;
using namespace nibble;
using namespace nibble::schedule;

int64_t nibble::schedule::elementsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getNumElements();
}

/// A loop over rows and channels keeps all its sums in registers.
static constexpr unsigned mostChannelFolds = 3;
/// Ops that are copied for one that hardly ever runs them.
static constexpr size_t mostForReader = 16;

/// Can the op's code decode the operand as it reads it?
static bool readsDecoded(Operation *reader, Operation *decoder) {
  if (reader->hasTrait<ElementwiseLike>() || ridesByChannel(reader))
    return true;
  if (reader->hasTrait<FoldLike>())
    return elementsOf(reader->getOperand(0)) > 1;
  return isa<q4::WidenOp>(decoder) ? reader->hasTrait<ReadsNarrowed>()
                                   : reader->hasTrait<ReadsCoded>();
}

static bool allReadDecoded(Value value, Operation *decoder) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    if (isa<nn::ReshapeOp>(user))
      return allReadDecoded(user->getResult(0), decoder);
    return readsDecoded(user, decoder);
  });
}

/// Does a loop over as many elements as the view has read it, or another view?
static bool allReadMoved(Value value) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    if (isa<nn::ReshapeOp>(user))
      return allReadMoved(user->getResult(0));
    if (movesElements(user))
      return isCopiedToReaders(user);
    bool fold = user->hasTrait<FoldLike>() || ridesByChannel(user);
    if (fold || user->hasTrait<HardlyReads>())
      return elementsOf(user->getOperand(fold ? 0 : 1)) == elementsOf(value);
    return user->hasTrait<ElementwiseLike>() && elementsOf(user->getResult(0)) == elementsOf(value);
  });
}

/// Is it an op that moves elements, whose readers find them where they are? They do, however many
/// of the moves before it are in memory.
static bool isReadInPlace(Operation *op) {
  if (joinedView(op)) // loops read it, not further moves
    return allReadMoved(op->getResult(0)) && llvm::none_of(op->getUsers(), movesElements);
  bool isCut = true;
  for (int depth = 0; isCut; ++depth) {
    int followed = 0;
    isCut = false;
    std::optional<StridedView> view = stridedView(op, [&](Operation *) {
      isCut = followed == depth;
      return followed++ < depth;
    });
    if (!view || !view->isWholeBlocks())
      return false;
  }
  return allReadMoved(op->getResult(0));
}

bool nibble::schedule::isCopiedToReaders(Operation *op) {
  if (isa_and_nonnull<plan::PackedOp>(op))
    return true; // each product says for itself that it reads a panel
  if (movesElements(op))
    return isReadInPlace(op);
  return op && op->hasTrait<DecoderLike>() && elementsOf(op->getResult(0)) > 1 &&
         allReadDecoded(op->getResult(0), op);
}

bool nibble::schedule::isMoved(Value operand) {
  Operation *op = viewRoot(operand).getDefiningOp();
  return isCopiedToReaders(op) && (movesElements(op) || isMoved(op->getOperand(0)));
}

void nibble::schedule::forEachSource(Value operand, llvm::function_ref<void(Value)> body) {
  Value root = viewRoot(operand);
  if (!isCopiedToReaders(root.getDefiningOp()))
    return body(root);
  for (Value behind : root.getDefiningOp()->getOperands())
    forEachSource(behind, body);
}

Value nibble::schedule::sourceOf(Value operand) {
  Value root = viewRoot(operand);
  return isCopiedToReaders(root.getDefiningOp()) ? sourceOf(root.getDefiningOp()->getOperand(0))
                                                 : root;
}

/// Ops that stay between the groups: they move no tensor elements of their own.
static bool isGlue(Operation &op) {
  return isa<arith::ConstantOp, nn::ReshapeOp, train::ReadOp, train::WriteOp, train::GuardOp,
             train::ReportOp>(op) ||
         op.hasTrait<OpTrait::IsTerminator>();
}

/// Random bits of the step's own key: they depend on no group, and a loop makes them in registers.
static bool isLeaf(Operation &op) {
  return isa<train::RandomBitsOp>(op) && isa<BlockArgument>(op.getOperand(0)) && !op.use_empty() &&
         llvm::all_of(op.getUsers(),
                      [](Operation *user) { return user->hasTrait<ElementwiseLike>(); });
}

SmallVector<Operation *> nibble::schedule::coneOf(Value value, const Grouping &grouping,
                                                  size_t group, size_t most) {
  DenseSet<Operation *> found;
  SmallVector<Value> open{value};
  while (!open.empty()) {
    Operation *op = viewRoot(open.pop_back_val()).getDefiningOp();
    if (isa_and_nonnull<train::RandomBitsOp>(op))
      return {};
    auto place = grouping.groupOf.find(op);
    if (place == grouping.groupOf.end() || place->second != group || found.contains(op))
      continue;
    if (!op->hasTrait<ElementwiseLike>() || op->getNumResults() != 1 || found.size() == most)
      return {};
    found.insert(op);
    llvm::append_range(open, op->getOperands());
  }
  SmallVector<Operation *> cone;
  for (Operation *op : grouping.groups[group].ops)
    if (found.contains(op))
      cone.push_back(op);
  return cone;
}

SmallVector<Operation *> nibble::schedule::cloneCone(OpBuilder &builder,
                                                     ArrayRef<Operation *> cone) {
  IRMapping map;
  SmallVector<Operation *> copies;
  for (Operation *op : cone) {
    for (Value operand : op->getOperands()) // reshapes inside the cone
      if (Value made = map.lookupOrNull(viewRoot(operand)); made && !map.contains(operand))
        map.map(operand, nn::ReshapeOp::create(builder, op->getLoc(), operand.getType(), made));
    copies.push_back(builder.clone(*op, map));
  }
  return copies;
}

Value nibble::schedule::shapedLike(OpBuilder &builder, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return nn::ReshapeOp::create(builder, value.getLoc(), type, value);
}

Grouping::Grouping(Block &block) {
  SmallVector<Operation *> leaves;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    segment += isa<train::GuardOp>(op);
    if (isLeaf(op))
      leaves.push_back(&op);
    else if (!isGlue(op) && !isCopiedToReaders(&op))
      place(&op);
  }
  for (Operation *op : leaves)
    placeLeaf(op);
}

void Grouping::merge(size_t maker, size_t reader) {
  OpGroup &from = groups[maker], &to = groups[reader];
  to.ops.insert(to.ops.begin(), from.ops.begin(), from.ops.end());
  for (Operation *op : from.ops)
    groupOf[op] = reader;
  for (size_t &group : llvm::make_second_range(sequence))
    group = group == maker ? reader : group;
  for (SmallVector<size_t> &known : llvm::make_second_range(readers))
    llvm::replace(known, maker, reader);
  for (size_t group : from.readers)
    if (group != reader)
      to.readers.push_back(group);
  for (OpGroup &group : groups) {
    llvm::replace(group.readers, maker, reader);
    if (group.dependsOn.test(maker) && &group != &to) {
      group.dependsOn |= to.dependsOn;
      group.dependsOn.set(reader);
    }
  }
  to.dependsOn |= from.dependsOn;
  for (OpGroup &group : groups)
    group.dependsOn.reset(maker);
  from = {{}, false, 0, from.segment, llvm::BitVector(capacity), {}};
}

SmallVector<size_t> Grouping::order() const {
  SmallVector<size_t> missing(groups.size(), 0), last(groups.size(), 0);
  size_t position = 0;
  for (auto &[op, group] : sequence)
    last[group] = std::max(last[group], ++position);
  for (size_t leaf : lonelyLeaves)
    for (size_t reader : groups[leaf].readers)
      last[leaf] = last[leaf] ? std::min(last[leaf], last[reader]) : last[reader];
  auto later = [&](size_t a, size_t b) {
    return std::tie(groups[a].segment, last[a]) > std::tie(groups[b].segment, last[b]);
  };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> ready(later);
  for (const OpGroup &group : groups)
    for (size_t reader : group.readers)
      ++missing[reader];
  for (size_t g = 0; g < groups.size(); ++g)
    if (missing[g] == 0)
      ready.push(g);
  SmallVector<size_t> result;
  while (!ready.empty()) {
    size_t g = ready.top();
    ready.pop();
    result.push_back(g);
    for (size_t reader : groups[g].readers)
      if (--missing[reader] == 0)
        ready.push(reader);
  }
  return result;
}

static SmallVector<Operation *> channelFoldsOf(ArrayRef<Operation *> ops) {
  return llvm::filter_to_vector(ops, ridesByChannel);
}

/// Bits are made for 128 elements at a time. A loop over rows and channels does so where rows are a
/// multiple of that, and has registers for it beside one sum.
static bool bitsFit(const OpGroup &group) {
  SmallVector<Operation *> folds = channelFoldsOf(group.ops);
  return folds.empty() ||
         (folds.size() == 1 && folds.front()->getNumResults() == 1 &&
          cast<RankedTensorType>(folds.front()->getOperand(0).getType()).getShape().back() % 128 ==
              0);
}

/// A leaf goes where all its readers are, else it is a group before the first of them.
void Grouping::placeLeaf(Operation *op) {
  SmallVector<size_t> users;
  for (Operation *user : op->getUsers())
    users.push_back(groupOf.lookup(user));
  OpGroup &group = groups[users.front()];
  int64_t elements = elementsOf(op->getResult(0));
  groupOf[op] = users.front();
  if (llvm::all_equal(users) && elements > 1 && group.elements == elements && bitsFit(group)) {
    auto reads = [&](Operation *other) { return llvm::is_contained(op->getUsers(), other); };
    group.ops.insert(llvm::find_if(group.ops, reads), op);
    return;
  }
  groupOf[op] = groups.size();
  lonelyLeaves.push_back(groups.size());
  int first = groups[users.front()].segment;
  for (size_t user : users)
    first = std::min(first, groups[user].segment);
  groups.push_back({{op}, false, elements, first, {}, users});
}

void Grouping::place(Operation *op) {
  SmallVector<Operation *> ops;
  if (op->hasTrait<HardlyReads>())
    ops = copyForReader(op);
  ops.push_back(op);
  llvm::BitVector direct(capacity), needs(capacity);
  for (Operation *each : ops)
    for (Value operand : each->getOperands())
      forEachSource(operand, [&](Value source) {
        if (auto found = groupOf.find(source.getDefiningOp()); found != groupOf.end()) {
          direct.set(found->second);
          needs |= groups[found->second].dependsOn;
        }
      });
  // A fold walks its operand; of a single element it is no loop.
  bool fold = op->hasTrait<FoldLike>() || ridesByChannel(op);
  int64_t elements = elementsOf(fold ? op->getOperand(0) : op->getResult(0));
  bool elementwise = op->hasTrait<ElementwiseLike>() || (fold && elements > 1);
  size_t target = elementwise ? partner(op, direct, needs, elements) : groups.size();
  if (target == groups.size())
    target = newGroup(elementwise, elements);
  needs.resize(capacity);
  direct.resize(capacity);
  for (Operation *each : ops)
    join(each, target, direct, needs);
  for (unsigned maker : direct.set_bits())
    if (mayMerge(*this, maker, target))
      merge(maker, target);
  if (elementwise)
    for (Value operand : op->getOperands())
      if (elementsOf(operand) == elements)
        readers[sourceOf(operand)].push_back(target);
}

size_t Grouping::newGroup(bool elementwise, int64_t elements) {
  groups.push_back({{}, elementwise, elements, segment, {}, {}});
  // Room to spare: with every new group all would grow, in quadratic time.
  if (groups.size() > capacity) {
    capacity = std::max<size_t>(2 * capacity, 64);
    for (OpGroup &group : groups)
      group.dependsOn.resize(capacity);
  }
  groups.back().dependsOn.resize(capacity);
  return groups.size() - 1;
}

/// Copies of the element-wise ops that make the tensor of an op that hardly ever reads it, so that
/// the tensor need not be in memory and nobody waits for it.
SmallVector<Operation *> Grouping::copyForReader(Operation *op) {
  Value x = op->getOperand(1), root = viewRoot(x);
  auto place = groupOf.find(root.getDefiningOp());
  if (place == groupOf.end() || !groups[place->second].elementwise)
    return {};
  OpBuilder builder(op);
  SmallVector<Operation *> copies =
      cloneCone(builder, coneOf(root, *this, place->second, mostForReader));
  if (!copies.empty())
    op->setOperand(1, shapedLike(builder, copies.back()->getResult(0), x.getType()));
  return copies;
}

/// Sums per channel of one loop have one shape, and registers for them are few.
static bool channelFoldsFit(ArrayRef<Operation *> some, ArrayRef<Operation *> others) {
  SmallVector<Operation *> folds = channelFoldsOf(some);
  folds.append(channelFoldsOf(others));
  auto shapeOf = [](Operation *fold) {
    return cast<RankedTensorType>(fold->getOperand(0).getType()).getShape();
  };
  return folds.size() <= mostChannelFolds && llvm::all_equal(llvm::map_range(folds, shapeOf));
}

bool nibble::schedule::channelFoldsFit(const OpGroup &a, const OpGroup &b) {
  return ::channelFoldsFit(a.ops, b.ops);
}

/// Does the op make of a code something wider, which would be stored in place of the code by the
/// group that makes the code?
static bool widensCode(Operation *op, Value operand) {
  Value source = sourceOf(operand);
  return op->hasTrait<ElementwiseLike>() && source != viewRoot(operand) &&
         storageBytes(cast<RankedTensorType>(op->getResult(0).getType())) >
             storageBytes(cast<RankedTensorType>(source.getType()));
}

bool nibble::schedule::isAfterLoop(Operation *maker, Value operand) {
  return maker->hasTrait<FoldLike>() || ridesByChannel(maker) || isMoved(operand);
}

/// A group that the op may join: a producer's, else a sibling's; groups.size() where there is none.
size_t Grouping::partner(Operation *op, const llvm::BitVector &direct, const llvm::BitVector &needs,
                         int64_t elements) {
  auto fits = [&](size_t g) {
    const OpGroup &group = groups[g];
    return group.elementwise && group.elements == elements && group.segment == segment &&
           !needs.test(g) && group.ops.size() < largestGroup && ::channelFoldsFit(group.ops, op);
  };
  // What a fold gives is there only after its loop, and so is an element at another place.
  llvm::BitVector after(capacity);
  for (Value operand : op->getOperands())
    forEachSource(operand, [&](Value source) {
      Operation *maker = source.getDefiningOp();
      if (maker && groupOf.count(maker) && isAfterLoop(maker, operand))
        after.set(groupOf.lookup(maker));
    });
  for (Value operand : llvm::reverse(op->getOperands()))
    if (auto found = groupOf.find(sourceOf(operand).getDefiningOp());
        found != groupOf.end() && fits(found->second) && !after.test(found->second) &&
        !widensCode(op, operand))
      return found->second;
  if (elements > 1)
    for (Value operand : op->getOperands())
      for (size_t g : readers[sourceOf(operand)])
        if (fits(g) && !direct.test(g))
          return g;
  return groups.size();
}

void Grouping::join(Operation *op, size_t target, llvm::BitVector direct,
                    const llvm::BitVector &needs) {
  OpGroup &group = groups[target];
  bool isNew = group.ops.empty();
  group.ops.push_back(op);
  groupOf[op] = target;
  sequence.push_back({op, target});
  direct.reset(target);
  for (size_t needed : direct.set_bits())
    groups[needed].readers.push_back(target);
  direct |= needs;
  bool isMore = direct.test(group.dependsOn); // whether any bit is new
  group.dependsOn |= direct;
  if (isNew || !isMore) // nobody depends on it yet, or who does needs all of this already
    return;
  for (OpGroup &other : groups)
    if (other.dependsOn.test(target))
      other.dependsOn |= direct;
}
