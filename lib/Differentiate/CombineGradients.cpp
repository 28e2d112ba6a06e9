//===- CombineGradients.cpp - sums of gradients that are one op ----------------===//
#include "nibble/Differentiate/Passes.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"

namespace nibble {
#define GEN_PASS_DEF_COMBINEGRADIENTS
#include "nibble/Differentiate/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

/// Is this the result of an inner node of a sum: an addition of equal shapes that only another such addition reads?
static bool isInner(nn::AddOp add) {
  if (!add->hasOneUse())
    return false;
  auto user = dyn_cast<nn::AddOp>(*add->user_begin());
  return user && user.getType() == add.getType() && user.getA().getType() == user.getB().getType();
}

/// The terms of the sum, first one first.
static SmallVector<Value> termsOf(nn::AddOp root) {
  SmallVector<Value> terms, open{root.getB(), root.getA()};
  while (!open.empty()) {
    Value value = open.pop_back_val();
    auto add = value.getDefiningOp<nn::AddOp>();
    if (add && isInner(add) && add.getA().getType() == add.getB().getType()) {
      open.push_back(add.getB());
      open.push_back(add.getA());
    } else {
      terms.push_back(value);
    }
  }
  return terms;
}

//===----------------------------------------------------------------------===//
// Weight gradients
//===----------------------------------------------------------------------===//

/// Xᵀ·dY, or the transpose of it, that nothing else reads.
static nn::MatMulOp weightGradient(Value term, bool &isTransposed) {
  auto transpose = term.getDefiningOp<nn::TransposeOp>();
  isTransposed = transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0};
  if (isTransposed && !term.hasOneUse())
    return {};
  Value result = isTransposed ? transpose.getX() : term;
  auto product = result.getDefiningOp<nn::MatMulOp>();
  bool fits = product && product.getProduct() == Product::WeightGradient && product.getTransposeA() &&
              !product.getTransposeB() && result.hasOneUse();
  return fits ? product : nn::MatMulOp();
}

/// The products of all terms, the last term first (reverse mode adds the last application's gradient first); none where they
/// cannot become one.
static SmallVector<nn::MatMulOp> productsOf(ArrayRef<Value> terms, bool &isTransposed) {
  SmallVector<nn::MatMulOp> products;
  for (auto [i, term] : llvm::enumerate(llvm::reverse(terms))) {
    bool transposed = false;
    nn::MatMulOp product = weightGradient(term, transposed);
    if (!product || (i > 0 && (transposed != isTransposed || product.getPrecision() != products.front().getPrecision() ||
                               product.getReason() != products.front().getReason())))
      return {};
    isTransposed = transposed;
    products.push_back(product);
  }
  return products;
}

