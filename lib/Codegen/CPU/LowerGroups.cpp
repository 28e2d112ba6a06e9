//===- LowerGroups.cpp - plan.group to loops, plan.guard to a branch ----------===//
#include "Emitters.h"

#include "nibble/Codegen/CPU/Passes.h"

namespace nibble {
#define GEN_PASS_DEF_LOWERGROUPS
#include "nibble/Codegen/CPU/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen;

/// Status that a step returns where its guard saw the flag set (Runtime/Abi.def).
static constexpr int32_t kNonFinite = 1;

/// Splits the block behind the guard; where the flag's byte is not 0, control goes to a block that returns the status.
static LogicalResult lowerGuard(plan::GuardOp guard, Block *&exit) {
  auto function = guard->getParentOfType<func::FuncOp>();
  if (!function || guard->getParentOp() != function || function.getResultTypes().size() != 1 ||
      !function.getResultTypes()[0].isInteger(32))
    return guard.emitOpError("stands at the top of a function that returns an i32 status");
  OpBuilder b(guard);
  Location loc = guard.getLoc();
  auto type = cast<MemRefType>(guard.getFlag().getType());
  SmallVector<Value> indices;
  for (int64_t d = 0; d < type.getRank(); ++d)
    indices.push_back(arith::ConstantIndexOp::create(b, loc, 0));
  Value flag = memref::LoadOp::create(b, loc, guard.getFlag(), indices);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
  Value isSet = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, flag, zero);
  if (!exit) {
    exit = b.createBlock(&function.getBody(), function.getBody().end());
    Value status = arith::ConstantIntOp::create(b, loc, kNonFinite, 32);
    func::ReturnOp::create(b, loc, status);
  }
  Block *before = guard->getBlock(), *after = before->splitBlock(guard);
  b.setInsertionPointToEnd(before);
  cf::CondBranchOp::create(b, loc, isSet, exit, after);
  guard.erase();
  return success();
}

static LogicalResult lowerFunction(func::FuncOp function, const CpuTarget &target) {
  if (function.isDeclaration())
    return success();
  ConstantPool pool(&function.getBody().front());
  SmallVector<plan::GroupOp> groups;
  SmallVector<plan::GuardOp> guards;
  function.walk([&](plan::GroupOp op) { groups.push_back(op); });
  function.walk([&](plan::GuardOp op) { guards.push_back(op); });
  for (plan::GroupOp group : groups) {
    OpBuilder b(group);
    if (failed(emitGroup(group, b, pool, target)))
      return failure();
    group.erase();
  }
  Block *exit = nullptr;
  for (plan::GuardOp guard : guards)
    if (failed(lowerGuard(guard, exit)))
      return failure();
  return success();
}

namespace {
struct LowerGroups : public nibble::impl::LowerGroupsBase<LowerGroups> {
  using LowerGroupsBase::LowerGroupsBase;
  void runOnOperation() override {
    FailureOr<CpuTarget> target = CpuTarget::parse(cpu);
    if (failed(target)) {
      getOperation().emitError() << "lower-groups: unknown processor '" << cpu
                                 << "'; known are " << CpuTarget::listOfNames();
      return signalPassFailure();
    }
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions)
      if (failed(lowerFunction(function, *target)))
        return signalPassFailure();
  }
};
} // namespace
