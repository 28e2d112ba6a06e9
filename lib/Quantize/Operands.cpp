//===- Operands.cpp - what the operands of a product are ----------------------===//
#include "Operands.h"

#include "nibble/Analysis/Slices.h"
#include "nibble/Dialect/Q4/IR/Q4.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace nibble;

StringRef nibble::roleName(OperandRole role) {
  switch (role) {
  case OperandRole::Input:
    return "input";
  case OperandRole::Weight:
    return "weight";
  case OperandRole::OutputGradient:
    return "output_gradient";
  }
  return "";
}

Value nibble::throughSaves(Value value) {
  while (auto save = value.getDefiningOp<train::SaveOp>())
    value = save.getValue();
  return value;
}

bool nibble::isSameValue(Value a, Value b) {
  a = throughSaves(a), b = throughSaves(b);
  if (a == b)
    return true;
  auto readA = a.getDefiningOp<train::ReadOp>(), readB = b.getDefiningOp<train::ReadOp>();
  return readA && readB && readA.getVariable() == readB.getVariable();
}

static OperandRoles forwardRoles(ContractionOpInterface op) {
  bool swapped = isWeight(op.getLeft()) && !isWeight(op.getRight());
  return swapped ? OperandRoles{OperandRole::Weight, OperandRole::Input}
                 : OperandRoles{OperandRole::Input, OperandRole::Weight};
}

static OperandRoles gradientRoles(ContractionOpInterface op, ContractionOpInterface forward,
                                  OperandRoles roles) {
  if (forward) {
    auto roleOf = [&](Value value) -> std::optional<OperandRole> {
      if (isSameValue(value, forward.getLeft()))
        return roles[0];
      if (isSameValue(value, forward.getRight()))
        return roles[1];
      return std::nullopt;
    };
    auto left = roleOf(op.getLeft()), right = roleOf(op.getRight());
    if (left && !right)
      return {*left, OperandRole::OutputGradient};
    if (right && !left)
      return {OperandRole::OutputGradient, *right};
  }
  if (op.getProductKind() == Product::InputGradient)
    return {OperandRole::OutputGradient, OperandRole::Weight};
  return {OperandRole::Input, OperandRole::OutputGradient};
}

llvm::DenseMap<Operation *, OperandRoles> nibble::operandRoles(func::FuncOp function) {
  llvm::DenseMap<Operation *, OperandRoles> roles;
  llvm::StringMap<ContractionOpInterface> forward;
  function.walk([&](ContractionOpInterface op) {
    if (op.getProductKind() != Product::Forward)
      return;
    roles[op] = forwardRoles(op);
    forward[op.getLayerName()] = op;
  });
  function.walk([&](ContractionOpInterface op) {
    if (op.getProductKind() == Product::Forward)
      return;
    ContractionOpInterface first = forward.lookup(op.getLayerName());
    OperandRoles firstRoles = first ? roles.lookup(first) : OperandRoles{};
    roles[op] = gradientRoles(op, first, firstRoles);
  });
  return roles;
}

train::SaveOp nibble::saveOf(Value value) {
  for (Operation *user : value.getUsers())
    if (auto save = dyn_cast<train::SaveOp>(user))
      return save;
  return {};
}

bool nibble::bearsNarrowing(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<nn::ReshapeOp>(user))
      return bearsNarrowing(user->getResult(0));
    if (isa<nn::MseGradOp, nn::BinaryCrossEntropyGradOp, q4::QuantizeOp, q4::QuantizeLogOp>(user))
      return false;
    return user->hasTrait<ElementwiseLike>() || user->hasTrait<ReadsNarrowed>();
  });
}

llvm::DenseSet<Operation *> nibble::forwardPart(func::FuncOp function) {
  llvm::DenseSet<Operation *> found;
  SmallVector<Value> open;
  function.walk([&](Operation *op) {
    auto contraction = dyn_cast<ContractionOpInterface>(op);
    bool root = isa<train::SaveOp, func::ReturnOp>(op) ||
                (contraction && contraction.getProductKind() == Product::Forward);
    if (!root)
      return;
    found.insert(op);
    llvm::append_range(open, op->getOperands());
  });
  while (!open.empty())
    if (Operation *op = open.pop_back_val().getDefiningOp(); op && found.insert(op).second)
      llvm::append_range(open, op->getOperands());
  return found;
}
