//===- ReverseMode.cpp - the walk from the loss to the weights ----------------===//
#include "nibble/Differentiate/Adjoint.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Interfaces/Interfaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace nibble;

ReverseMode::ReverseMode(OpBuilder &builder, Block &block, ArrayRef<Value> leaves, Value input)
    : builder(builder), block(block), input(input), everyArgument(!input),
      leaves(leaves.begin(), leaves.end()) {
  active.insert(leaves.begin(), leaves.end());
  for (Operation &op : block)
    if (llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); }))
      for (Value result : op.getResults())
        if (cast<ShapedType>(result.getType()).getElementType().isF32())
          active.insert(result);
}

void ReverseMode::accumulate(Value value, Value gradient) {
  Value &sum = gradients[value];
  sum = sum ? nn::AddOp::create(builder, value.getLoc(), sum, gradient).getResult() : gradient;
}

Value ReverseMode::save(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  bool asItIs = argument
                    ? !everyArgument && value != input
                    : value.getDefiningOp<train::ReadOp>() || matchPattern(value, m_Constant());
  if (asItIs)
    return value;
  Value &copy = saved[value];
  if (!copy) {
    OpBuilder forward(value.getContext());
    if (argument)
      forward.setInsertionPointToStart(argument.getOwner());
    else
      forward.setInsertionPointAfter(value.getDefiningOp());
    copy = train::SaveOp::create(forward, value.getLoc(), value);
  }
  return copy;
}

Value ReverseMode::constant(double value) {
  auto type = RankedTensorType::get({}, builder.getF32Type());
  auto attribute = DenseElementsAttr::get(type, static_cast<float>(value));
  Value &constant = constants[attribute];
  if (!constant) {
    OpBuilder top = OpBuilder::atBlockBegin(&block);
    constant = arith::ConstantOp::create(top, builder.getUnknownLoc(), attribute);
  }
  return constant;
}

/// "'/relu/Relu' (arith.maximumf)".
static std::string describe(Operation *op) {
  std::string name = nodeName(op->getLoc());
  return (name.empty() ? "" : "ONNX node '" + name + "': ") + "'" +
         op->getName().getStringRef().str() + "'";
}

LogicalResult ReverseMode::reportMissing(ArrayRef<Operation *> ops) const {
  for (Operation *op : ops) {
    auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
    StringRef reason =
        differentiable ? differentiable.getNoGradientReason() : "no rule is known for it";
    InFlightDiagnostic error = op->emitError();
    error << describe(op) << " has no gradient (" << reason
          << "), and it stands between the loss and a trained weight; freeze the weights before it "
             "(--freeze=REGEX) or replace "
             "the node";
  }
  return failure(!ops.empty());
}

LogicalResult ReverseMode::run() {
  SmallVector<Operation *> ops;
  for (Operation &op : llvm::reverse(block))
    ops.push_back(&op);
  SmallVector<Operation *> missing;
  for (Operation *op : ops) {
    // At a leaf the walk ends.
    bool reached = llvm::any_of(op->getResults(), [&](Value result) {
      return gradients.lookup(result) != nullptr && !leaves.contains(result);
    });
    bool wanted =
        llvm::any_of(op->getOperands(), [&](Value operand) { return active.contains(operand); });
    if (!reached || !wanted)
      continue;
    auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
    if (!differentiable || !differentiable.getNoGradientReason().empty()) {
      missing.push_back(op);
      // Go on behind it, so that the next missing one is reported too: any gradient of the right
      // type will do.
      for (Value operand : op->getOperands())
        if (active.contains(operand) && !gradients.lookup(operand))
          gradients[operand] = operand;
      continue;
    }
    Adjoint adjoint(*this, op);
    differentiable.buildAdjoint(adjoint);
  }
  std::reverse(missing.begin(), missing.end());
  return reportMissing(missing);
}

//===----------------------------------------------------------------------===//
// Adjoint
//===----------------------------------------------------------------------===//

