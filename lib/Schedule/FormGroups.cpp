//===- FormGroups.cpp - ops to pieces that become one loop nest --------------===//
#include "nibble/Schedule/Passes.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Schedule/Storage.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/BitVector.h"

#include <queue>

namespace nibble {
#define GEN_PASS_DEF_FORMGROUPS
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

/// Registers are finite: a group past this many ops would spill more than it saves.
constexpr size_t largestGroup = 48;

/// A loop over rows and channels keeps all its sums in registers.
constexpr unsigned mostChannelFolds = 3;
/// Rows begin at whole blocks of this many elements (Codegen's packed blocks), or sums per channel
/// do not ride in loops.
constexpr int64_t blockElements = 32;

/// May it ride in a loop over rows and channels?
bool isChannelFold(Operation *op) {
  if (!op->hasTrait<ChannelFoldLike>())
    return false;
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  return type.getRank() > 1 && type.getShape().back() % blockElements == 0 &&
         type.getNumElements() > type.getShape().back();
}

struct Group {
  SmallVector<Operation *> ops;
  bool elementwise = false;
  int64_t elements = 0;
  int segment = 0;
  llvm::BitVector dependsOn;   // groups that this one needs, directly or not
  SmallVector<size_t> readers; // groups that need this one directly, some more than once
};

/// Ops that stay between the groups: they move no tensor elements of their own.
bool isGlue(Operation &op) {
  return isa<arith::ConstantOp, nn::ReshapeOp, train::ReadOp, train::WriteOp, train::GuardOp,
             train::ReportOp>(op) ||
         op.hasTrait<OpTrait::IsTerminator>();
}

/// Random bits of the step's own key: they depend on no group, and a loop makes them in registers.
bool isLeaf(Operation &op) {
  return isa<train::RandomBitsOp>(op) && isa<BlockArgument>(op.getOperand(0)) && !op.use_empty() &&
         llvm::all_of(op.getUsers(),
                      [](Operation *user) { return user->hasTrait<ElementwiseLike>(); });
}

/// Finds the groups of one block; changes nothing.
class Grouping {
public:
  explicit Grouping(Block &block) {
    SmallVector<Operation *> leaves;
    for (Operation &op : block) {
      segment += isa<train::GuardOp>(op);
      if (isLeaf(op))
        leaves.push_back(&op);
      else if (!isGlue(op))
        place(&op);
    }
    for (Operation *op : leaves)
      placeLeaf(op);
  }

  SmallVector<Group> groups;
  DenseMap<Operation *, size_t> groupOf;

