//===- MergeGroups.cpp - when a loop that feeds another one joins it -----------===//
//
// Ops are placed one after the other (Grouping.cpp), each where one of its operands is. An op whose
// operands come from two loops over the same elements joins the later one; the other one was begun
// for itself - the derivative at saved values, say - and would hand over a whole tensor. The two
// become one where no third group needs the first and is needed by the second: the tensor is then
// neither written nor read.
//
//===----------------------------------------------------------------------===//
#include "Grouping.h"

#include "nibble/Schedule/Storage.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::schedule;

static bool hardlyReads(Operation *op) { return op->hasTrait<HardlyReads>(); }

/// Does a tensor of the groups' size go from one to the other (not a code, which is narrower), and
/// nothing that is there only after the loop?
static bool handsTensor(const Grouping &grouping, size_t maker, size_t reader) {
  bool tensor = false, folded = false;
  for (Operation *op : grouping.groups[reader].ops)
    for (Value operand : op->getOperands())
      forEachSource(operand, [&](Value source) {
        Operation *from = source.getDefiningOp();
        auto found = grouping.groupOf.find(from);
        if (found == grouping.groupOf.end() || found->second != maker)
          return;
        folded |= isAfterLoop(from, operand);
        tensor |= source == viewRoot(operand) && elementsOf(source) == grouping.groups[maker].elements;
      });
  return tensor && !folded;
}

/// Does a third group need the maker and give to the reader?
static bool isBetween(const Grouping &grouping, size_t maker, size_t reader) {
  return llvm::any_of(grouping.groups[reader].dependsOn.set_bits(), [&](unsigned group) {
    return group != maker && grouping.groups[group].dependsOn.test(maker);
  });
}

bool nibble::schedule::mayMerge(const Grouping &grouping, size_t maker, size_t reader) {
  const OpGroup &from = grouping.groups[maker], &to = grouping.groups[reader];
  return maker != reader && from.elementwise && to.elementwise && from.elements == to.elements &&
         from.elements > 1 && from.segment == to.segment &&
         from.ops.size() + to.ops.size() <= largestGroup && llvm::none_of(from.ops, hardlyReads) &&
         llvm::none_of(to.ops, hardlyReads) && channelFoldsFit(from, to) &&
         handsTensor(grouping, maker, reader) && !isBetween(grouping, maker, reader);
}
