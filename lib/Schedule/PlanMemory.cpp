//===- PlanMemory.cpp - every tensor's place ---------------------------------===//
#include "nibble/Schedule/Passes.h"

#include "nibble/Analysis/StridedView.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Interfaces/Interfaces.h"
#include "nibble/Interfaces/Scratch.h"
#include "nibble/Schedule/Arena.h"
#include "nibble/Schedule/Storage.h"

namespace nibble {
#define GEN_PASS_DEF_PLANMEMORY
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Where a root value lies.
struct Place {
  enum Kind { Arena, State, Argument } kind = Arena;
  int64_t offset = 0;   // in the state, or in the arena once it is planned
  size_t argument = 0;  // which of the old function's arguments, or of its results (Argument)
  bool isResult = false;
  size_t lifetime = 0;  // index of the arena buffer
  int64_t id = 0;       // number of the value, for the door
};

/// A copy that ends the step: a value to a variable's place or to a result.
struct Copy {
  Value from;
  Place to;
};

/// Offsets of all variables; the same for every function of the module.
struct StateLayout {
  llvm::StringMap<int64_t> offsets;
  int64_t bytes = 0;
};

/// Plans and rewrites one function.
class FunctionPlan {
public:
  FunctionPlan(func::FuncOp function, const StateLayout &layout)
      : function(function), block(function.getBody().front()), layout(layout), builder(function.getContext()) {}

  void run() {
    number();
    bindOutputs();
    collectLifetimes();
    Placement placement = placeBuffers(lifetimes);
    for (auto &entry : places)
      if (entry.second.kind == Place::Arena)
        entry.second.offset = placement.offsets[entry.second.lifetime];
    for (size_t &buffer : scratchOf)
      buffer = buffer ? static_cast<size_t>(placement.offsets[buffer - 1]) + 1 : 0;
    arenaBytes = std::max<int64_t>(placement.peak, bufferAlignment);
    rewrite();
  }

private:
  // --- what there is ---------------------------------------------------------
  bool isScalarArgument(size_t i) const {
    auto type = cast<RankedTensorType>(oldArgumentTypes[i]);
    return type.getRank() == 0 || type.getElementType().isInteger(64);
  }

  void number() {
    oldArgumentTypes.assign(function.getArgumentTypes().begin(), function.getArgumentTypes().end());
    for (auto [i, argument] : llvm::enumerate(function.getArguments())) {
      Place place{isScalarArgument(i) ? Place::Arena : Place::Argument, 0, i, false, 0, nextId++};
      if (place.kind == Place::Arena)
        place.lifetime = newBuffer(tensorType(argument), 0);
      places[argument] = place;
    }
    int64_t step = 1;
    for (Operation &op : block) {
      if (auto read = dyn_cast<train::ReadOp>(op))
        places[read.getResult()] = {Place::State, layout.offsets.lookup(read.getVariable()), 0, false, 0, nextId++};
      if (isa<train::GuardOp>(op))
        guardStep = step;
      if (auto fused = dyn_cast<plan::FusedOp>(op)) {
        stepOf[fused] = step;
        groups.push_back(fused);
        for (Value result : fused.getResults())
          places[result] = {Place::Arena, 0, 0, false, newBuffer(tensorType(result), step), nextId++};
        ++step;
      }
    }
    lastStep = step;
  }

  size_t newBuffer(RankedTensorType type, int64_t step) {
    lifetimes.push_back({alignedBytes(storageBytes(type)), step, step});
    return lifetimes.size() - 1;
  }