static Value joined(OpBuilder &b, Location loc, ArrayRef<Value> parts, int64_t axis) {
  auto type = cast<RankedTensorType>(parts.front().getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = 0;
  for (Value part : parts)
    shape[axis] += cast<RankedTensorType>(part.getType()).getDimSize(axis);
  return nn::ConcatOp::create(b, loc, type.clone(shape), parts, axis);
}

/// The joined Xs. What the forward part saved one by one is joined there and saved as one, so that its codes can be.
static Value joinedInputs(OpBuilder &b, Location loc, ArrayRef<Value> inputs) {
  Operation *last = nullptr;
  SmallVector<Value> sources;
  for (Value input : inputs) {
    auto save = input.getDefiningOp<train::SaveOp>();
    if (!save)
      return joined(b, loc, inputs, 0);
    sources.push_back(save.getValue());
    if (!last || last->isBeforeInBlock(save))
      last = save;
  }
  OpBuilder forward(b.getContext());
  forward.setInsertionPointAfter(last);
  return train::SaveOp::create(forward, loc, joined(forward, loc, sources, 0));
}

static Value oneProduct(nn::AddOp root, ArrayRef<Value> terms) {
  bool isTransposed = false;
  SmallVector<nn::MatMulOp> products = productsOf(terms, isTransposed);
  if (products.empty())
    return {};
  OpBuilder b(root);
  SmallVector<Value> lefts, rights;
  for (nn::MatMulOp product : products) {
    lefts.push_back(product.getA());
    rights.push_back(product.getB());
  }
  nn::MatMulOp first = products.front();
  Value sum = nn::MatMulOp::create(b, first.getLoc(), first.getType(), joinedInputs(b, first.getLoc(), lefts),
                                   joined(b, first.getLoc(), rights, 0), /*transpose_a=*/true, /*transpose_b=*/false,
                                   sequenceName(first.getLayer()), Product::WeightGradient, first.getPrecision(), first.getReason());
  return isTransposed ? nn::TransposeOp::create(b, first.getLoc(), sum, ArrayRef<int64_t>{1, 0}).getResult() : sum;
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

/// The axis along which the part is smaller than the whole, at its start; nothing where there are several or it is not dense.
static std::optional<int64_t> axisOf(nn::UnsliceOp op) {
  ArrayRef<int64_t> whole = op.getResult().getType().getShape(), part = op.getX().getType().getShape();
  std::optional<int64_t> axis;
  for (auto [d, step] : llvm::enumerate(op.getSteps())) {
    if (part[d] == whole[d] && op.getStarts()[d] == 0 && step == 1)
      continue;
    if (axis || (step != 1 && part[d] != 1))
      return std::nullopt;
    axis = d;
  }
  return axis;
}

static Value oneConcat(nn::AddOp root, ArrayRef<Value> terms) {
  SmallVector<nn::UnsliceOp> parts;
  std::optional<int64_t> axis;
  for (Value term : terms) {
    auto part = term.getDefiningOp<nn::UnsliceOp>();
    std::optional<int64_t> along = part ? axisOf(part) : std::nullopt;
    if (!along || (axis && *axis != *along))
      return {};
    axis = along;
    parts.push_back(part);
  }
  llvm::sort(parts, [&](nn::UnsliceOp a, nn::UnsliceOp b) { return a.getStarts()[*axis] < b.getStarts()[*axis]; });
  int64_t next = 0;
  for (nn::UnsliceOp part : parts) {
    if (part.getStarts()[*axis] != next)
      return {};
    next += part.getX().getType().getDimSize(*axis);
  }
  if (next != root.getType().getDimSize(*axis))
    return {};
  OpBuilder b(root);
  return joined(b, root.getLoc(), llvm::map_to_vector(parts, [](nn::UnsliceOp part) -> Value { return part.getX(); }), *axis);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Erases ops without a use, the given one and those that only it used.
static void eraseUnused(Operation *op) {
  SmallVector<Operation *> open{op};
  while (!open.empty()) {
    Operation *next = open.pop_back_val();
    if (!next || !isOpTriviallyDead(next))
      continue;
    SmallVector<Operation *> operands;
    for (Value operand : next->getOperands())
      if (Operation *def = operand.getDefiningOp(); def && !llvm::is_contained(operands, def))
        operands.push_back(def);
    next->erase();
    open.append(operands);
  }
}

namespace {
struct CombineGradientsPass : nibble::impl::CombineGradientsBase<CombineGradientsPass> {
  void runOnOperation() override {
    auto function = getOperation().lookupSymbol<func::FuncOp>("train_step");
    if (!function || function.isExternal())
      return;
    SmallVector<nn::AddOp> roots;
    for (auto add : function.getBody().front().getOps<nn::AddOp>())
      if (!isInner(add) && add.getA().getType() == add.getB().getType())
        roots.push_back(add);
    for (nn::AddOp root : roots) {
      SmallVector<Value> terms = termsOf(root);
      Value sum = oneProduct(root, terms);
      if (!sum)
        sum = oneConcat(root, terms);
      if (!sum)
        continue;
      root.getResult().replaceAllUsesWith(sum);
      eraseUnused(root);
    }
  }
};
} // namespace
