//===- ChainProducts.cpp - products and the loops that read them ---------------===//
//
// A product's result that one element-wise group reads need not go to memory and come back: product
// and group become one group, whose code makes the product a pass at a time and goes over each pass
// while it is in the caches. What it spares, in bytes: the result written and read once. What it
// costs: passes short enough for the caches, over which the panel of weights is read again. So
// results that a cache holds anyway are left alone.
//
//===----------------------------------------------------------------------===//
#include "Grouping.h"

#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::schedule;

/// Results smaller than this are in a cache when they are read (measured: plan-groups.md).
static constexpr int64_t leastBytes = 8 << 20;

/// Is it a product of codes whose results come in whole blocks of 32 channels, images or rows one
/// after the other?
static bool comesInPasses(Operation *op) {
  auto product = dyn_cast<ContractionOpInterface>(op);
  if (!product || op->getNumResults() != 1 || product.getProductKind() == Product::WeightGradient)
    return false;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  auto isStack = [](Value operand) { // of matrices
    return cast<RankedTensorType>(operand.getType()).getRank() == 3;
  };
  return type.getElementType().isF32() && type.getRank() >= 2 && type.getShape().back() % 32 == 0 &&
         4 * type.getNumElements() >= leastBytes && !isStack(product.getRight()) &&
         !product.getRight().getDefiningOp<plan::PackedOp>() && // few rows
         !getElementTypeOrSelf(product.getLeft().getType()).isF32();
}

/// The one group that reads the value; nothing where there are more, or where an op outside of all
/// groups does.
static std::optional<size_t> onlyReader(Value value, const Grouping &grouping) {
  std::optional<size_t> reader;
  for (Operation *user : value.getUsers()) {
    std::optional<size_t> found;
    if (isa<nn::ReshapeOp>(user))
      found = onlyReader(user->getResult(0), grouping);
    else if (auto place = grouping.groupOf.find(user); place != grouping.groupOf.end())
      found = place->second;
    if (!found || (reader && *reader != *found))
      return std::nullopt;
    reader = found;
  }
  return reader;
}

/// May the two become one: nothing stands between them, and the reader goes over the result's
/// elements, whichever op does.
static bool mayChain(const Grouping &grouping, size_t product, size_t reader) {
  const OpGroup &made = grouping.groups[product], &read = grouping.groups[reader];
  if (!read.elementwise || read.elements != elementsOf(made.ops.front()->getResult(0)) ||
      read.segment != made.segment || read.ops.size() >= largestGroup ||
      isBetween(grouping, product, reader))
    return false;
  return llvm::none_of(read.ops, [](Operation *op) {
    return op->hasTrait<HardlyReads>() || isa<ContractionOpInterface>(op);
  });
}

void nibble::schedule::chainProducts(Grouping &grouping) {
  for (size_t product = 0; product < grouping.groups.size(); ++product) {
    const OpGroup &made = grouping.groups[product];
    if (made.ops.size() != 1 || !comesInPasses(made.ops.front()))
      continue;
    std::optional<size_t> reader = onlyReader(made.ops.front()->getResult(0), grouping);
    if (reader && mayChain(grouping, product, *reader))
      grouping.merge(product, *reader);
  }
}
