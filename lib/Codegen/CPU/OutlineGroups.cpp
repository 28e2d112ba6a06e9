//===- OutlineGroups.cpp - each kind of group becomes one function -------------===//
#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Dialect/Plan/IR/Plan.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

namespace nibble {
#define GEN_PASS_DEF_OUTLINEGROUPS
#include "nibble/Codegen/CPU/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

/// Attributes that tell people where an op came from; code does not depend on them.
static constexpr StringLiteral kProvenance[] = {"layer", "reason", "name"};

static SmallVector<Value> buffersOf(plan::GroupOp group) {
  return SmallVector<Value>(group->getOperands().begin(), group->getOperands().end());
}

/// A copy of the group on the given buffers, without what only tells where it came from.
static plan::GroupOp anonymousCopy(plan::GroupOp group, OpBuilder &builder, ValueRange buffers) {
  auto copy = cast<plan::GroupOp>(builder.clone(*group));
  copy->setOperands(buffers);
  copy.setReads({});
  copy.setWrites({});
  copy.walk([](Operation *op) {
    for (StringRef name : kProvenance)
      if (op->hasAttr(name))
        op->setAttr(name, StringAttr::get(op->getContext(), ""));
  });
  return copy;
}

/// What the group computes, as text: equal for groups that can share their code.
static std::string kindOf(plan::GroupOp group) {
  std::string text;
  llvm::raw_string_ostream os(text);
  group->print(os, OpPrintingFlags().useLocalScope().printGenericOpForm().skipRegions(false));
  return text;
}

/// "conv2d" for a group of one op, "fused" for several: the stem of the function's name.
static StringRef stemOf(plan::GroupOp group) {
  Block &body = group.getBody().front();
  Operation *op = &body.front();
  if (isa<plan::PackedOp>(op))
    op = op->getNextNode();
  return op->getNextNode() == body.getTerminator() ? op->getName().stripDialect()
                                                   : StringRef("fused");
}

/// Calls that tell the runtime's Profile how far the step is.
static void insertMarks(func::FuncOp step, ArrayRef<plan::GroupOp> groups) {
  OpBuilder builder(step);
  auto mark = func::FuncOp::create(builder, step.getLoc(), "nibble_profile_mark",
                                   builder.getFunctionType(builder.getI32Type(), {}));
  mark.setPrivate();
  auto call = [&](int32_t group) {
    Value number = arith::ConstantIntOp::create(builder, step.getLoc(), group, 32);
    func::CallOp::create(builder, step.getLoc(), mark, number);
  };
  builder.setInsertionPointToStart(&step.getBody().front());
  call(-1);
  for (auto [number, group] : llvm::enumerate(groups)) {
    builder.setInsertionPointAfter(group);
    call(static_cast<int32_t>(number));
  }
}

namespace {
struct OutlineGroups : public nibble::impl::OutlineGroupsBase<OutlineGroups> {
  using OutlineGroupsBase::OutlineGroupsBase;

  void runOnOperation() override {
    if (auto step = getOperation().lookupSymbol<func::FuncOp>("train_step");
        profile && step && !step.isExternal()) {
      SmallVector<plan::GroupOp> marked;
      step.walk([&](plan::GroupOp group) { marked.push_back(group); });
      insertMarks(step, marked);
    }
    SymbolTable symbols(getOperation());
    SmallVector<plan::GroupOp> groups;
    getOperation().walk([&](plan::GroupOp group) { groups.push_back(group); });
    for (plan::GroupOp group : groups) {
      func::FuncOp function = functionFor(group, symbols);
      OpBuilder builder(group);
      func::CallOp::create(builder, group.getLoc(), function, buffersOf(group));
      group.erase();
    }
  }

  func::FuncOp functionFor(plan::GroupOp group, SymbolTable &symbols) {
    OpBuilder builder(&getContext());
    SmallVector<Value> buffers = buffersOf(group);
    auto type = builder.getFunctionType(TypeRange(ValueRange(buffers)), {});
    auto function =
        func::FuncOp::create(builder, group.getLoc(), ("group_" + stemOf(group)).str(), type);
    function.setPrivate();
    function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
    Block *entry = function.addEntryBlock();
    builder.setInsertionPointToStart(entry);
    plan::GroupOp copy = anonymousCopy(group, builder, entry->getArguments());
    func::ReturnOp::create(builder, group.getLoc());
    func::FuncOp &known = functions[kindOf(copy)];
    if (known) {
      function.erase();
      return known;
    }
    symbols.insert(function);
    return known = function;
  }

  llvm::StringMap<func::FuncOp> functions;
};
} // namespace