  /// The groups in an order that respects dependences, otherwise by their last op's place in the
  /// program.
  SmallVector<size_t> order() const {
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
    for (const Group &group : groups)
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

private:
  /// A leaf goes where all its readers are, else it is a group before the first of them.
  void placeLeaf(Operation *op) {
    SmallVector<size_t> users;
    for (Operation *user : op->getUsers())
      users.push_back(groupOf.lookup(user));
    Group &group = groups[users.front()];
    int64_t elements = cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
    groupOf[op] = users.front();
    if (llvm::all_equal(users) && elements > 1 && group.elements == elements &&
        !llvm::any_of(group.ops, isChannelFold)) {
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

  void place(Operation *op) {
    llvm::BitVector direct(capacity), needs(capacity);
    for (Value operand : op->getOperands())
      if (auto found = groupOf.find(viewRoot(operand).getDefiningOp()); found != groupOf.end()) {
        direct.set(found->second);
        needs |= groups[found->second].dependsOn;
      }
    size_t target = groups.size();
    // A fold walks its operand; of a single element it is no loop.
    bool fold = op->hasTrait<FoldLike>() || isChannelFold(op);
    Value walked = fold ? op->getOperand(0) : op->getResult(0);
    int64_t elements = cast<RankedTensorType>(walked.getType()).getNumElements();
    bool elementwise = op->hasTrait<ElementwiseLike>() || (fold && elements > 1);
    if (elementwise)
      target = partner(op, direct, needs, elements);
    if (target == groups.size()) {
      groups.push_back({{}, elementwise, elements, segment, {}, {}});
      // Room to spare: with every new group all would grow, in quadratic time.
      if (groups.size() > capacity) {
        capacity = std::max<size_t>(2 * capacity, 64);
        for (Group &group : groups)
          group.dependsOn.resize(capacity);
      }
      groups.back().dependsOn.resize(capacity);
    }
    needs.resize(capacity);
    direct.resize(capacity);
    join(op, target, direct, needs);
    if (elementwise)
      for (Value operand : op->getOperands())
        if (cast<RankedTensorType>(operand.getType()).getNumElements() == elements)
          readers[viewRoot(operand)].push_back(target);
  }

  /// Sums per channel of one loop have one shape.
  static bool sumsFit(const Group &group, Operation *op) {
    if (!isChannelFold(op))
      return true;
    auto shapeOf = [](Operation *fold) {
      return cast<RankedTensorType>(fold->getOperand(0).getType()).getShape();
    };
    unsigned count = 0;
    for (Operation *other : group.ops)
      if (isChannelFold(other)) {
        ++count;
        if (shapeOf(other) != shapeOf(op))
          return false;
      }
    return count < mostChannelFolds;
  }

  /// A group that the op may join: a producer's, else a sibling's; groups.size() where there is
  /// none.
  size_t partner(Operation *op, const llvm::BitVector &direct, const llvm::BitVector &needs,
                 int64_t elements) {
    auto fits = [&](size_t g) {
      const Group &group = groups[g];
      return group.elementwise && group.elements == elements && group.segment == segment &&
             !needs.test(g) && group.ops.size() < largestGroup && sumsFit(group, op);
    };
    // What a fold gives is there only after its loop.
    llvm::BitVector after(capacity);
    for (Value operand : op->getOperands())
      if (Operation *maker = viewRoot(operand).getDefiningOp();
          maker && (maker->hasTrait<FoldLike>() || isChannelFold(maker)) && groupOf.count(maker))
        after.set(groupOf.lookup(maker));
    for (Value operand : llvm::reverse(op->getOperands()))
      if (auto found = groupOf.find(viewRoot(operand).getDefiningOp());
          found != groupOf.end() && fits(found->second) && !after.test(found->second))
        return found->second;
    if (elements > 1)
      for (Value operand : op->getOperands())
        for (size_t g : readers[viewRoot(operand)])
          if (fits(g) && !direct.test(g))
            return g;
    return groups.size();
  }

  void join(Operation *op, size_t target, llvm::BitVector direct, const llvm::BitVector &needs) {
    Group &group = groups[target];
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
    for (Group &other : groups)
      if (other.dependsOn.test(target))
        other.dependsOn |= direct;
  }

  int segment = 0;
  SmallVector<size_t> lonelyLeaves; // groups, one leaf each
  size_t capacity = 0;              // bits in each dependsOn
  DenseMap<Value, SmallVector<size_t>> readers;
  SmallVector<std::pair<Operation *, size_t>> sequence;
};

/// Writes the groups into the function.
class Rewriter {
public:
  Rewriter(func::FuncOp function, const Grouping &grouping)
      : block(function.getBody().front()), grouping(grouping), builder(function.getContext()) {
    for (Operation &op : block)
      if (!isa<arith::ConstantOp>(op))
        old.push_back(&op);
  }

  void run() {
    builder.setInsertionPoint(block.getTerminator());
    // Reads first (each sees the value from before the step), then groups, with guard and writes at
    // their place.
    for (Operation *op : old)
      if (isa<train::ReadOp>(op))
        cloneGlue(op);
    int segment = 0;
    for (size_t g : grouping.order()) {
      for (; segment < grouping.groups[g].segment; ++segment)
        emitGuard(segment);
      emit(grouping.groups[g]);
    }
    for (Operation *op : old)
      if (isa<train::GuardOp>(op) && segment-- <= 0)
        cloneGlue(op);
    for (Operation *op : old)
      if (isa<train::ReportOp, train::WriteOp>(op))
        cloneGlue(op);
    Operation *terminator = block.getTerminator();
    for (OpOperand &operand : terminator->getOpOperands())
      operand.set(mapped(operand.get()));
    for (Operation *op : llvm::reverse(old))
      if (op != terminator)
        op->erase();
  }

private:
  void emitGuard(int index) {
    for (Operation *op : old)
      if (isa<train::GuardOp>(op) && index-- == 0)
        cloneGlue(op);
  }

  void cloneGlue(Operation *op) {
    IRMapping map;
    for (Value operand : op->getOperands())
      map.map(operand, mapped(operand));
    values.map(op->getResults(), builder.clone(*op, map)->getResults());
  }

  /// The new function's value for an old one; reshapes are cloned where they are first needed.
  Value mapped(Value value) {
    if (Value known = values.lookupOrNull(value))
      return known;
    auto reshape = value.getDefiningOp<nn::ReshapeOp>();
    if (!reshape)
      return value; // an argument or a constant
    Value result =
        nn::ReshapeOp::create(builder, reshape.getLoc(), reshape.getType(), mapped(reshape.getX()));
    values.map(value, result);
    return result;
  }

  /// The value inside the group's body.
  Value inside(Value value, IRMapping &body, const DenseSet<Operation *> &members,
               SmallVectorImpl<Value> &inputs, SmallVectorImpl<Value> &arguments,
               OpBuilder &inner) {
    if (Value known = body.lookupOrNull(value))
      return known;
    if (auto constant = value.getDefiningOp<arith::ConstantOp>()) {
      Value copy = inner.clone(*constant)->getResult(0);
      body.map(value, copy);
      return copy;
    }
    auto reshape = value.getDefiningOp<nn::ReshapeOp>();
    if (reshape && members.contains(viewRoot(value).getDefiningOp())) {
      Value x = inside(reshape.getX(), body, members, inputs, arguments, inner);
      Value copy = nn::ReshapeOp::create(inner, reshape.getLoc(), reshape.getType(), x);
      body.map(value, copy);
      return copy;
    }
    inputs.push_back(mapped(value));
    Value argument = inner.getInsertionBlock()->addArgument(value.getType(), value.getLoc());
    arguments.push_back(argument);
    body.map(value, argument);
    return argument;
  }

  bool isUsedOutside(Value value, const DenseSet<Operation *> &members) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      if (members.contains(user))
        return false;
      return !isa<nn::ReshapeOp>(user) || isUsedOutside(user->getResult(0), members);
    });
  }

