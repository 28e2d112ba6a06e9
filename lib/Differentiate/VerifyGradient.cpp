//===- VerifyGradient.cpp - the door of Differentiate ----------------------------------===//
#include "nibble/Differentiate/Passes.h"

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace nibble;

namespace nibble {
#define GEN_PASS_DEF_VERIFYGRADIENT
#include "nibble/Differentiate/Passes.h.inc"
} // namespace nibble

namespace {

constexpr char room[] = "verify-gradient: ";

class Door {
public:
  explicit Door(ModuleOp module) : module(module) {}

  LogicalResult check() {
    if (auto forward = module.lookupSymbol("forward"))
      fail(forward) << "@forward is still there";
    train = function("train_step");
    eval = function("eval_step");
    if (train) {
      findBackward();
      checkSpelledOut(train);
      checkSaves();
      checkBackwardOperands();
      checkGuard();
      checkParameters();
    }
    if (eval) {
      checkSpelledOut(eval);
      auto step = module->getAttrOfType<StringAttr>("nibble.step");
      bool calibrates = step && step.getValue().contains("calibrate=true");
      eval.walk([&](train::WriteOp write) {
        if (!calibrates)
          fail(write) << "@eval_step writes " << write.getVariableAttr();
      });
    }
    return failure(failures > 0);
  }

private:
  InFlightDiagnostic fail(Operation *op) {
    ++failures;
    return op->emitError(room);
  }

  func::FuncOp function(StringRef name) {
    auto found = module.lookupSymbol<func::FuncOp>(name);
    if (!found || !found.getBody().hasOneBlock())
      fail(module) << "there is no @" << name << " of one block";
    return found && found.getBody().hasOneBlock() ? found : func::FuncOp();
  }

  /// What depends on a save.
  void findBackward() {
    for (Operation &op : train.getBody().front())
      if (isa<train::SaveOp>(op) ||
          llvm::any_of(op.getOperands(), [&](Value v) { return isBackward(v); }))
        backward.insert(&op);
  }
  bool isBackward(Value value) const { return backward.contains(value.getDefiningOp()); }

  void checkSpelledOut(func::FuncOp function) {
    function.walk([&](Operation *op) {
      if (isa<nn::BatchNormOp, nn::DropoutOp>(op))
        fail(op) << "'" << op->getName() << "' is not spelled out";
    });
  }

  void checkSaves() {
    llvm::DenseMap<Value, Operation *> saved;
    train.walk([&](train::SaveOp save) {
      if (isBackward(save.getValue()))
        fail(save) << "a value of the backward part is saved";
      auto [entry, isFirst] = saved.try_emplace(save.getValue(), save);
      if (!isFirst)
        (fail(save) << "a value is saved twice").attachNote(entry->second->getLoc())
            << "the first save is here";
    });
  }

  /// Is it computed from constants alone (the share of a sum that a term of the loss is)?
  static bool isConstant(Value value) {
    Operation *op = value.getDefiningOp();
    return op && (matchPattern(value, m_Constant()) ||
                  (isMemoryEffectFree(op) && op->getNumOperands() > 0 &&
                   llvm::all_of(op->getOperands(), isConstant)));
  }

  /// May the backward part use this value without a save?
  bool needsNoSave(Value value) const {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return argument.getArgNumber() != 0;
    return isBackward(value) || isConstant(value) ||
           isa<train::ReadOp, train::RateOp, train::RandomBitsOp>(value.getDefiningOp());
  }
  void checkBackwardOperands() {
    for (Operation *op : backward) {
      // The guard's flag joins both parts; a return hands out loss and gradient alike.
      if (isa<train::SaveOp, q4::OrOp, func::ReturnOp>(op))
        continue;
      for (OpOperand &operand : op->getOpOperands())
        if (!needsNoSave(operand.get()))
          (fail(op) << "operand " << operand.getOperandNumber()
                    << " is a forward value that is not saved")
                  .attachNote(operand.get().getLoc())
              << "the value is made here";
    }
  }

  void checkGuard() {
    auto guards = llvm::to_vector(train.getOps<train::GuardOp>());
    if (guards.size() != 1) {
      fail(train) << "@train_step has " << guards.size() << " guards, one is expected";
      return;
    }
    train.walk([&](train::WriteOp write) {
      if (write->isBeforeInBlock(guards.front()))
        fail(write) << "a write of " << write.getVariableAttr() << " stands before the guard";
    });
  }

  /// Comes the value from an optimizer op (through PACT's floor) whose gradient is of the backward
  /// part?
  bool isUpdate(Value value) const {
    if (auto floor = value.getDefiningOp<nn::MaxOp>())
      value = floor.getA();
    auto sgd = value.getDefiningOp<train::SgdOp>();
    auto adam = value.getDefiningOp<train::AdamOp>();
    return (sgd && sgd.getNewTheta() == value && isBackward(sgd.getGrad())) ||
           (adam && adam.getNewTheta() == value && isBackward(adam.getGrad()));
  }

  void checkParameters() {
    llvm::MapVector<StringAttr, SmallVector<train::WriteOp>> writes;
    train.walk(
        [&](train::WriteOp write) { writes[write.getVariableAttr().getAttr()].push_back(write); });
    for (auto variable : module.getOps<train::VariableOp>()) {
      ArrayRef<train::WriteOp> found;
      if (auto entry = writes.find(variable.getSymNameAttr()); entry != writes.end())
        found = entry->second;
      if (found.size() > 1)
        fail(train::WriteOp(found[1])) << "a second write of @" << variable.getSymName();
      if (variable.getTrainable() && found.empty())
        fail(variable) << "trainable variable @" << variable.getSymName() << " gets no gradient";
      if (found.empty())
        continue;
      train::WriteOp first = found.front();
      Value value = first.getValue();
      bool isState = variable.getRole() == train::Role::Moment ||
                     variable.getRole() == train::Role::RunningStat ||
                     variable.getRole() == train::Role::GradScale ||
                     variable.getRole() == train::Role::Range;
      if (!isState && !variable.getTrainable())
        fail(first) << "@" << variable.getSymName() << " is written, but not trainable";
      if (variable.getTrainable() && !isUpdate(value))
        fail(first) << "the new value of @" << variable.getSymName()
                    << " is not an optimizer's, made from a gradient of the backward part";
    }
  }

  ModuleOp module;
  func::FuncOp train, eval;
  llvm::SetVector<Operation *> backward;
  int failures = 0;
};

struct VerifyGradientPass : nibble::impl::VerifyGradientBase<VerifyGradientPass> {
  using VerifyGradientBase::VerifyGradientBase;
  void runOnOperation() override {
    if (failed(Door(getOperation()).check()))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