  // --- values that leave the step -------------------------------------------
  void bindOutputs() {
    DenseSet<Value> bound;
    auto bind = [&](Value value, Place to, bool mayBind) {
      Value root = viewRoot(value);
      Place &place = places[root];
      bool fresh = place.kind == Place::Arena && root.getDefiningOp<plan::FusedOp>() && bound.insert(root).second;
      if (!fresh || !mayBind) {
        copies.push_back({value, to});
        return;
      }
      // The arena buffer that it had is left with no life of its own.
      lifetimes[place.lifetime].bytes = 0;
      to.lifetime = place.lifetime;
      to.id = place.id;
      place = to;
    };
    for (Operation &op : block)
      if (auto write = dyn_cast<train::WriteOp>(op))
        bind(write.getValue(), {Place::State, layout.offsets.lookup(write.getVariable()), 0, false, 0, 0}, mayWriteInPlace(write));
    auto results = block.getTerminator()->getOperands();
    for (size_t i = 2; i < results.size(); ++i)
      bind(results[i], {Place::Argument, 0, i, true, 0, 0}, true);
  }

  /// May the group that makes the value write straight to the variable? Only after the guard, and only where nobody reads
  /// the old value later; the group itself may, element by element.
  bool mayWriteInPlace(train::WriteOp write) {
    auto maker = viewRoot(write.getValue()).getDefiningOp<plan::FusedOp>();
    if (!maker || stepOf[maker] < guardStep)
      return false;
    for (auto read : block.getOps<train::ReadOp>()) {
      if (read.getVariable() != write.getVariable())
        continue;
      for (Operation *user : readersOf(read.getResult())) {
        if (isa<train::WriteOp, train::ReportOp, func::ReturnOp>(user))
          return false;
        int64_t step = stepOf.lookup(user);
        if (step > stepOf[maker] || (step == stepOf[maker] && !readsElementwise(maker, read.getResult())))
          return false;
      }
    }
    return true;
  }

  /// Users of a value and of its reshapes.
  SmallVector<Operation *> readersOf(Value value) {
    SmallVector<Operation *> users;
    for (Operation *user : value.getUsers()) {
      if (isa<nn::ReshapeOp>(user))
        llvm::append_range(users, readersOf(user->getResult(0)));
      else
        users.push_back(user);
    }
    return users;
  }

  /// Sums per channel of several rows: operands of their size are walked, vectors of channels are smaller.
  static bool walksAll(Operation *op) {
    if (!op->hasTrait<ChannelFoldLike>())
      return false;
    RankedTensorType type = tensorType(op->getOperand(0));
    return type.getRank() > 1 && type.getNumElements() > type.getShape().back();
  }

  /// Does the group read the value only at the element that it is writing?
  bool readsElementwise(plan::FusedOp group, Value value) {
    int64_t elements = 1;
    for (Value input : group.getInputs())
      elements = std::max(elements, tensorType(input).getNumElements());
    for (auto [input, argument] : llvm::zip(group.getInputs(), group.getBody().getArguments())) {
      if (viewRoot(input) != value)
        continue;
      if (tensorType(argument).getNumElements() != elements)
        return false;
      if (!llvm::all_of(readersOf(argument), [](Operation *user) {
            return user->hasTrait<ElementwiseLike>() || user->hasTrait<FoldLike>() ||
                   walksAll(user) || isa<plan::YieldOp>(user);
          }))
        return false;
    }
    return true;
  }

  // --- lives -----------------------------------------------------------------
  void use(Value value, int64_t step) {
    Place &place = places[viewRoot(value)];
    if (place.kind == Place::Arena)
      lifetimes[place.lifetime].last = std::max(lifetimes[place.lifetime].last, step);
  }

  void collectLifetimes() {
    int64_t step = 0;
    for (Operation &op : block) {
      step = stepOf.lookup(&op) ? stepOf.lookup(&op) : step;
      bool readsAtEnd = isa<train::ReportOp, train::WriteOp, func::ReturnOp>(op);
      if (isa<plan::FusedOp, train::GuardOp>(op) || readsAtEnd)
        for (Value operand : op.getOperands())
          use(operand, readsAtEnd ? lastStep : step);
    }
    for (plan::FusedOp group : groups)
      for (Value result : group.getResults())
        reuseInput(group, result);
    for (plan::FusedOp group : groups) {
      auto scratch = dyn_cast<ScratchOpInterface>(group.getOperation());
      int64_t bytes = scratch ? scratch.getScratchBytes() : 0;
      scratchBytes.push_back(bytes);
      scratchOf.push_back(0);
      if (bytes > 0) {
        lifetimes.push_back({alignedBytes(bytes), stepOf[group], stepOf[group]});
        scratchOf.back() = lifetimes.size();
      }
    }
  }