  void emit(const Group &group) {
    DenseSet<Operation *> members(group.ops.begin(), group.ops.end());
    Region region;
    OpBuilder inner(builder.getContext()); // a region without a parent knows no context
    inner.setInsertionPointToEnd(&region.emplaceBlock());
    IRMapping body;
    SmallVector<Value> inputs, arguments, results, yielded;
    SmallVector<Location> locations;
    for (Operation *op : group.ops) {
      for (Value operand : op->getOperands())
        inside(operand, body, members, inputs, arguments, inner);
      body.map(op->getResults(), inner.clone(*op, body)->getResults());
      locations.push_back(op->getLoc());
      for (Value result : op->getResults())
        if (isUsedOutside(result, members)) {
          results.push_back(result);
          yielded.push_back(body.lookup(result));
        }
    }
    if (yielded.empty())
      return; // nobody reads it
    plan::YieldOp::create(inner, locations.back(), yielded);
    Location location =
        locations.size() == 1 ? locations.front() : FusedLoc::get(builder.getContext(), locations);
    auto fused = plan::FusedOp::create(builder, location, ValueRange(yielded).getTypes(), inputs);
    fused.getBody().takeBody(region);
    values.map(results, fused.getResults());
  }

  Block &block;
  const Grouping &grouping;
  OpBuilder builder;
  SmallVector<Operation *> old;
  IRMapping values;
};

struct FormGroupsPass : nibble::impl::FormGroupsBase<FormGroupsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration())
      return;
    dissolveSaves(function);
    Grouping grouping(function.getBody().front());
    Rewriter(function, grouping).run();
  }

  /// Sums what is kept for the backward pass, each place once, and takes the marks away.
  void dissolveSaves(func::FuncOp function) {
    DenseSet<Value> kept;
    int64_t bytes = 0;
    SmallVector<train::SaveOp> saves(function.getOps<train::SaveOp>());
    for (train::SaveOp save : saves) {
      if (kept.insert(viewRoot(save.getValue())).second)
        bytes += storageBytes(cast<RankedTensorType>(save.getSaved().getType()));
      save.replaceAllUsesWith(save.getValue());
      save.erase();
    }
    function->setAttr("nibble.saved_bytes",
                      IntegerAttr::get(IntegerType::get(&getContext(), 64), bytes));
  }
};
} // namespace
