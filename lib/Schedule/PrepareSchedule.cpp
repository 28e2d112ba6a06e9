//===- PrepareSchedule.cpp - broadcasts, constants, updates behind the guard -===//
#include "nibble/Schedule/Passes.h"

#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Interfaces/Interfaces.h"

namespace nibble {
#define GEN_PASS_DEF_PREPARESCHEDULE
#include "nibble/Schedule/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

namespace {

/// Does a buffer of `shape`, read with a period, give the broadcast to `iteration`?
bool isPeriodic(ArrayRef<int64_t> shape, ArrayRef<int64_t> iteration) {
  while (!shape.empty() && shape.front() == 1)
    shape = shape.drop_front();
  return shape.size() <= iteration.size() && iteration.take_back(shape.size()) == shape;
}

void spellOutBroadcasts(Operation *op) {
  auto iteration = cast<RankedTensorType>(op->getResult(0).getType());
  OpBuilder builder(op);
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = cast<RankedTensorType>(operand.get().getType());
    if (type.getShape() == iteration.getShape() || type.getRank() == 0)
      continue;
    if (type.getNumElements() == 1) {
      auto scalar = RankedTensorType::get({}, type.getElementType());
      operand.set(nn::ReshapeOp::create(builder, op->getLoc(), scalar, operand.get()));
    } else if (!isPeriodic(type.getShape(), iteration.getShape())) {
      auto full = RankedTensorType::get(iteration.getShape(), type.getElementType());
      operand.set(nn::BroadcastOp::create(builder, op->getLoc(), full, operand.get()));
    }
  }
}

/// Moves behind the guard what only writes read: an update made there goes straight to its
/// variable's place.
void sinkUpdates(func::FuncOp function) {
  auto guards = function.getOps<train::GuardOp>();
  if (guards.empty())
    return;
  Operation *guard = *guards.begin();
  SmallVector<Operation *> before;
  for (Operation *op = guard->getPrevNode(); op; op = op->getPrevNode())
    before.push_back(op);
  // Not isBeforeInBlock: each move would have it number the whole block again.
  DenseSet<Operation *> inFront(before.begin(), before.end());
  for (Operation *op : before) {
    bool movable =
        !op->use_empty() && isMemoryEffectFree(op) && !op->hasTrait<OpTrait::ConstantLike>();
    bool behind = llvm::all_of(op->getUsers(), [&](Operation *user) {
      return user != guard && !inFront.contains(user) && !user->hasTrait<OpTrait::IsTerminator>();
    });
    if (!movable || !behind || isa<train::SaveOp>(op))
      continue;
    op->moveAfter(guard); // in reverse order, so the order among them stays
    inFront.erase(op);
  }
}

/// The product that (A·B)ᵀ = Bᵀ·Aᵀ is: operands, scales and zero points change sides. Its terms
/// come in the same order, and factors may change places without changing a bit.
Operation *swappedProduct(Operation *product, Type type) {
  OpBuilder builder(product);
  OperationState state(product->getLoc(), product->getName().getStringRef());
  state.addTypes(type);
  bool transposeA = product->hasAttr("transpose_a"), transposeB = product->hasAttr("transpose_b");
  for (NamedAttribute attribute : product->getAttrs())
    if (attribute.getName() != "transpose_a" && attribute.getName() != "transpose_b")
      state.attributes.set(attribute.getName(), attribute.getValue());
  if (!transposeB)
    state.attributes.set("transpose_a", builder.getUnitAttr());
  if (!transposeA)
    state.attributes.set("transpose_b", builder.getUnitAttr());
  auto codes = dyn_cast<q4::MatMulOp>(product);
  if (!codes) {
    state.addOperands({product->getOperand(1), product->getOperand(0)});
    return builder.create(state);
  }
  SmallVector<int32_t> sizes;
  auto add = [&](Value operand) {
    sizes.push_back(operand ? 1 : 0);
    if (operand)
      state.addOperands(operand);
  };
  for (Value operand :
       {codes.getRight(), codes.getLeft(), codes.getRightScale(), codes.getLeftScale(),
        codes.getRightZeroPoint(), codes.getLeftZeroPoint(), codes.getGain()})
    add(operand);
  state.attributes.set("operandSegmentSizes", builder.getDenseI32ArrayAttr(sizes));
  return builder.create(state);
}

/// A transposed product of matrices is made in its transposed form at once.
void foldTransposedProducts(func::FuncOp function) {
  SmallVector<nn::TransposeOp> transposes(function.getOps<nn::TransposeOp>());
  for (nn::TransposeOp transpose : transposes) {
    Operation *product = transpose.getX().getDefiningOp();
    ArrayRef<int64_t> perm = transpose.getPerm();
    bool turnsMatrices = perm == ArrayRef<int64_t>{1, 0} || perm == ArrayRef<int64_t>{0, 2, 1};
    if (!product || !isa<nn::MatMulOp, q4::MatMulOp>(product) || !product->hasOneUse() ||
        !turnsMatrices)
      continue;
    Operation *swapped = swappedProduct(product, transpose.getType());
    transpose.getResult().replaceAllUsesWith(swapped->getResult(0));
    transpose.erase();
    product->erase();
  }
}

struct PrepareSchedulePass : nibble::impl::PrepareScheduleBase<PrepareSchedulePass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      function.walk([](Operation *op) {
        if (op->hasTrait<ElementwiseLike>())
          spellOutBroadcasts(op);
      });
      foldTransposedProducts(function);
      sinkUpdates(function);
      SmallVector<arith::ConstantOp> constants(function.getOps<arith::ConstantOp>());
      for (arith::ConstantOp constant : constants)
        moveToVariable(constant, symbols);
    }
  }

  /// Uses that a fused loop cannot turn into a splat read a variable instead.
  void moveToVariable(arith::ConstantOp constant, SymbolTable &symbols) {
    auto value = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (!value)
      return;
    auto staysConstant = [&](OpOperand &use) {
      return value.isSplat() && use.getOwner()->hasTrait<ElementwiseLike>();
    };
    if (llvm::all_of(constant->getUses(), staysConstant))
      return;
    OpBuilder builder(constant);
    auto read = train::ReadOp::create(builder, constant.getLoc(), constant.getType(),
                                      variableFor(value, symbols).getSymName());
    constant.getResult().replaceUsesWithIf(read.getResult(),
                                           [&](OpOperand &use) { return !staysConstant(use); });
    if (constant->use_empty())
      constant->erase();
  }

  train::VariableOp variableFor(DenseElementsAttr value, SymbolTable &symbols) {
    train::VariableOp &variable = variables[value];
    if (!variable) {
      OpBuilder builder = OpBuilder::atBlockBegin(getOperation().getBody());
      variable =
          train::VariableOp::create(builder, getOperation().getLoc(), "constant",
                                    cast<RankedTensorType>(value.getType()), train::Role::Constant,
                                    /*trainable=*/false, /*decay=*/false, "", "", value);
      variable->remove();
      symbols.insert(variable, getOperation().getBody()->begin());
    }
    return variable;
  }

  DenseMap<Attribute, train::VariableOp> variables;
};
} // namespace