  /// An element-wise result takes over the place of an input that nobody reads afterwards, element for element.
  void reuseInput(plan::FusedOp group, Value result) {
    Place &place = places[result];
    if (place.kind != Place::Arena)
      return;
    for (Value input : group.getInputs()) {
      Value root = viewRoot(input);
      const Place &old = places[root];
      auto from = tensorType(input), to = tensorType(result);
      bool sameWidth = q4::storageBits(from.getElementType()) == q4::storageBits(to.getElementType());
      if (old.kind != Place::Arena || !root.getDefiningOp<plan::FusedOp>() || !sameWidth ||
          from.getNumElements() != to.getNumElements() || lifetimes[old.lifetime].last != stepOf[group] ||
          !readsElementwise(group, root) || !isElementwise(group))
        continue;
      lifetimes[old.lifetime].last = lifetimes[place.lifetime].last;
      lifetimes[place.lifetime].bytes = 0;
      place.lifetime = old.lifetime;
      return;
    }
  }

  bool isElementwise(plan::FusedOp group) {
    bool isMove = llvm::hasNItems(group.getBody().front().without_terminator(), 1) &&
                  movesElements(&group.getBody().front().front());
    return !isMove && llvm::all_of(group.getBody().front(), [](Operation &op) {
      return op.hasTrait<ElementwiseLike>() || op.hasTrait<FoldLike>() || walksAll(&op) ||
             movesElements(&op) ||
             isa<plan::YieldOp, nn::ReshapeOp, arith::ConstantOp, train::RandomBitsOp>(op);
    });
  }

  // --- the new function --------------------------------------------------------
  MemRefType bytesType(int64_t bytes) { return MemRefType::get({bytes}, builder.getI8Type()); }

  void rewrite() {
    auto results = block.getTerminator()->getOperands();
    SmallVector<Type> types{bytesType(layout.bytes), bytesType(arenaBytes)};
    SmallVector<std::pair<size_t, size_t>> range; // old argument -> first new argument, how many
    for (Type type : oldArgumentTypes) {
      auto tensor = cast<RankedTensorType>(type);
      bool scalar = isScalarArgument(range.size());
      size_t count = scalar ? tensor.getNumElements() : 1;
      range.push_back({types.size(), count});
      types.append(count, scalar ? tensor.getElementType() : Type(bytesType(alignedBytes(storageBytes(tensor)))));
    }
    size_t report = types.size();
    types.push_back(bytesType(alignedBytes(4 * reportSlots())));
    for (size_t i = 2; i < results.size(); ++i)
      types.push_back(bytesType(alignedBytes(storageBytes(tensorType(results[i])))));

    Region body;
    Block &entry = body.emplaceBlock();
    for (Type type : types)
      entry.addArgument(type, function.getLoc());
    builder.setInsertionPointToStart(&entry);
    newBlock = &entry;
    for (auto [i, place] : llvm::enumerate(range))
      newArguments.push_back(place.first);
    firstResult = report + 1;

    for (auto [i, argument] : llvm::enumerate(function.getArguments()))
      if (isScalarArgument(i))
        storeScalars(argument, range[i].first, range[i].second);
    reportBuffer = entry.getArgument(report);
    emitBody();

    function.getBody().takeBody(body);
    function.setFunctionType(builder.getFunctionType(types, builder.getI32Type()));
    function.removeArgAttrsAttr();
    function.removeResAttrsAttr();
    function->setAttr("nibble.arena_bytes", builder.getI64IntegerAttr(arenaBytes));
    function->setAttr("nibble.live_bytes", builder.getI64IntegerAttr(liveBound(lifetimes)));
    function->setAttr("nibble.report_keys", builder.getStrArrayAttr(SmallVector<StringRef>(keys.begin(), keys.end())));
  }