Adjoint::Adjoint(ReverseMode &mode, Operation *op) : mode(mode), op(op) {}
Value Adjoint::dy(unsigned result) const { return mode.gradients.lookup(op->getResult(result)); }
bool Adjoint::wants(Value operand) const { return mode.active.contains(operand); }
Value Adjoint::save(Value value) { return mode.save(value); }
Operation *Adjoint::companion() const { return mode.companions.lookup(op); }
OpBuilder &Adjoint::builder() const { return mode.builder; }
Value Adjoint::constant(double value) { return mode.constant(value); }

void Adjoint::give(Value operand, Value gradient) {
  if (wants(operand))
    mode.accumulate(operand, gradient);
}

OpBuilder Adjoint::forwardBuilder() const {
  OpBuilder forward(op->getContext());
  forward.setInsertionPointAfter(op);
  return forward;
}

Value Adjoint::add(Value a, Value b) { return nn::AddOp::create(builder(), loc(), a, b); }
Value Adjoint::sub(Value a, Value b) { return nn::SubOp::create(builder(), loc(), a, b); }
Value Adjoint::mul(Value a, Value b) { return nn::MulOp::create(builder(), loc(), a, b); }
Value Adjoint::div(Value a, Value b) { return nn::DivOp::create(builder(), loc(), a, b); }
Value Adjoint::neg(Value a) { return nn::NegOp::create(builder(), loc(), a.getType(), a); }
Value Adjoint::exp(Value a) { return nn::ExpOp::create(builder(), loc(), a.getType(), a); }
Value Adjoint::mask(Value x, Value bits) {
  return nn::MaskOp::create(builder(), loc(), x.getType(), x, bits);
}

Value Adjoint::select(Value bits, Value a, Value b) {
  auto type = cast<RankedTensorType>(bits.getType()).clone(builder().getF32Type());
  return nn::SelectOp::create(builder(), loc(), type, bits, a, b);
}

Value Adjoint::reshape(Value x, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getShape() == shape)
    return x;
  return nn::ReshapeOp::create(builder(), loc(), type.clone(shape), x);
}

Value Adjoint::broadcast(Value x, RankedTensorType type) {
  return x.getType() == type ? x : nn::BroadcastOp::create(builder(), loc(), type, x).getResult();
}

/// Is `small` (of a broadcast to `large`) a vector along the last dimension, all dimensions before
/// it repeated?
static bool isLastDimension(ArrayRef<int64_t> small, ArrayRef<int64_t> large) {
  if (small.empty() || large.size() < 2 || small.back() != large.back())
    return false;
  return llvm::all_of(small.drop_back(), [](int64_t size) { return size == 1; });
}

Value Adjoint::sumTo(Value x, RankedTensorType type) {
  auto from = cast<RankedTensorType>(x.getType());
  ArrayRef<int64_t> large = from.getShape(), small = type.getShape();
  if (large == small)
    return x;
  if (from.getNumElements() == type.getNumElements())
    return reshape(x, small);
  if (isLastDimension(small, large)) {
    auto vector = RankedTensorType::get({large.back()}, from.getElementType());
    return reshape(nn::ChannelSumOp::create(builder(), loc(), vector, x), small);
  }
  SmallVector<int64_t> axes;
  int64_t missing = large.size() - small.size();
  for (int64_t axis = 0, rank = large.size(); axis < rank; ++axis)
    if (large[axis] != 1 && (axis < missing || small[axis - missing] == 1))
      axes.push_back(axis);
  return reshape(nn::ReduceSumOp::create(builder(), loc(), x, axes), small);
}

Value Adjoint::savedCompare(Value a, Value b, nn::Comparison predicate) {
  OpBuilder forward = forwardBuilder();
  auto type = cast<RankedTensorType>(nn::broadcastType({a, b})).clone(forward.getI1Type());
  return save(nn::CompareOp::create(forward, loc(), type, a, b, predicate));
}

Value Adjoint::savedInside(Value x, Value lo, Value hi) {
  OpBuilder forward = forwardBuilder();
  auto type = cast<RankedTensorType>(x.getType()).clone(forward.getI1Type());
  return save(nn::InsideOp::create(forward, loc(), type, x, lo, hi));
}
