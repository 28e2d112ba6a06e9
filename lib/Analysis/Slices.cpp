//===- Slices.cpp - what a value is computed from -------------------------------===//
#include "nibble/Analysis/Slices.h"

#include "nibble/Dialect/Train/IR/Train.h"

using namespace mlir;
using namespace nibble;

llvm::SetVector<Operation *> nibble::backwardOps(Value value, ArrayRef<Value> stop) {
  llvm::SetVector<Operation *> found;
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op || llvm::is_contained(stop, next) || !found.insert(op))
      continue;
    llvm::append_range(open, op->getOperands());
  }
  return found;
}

llvm::SetVector<Operation *> nibble::forwardOps(Value value) {
  llvm::SetVector<Operation *> found;
  SmallVector<Value> open = {value};
  while (!open.empty())
    for (Operation *user : open.pop_back_val().getUsers())
      if (found.insert(user))
        llvm::append_range(open, user->getResults());
  return found;
}

static bool readsArgument(const llvm::SetVector<Operation *> &ops) {
  return llvm::any_of(ops, [](Operation *op) {
    return llvm::any_of(op->getOperands(),
                        [](Value operand) { return isa<BlockArgument>(operand); });
  });
}

bool nibble::dependsOnArgument(Value value) {
  return isa<BlockArgument>(value) || readsArgument(backwardOps(value));
}

static bool readsVariable(const llvm::SetVector<Operation *> &ops) {
  return llvm::any_of(ops, [](Operation *op) { return isa<train::ReadOp>(op); });
}

bool nibble::isWeight(Value value) {
  auto ops = backwardOps(value);
  return !isa<BlockArgument>(value) && readsVariable(ops) && !readsArgument(ops);
}

bool nibble::isNetworkInput(Value value) {
  auto ops = backwardOps(value);
  return (isa<BlockArgument>(value) || readsArgument(ops)) && !readsVariable(ops);
}