  int64_t reportSlots() {
    keys = {"loss", "correct"};
    for (auto report : block.getOps<train::ReportOp>())
      for (StringRef key : report.getKeys().getAsValueRange<StringAttr>())
        keys.push_back(key.str());
    return keys.size();
  }

  Value viewAt(Value base, int64_t offset, MemRefType type) {
    Value shift = arith::ConstantIndexOp::create(builder, function.getLoc(), offset);
    return memref::ViewOp::create(builder, function.getLoc(), type, base, shift, ValueRange());
  }

  Value bufferOf(const Place &place, RankedTensorType type) {
    MemRefType buffer = storageType(type);
    if (place.kind == Place::Argument) {
      size_t index = place.isResult ? firstResult + place.argument - 2 : newArguments[place.argument];
      return viewAt(newBlock->getArgument(index), 0, buffer);
    }
    return viewAt(newBlock->getArgument(place.kind == Place::State ? 0 : 1), place.offset, buffer);
  }
  Value bufferOf(Value value) { return bufferOf(places[viewRoot(value)], tensorType(value)); }

  /// Scalars come as plain numbers; groups read memory.
  void storeScalars(Value argument, size_t first, size_t count) {
    Value buffer = bufferOf(argument);
    for (size_t i = 0; i < count; ++i) {
      SmallVector<Value> index;
      if (tensorType(argument).getRank())
        index.push_back(arith::ConstantIndexOp::create(builder, function.getLoc(), i));
      auto store = memref::StoreOp::create(builder, function.getLoc(), newBlock->getArgument(first + i), buffer, index);
      store->setAttr("writes", builder.getI64IntegerAttr(places[argument].id));
    }
  }

  void emitBody() {
    size_t group = 0;
    auto results = block.getTerminator()->getOperands();
    for (Operation &op : block) {
      if (auto fused = dyn_cast<plan::FusedOp>(op))
        emitGroup(fused, group++);
      else if (auto guard = dyn_cast<train::GuardOp>(op)) {
        emitResults(results); // a step that fails still says what its loss was
        plan::GuardOp::create(builder, guard.getLoc(), bufferOf(guard.getFlag()));
        guarded = true;
      }
    }
    if (!guarded)
      emitResults(results);
    int64_t slot = 2;
    for (auto report : block.getOps<train::ReportOp>()) {
      emitReport(report.getValue(), report.getCount(), slot, report.getLoc());
      slot += report.getKeys().size();
    }
    for (const Copy &copy : copies)
      emitCopy(copy);
    Value ok = arith::ConstantIntOp::create(builder, function.getLoc(), 0, 32);
    func::ReturnOp::create(builder, function.getLoc(), ok);
  }

  void emitResults(OperandRange results) {
    emitReport(results[0], 0, 0, function.getLoc());
    emitReport(results[1], 0, 1, function.getLoc());
  }

  void emitGroup(plan::FusedOp fused, size_t index) {
    SmallVector<Value> inputs, outputs;
    SmallVector<int64_t> reads, writes;
    for (Value input : fused.getInputs()) {
      inputs.push_back(bufferOf(input));
      reads.push_back(places[viewRoot(input)].id);
    }
    for (Value result : fused.getResults()) {
      outputs.push_back(bufferOf(result));
      writes.push_back(places[result].id);
    }
    Value scratch;
    if (scratchOf[index])
      scratch = viewAt(newBlock->getArgument(1), scratchOf[index] - 1, bytesType(scratchBytes[index]));
    auto group = plan::GroupOp::create(builder, fused.getLoc(), inputs, outputs, scratch, reads, writes);
    group.getBody().takeBody(fused.getBody());
  }

  /// Numbers to the report, as f32, divided by `count` where that is set.
  void emitReport(Value value, int64_t count, int64_t slot, Location loc) {
    RankedTensorType type = tensorType(value);
    Value from = bufferOf(value);
    for (int64_t i = 0, n = type.getNumElements(); i < n; ++i) {
      SmallVector<Value> index;
      if (type.getRank())
        index.push_back(arith::ConstantIndexOp::create(builder, loc, i));
      Value number = memref::LoadOp::create(builder, loc, from, index);
      Type f32 = builder.getF32Type();
      if (!type.getElementType().isF32())
        number = arith::SIToFPOp::create(builder, loc, f32, number);
      if (count > 0) {
        Value divisor = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(static_cast<float>(count)));
        number = arith::DivFOp::create(builder, loc, number, divisor);
      }
      Value to = viewAt(reportBuffer, 4 * (slot + i), MemRefType::get({}, f32));
      memref::StoreOp::create(builder, loc, number, to, ValueRange());
    }
  }

  void emitCopy(const Copy &copy) {
    RankedTensorType type = tensorType(copy.from);
    Region region;
    OpBuilder inner(builder.getContext()); // a region without a parent knows no context
    inner.setInsertionPointToEnd(&region.emplaceBlock());
    Value argument = inner.getInsertionBlock()->addArgument(type, function.getLoc());
    plan::YieldOp::create(inner, function.getLoc(), argument);
    auto reads = builder.getDenseI64ArrayAttr(places[viewRoot(copy.from)].id);
    auto writes = builder.getDenseI64ArrayAttr(nextId++);
    auto group = plan::GroupOp::create(builder, function.getLoc(), ValueRange(bufferOf(copy.from)),
                                       ValueRange(bufferOf(copy.to, type)), Value(), reads, writes);
    group.getBody().takeBody(region);
  }

  func::FuncOp function;
  Block &block;
  const StateLayout &layout;
  OpBuilder builder;

  SmallVector<Type> oldArgumentTypes;
  DenseMap<Value, Place> places;
  DenseMap<Operation *, int64_t> stepOf;
  SmallVector<plan::FusedOp> groups;
  std::vector<Lifetime> lifetimes;
  SmallVector<Copy> copies;
  SmallVector<size_t> scratchOf; // 1 + lifetime, then 1 + offset; 0: none
  SmallVector<int64_t> scratchBytes;
  int64_t nextId = 0, guardStep = 0, lastStep = 0, arenaBytes = 0;
  bool guarded = false;

  Block *newBlock = nullptr;
  SmallVector<size_t> newArguments;
  size_t firstResult = 0;
  Value reportBuffer;
  SmallVector<std::string> keys;
};

/// A step: tensors in; a loss and a count, each of one element, and more tensors out.
LogicalResult verifyStep(func::FuncOp function) {
  auto isTensor = [](Type type) { return isa<RankedTensorType>(type); };
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitError("plan-memory: a step is one block");
  if (!llvm::all_of(function.getArgumentTypes(), isTensor) || !llvm::all_of(function.getResultTypes(), isTensor))
    return function.emitError("plan-memory: a step takes and returns tensors, this function is ") << function.getFunctionType();
  auto results = function.getResultTypes();
  bool scalars = results.size() >= 2;
  for (size_t i = 0; scalars && i < 2; ++i)
    scalars = cast<RankedTensorType>(results[i]).getRank() == 0;
  if (!scalars)
    return function.emitError("plan-memory: a step returns its loss and its count of right answers, both of rank 0, first; this "
                              "function is ")
           << function.getFunctionType();
  return success();
}

struct PlanMemoryPass : nibble::impl::PlanMemoryBase<PlanMemoryPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    StateLayout layout;
    NamedAttrList offsets;
    Builder builder(&getContext());
    for (auto variable : module.getOps<train::VariableOp>()) {
      layout.offsets[variable.getSymName()] = layout.bytes;
      offsets.append(variable.getSymName(), builder.getI64IntegerAttr(layout.bytes));
      layout.bytes += alignedBytes(storageBytes(cast<RankedTensorType>(variable.getType())));
    }
    layout.bytes = std::max<int64_t>(layout.bytes, bufferAlignment);
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function.isDeclaration())
        continue;
      if (failed(verifyStep(function)))
        return signalPassFailure();
      FunctionPlan(function, layout).run();
    }
    module->setAttr("nibble.state_bytes", builder.getI64IntegerAttr(layout.bytes));
    module->setAttr("nibble.state_layout", offsets.getDictionary(&getContext()));
  }
};
} // namespace
