//===- ContractionRules.cpp - products and their two gradients -----------------===//
//
// Both gradients carry layer, precision and reason of the forward op: the three products of a layer
// are one decision (numerics.md, section 1). Operands stand in the order that
// ContractionOpInterface promises: dY·W and X·dY.
//
//===----------------------------------------------------------------------===//
#include "Rules.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::rules;

/// The matrix, or each matrix of a stack, transposed.
static Value transposed(Adjoint &d, Value x) {
  bool stack = cast<RankedTensorType>(x.getType()).getRank() == 3;
  return nn::TransposeOp::create(d.builder(), d.loc(), x,
                                 stack ? ArrayRef<int64_t>{0, 2, 1} : ArrayRef<int64_t>{1, 0});
}

/// A product of a layer's gradient, with the forward op's tags.
static Value product(nn::MatMulOp op, Adjoint &d, Product product, Value a, Value b,
                     bool transposeA, bool transposeB) {
  auto ta = cast<RankedTensorType>(a.getType()), tb = cast<RankedTensorType>(b.getType());
  size_t rows = ta.getRank() - 2, columns = ta.getRank() - 1;
  SmallVector<int64_t> shape(ta.getShape().take_front(rows));
  shape.push_back(ta.getDimSize(transposeA ? columns : rows));
  shape.push_back(tb.getDimSize(transposeB ? rows : columns));
  return nn::MatMulOp::create(
      d.builder(), d.loc(), RankedTensorType::get(shape, ta.getElementType()), a, b, transposeA,
      transposeB, op.getLayer(), product, op.getPrecision(), op.getReason());
}

/// Y = A·B with A and B as the transposes give them: dA = dY·Bᵀ, dB = Aᵀ·dY; what is stored
/// transposed gets its gradient transposed.
static void matMulRule(nn::MatMulOp op, Adjoint &d) {
  Value a = op.getA(), b = op.getB(), dy = d.dy();
  if (d.wants(a)) {
    Value da = product(op, d, Product::InputGradient, dy, d.save(b), false, !op.getTransposeB());
    d.give(a, op.getTransposeA() ? transposed(d, da) : da);
  }
  if (d.wants(b)) {
    Value db = product(op, d, Product::WeightGradient, d.save(a), dy, !op.getTransposeA(), false);
    d.give(b, op.getTransposeB() ? transposed(d, db) : db);
  }
}

/// Y = conv(X, W): dX and dW are ops of their own (terms in the orders of numerics.md, section 5).
static void conv2DRule(nn::Conv2DOp op, Adjoint &d) {
  Value x = op.getX(), w = op.getW(), dy = d.dy();
  if (d.wants(x))
    d.give(x, nn::Conv2DInputGradOp::create(d.builder(), d.loc(), x.getType(), dy, d.save(w),
                                            op.getStrides(), op.getPads(), op.getDilations(),
                                            op.getGroups(), op.getLayer(), Product::InputGradient,
                                            op.getPrecision(), op.getReason()));
  if (d.wants(w))
    d.give(w, nn::Conv2DWeightGradOp::create(d.builder(), d.loc(), w.getType(), d.save(x), dy,
                                             op.getStrides(), op.getPads(), op.getDilations(),
                                             op.getGroups(), op.getLayer(), Product::WeightGradient,
                                             op.getPrecision(), op.getReason()));
}

/// A transposed convolution, y = the input gradient of a convolution C with x as its output gradient: dX = C(dY), and dW is C's
/// weight gradient with dY as its input and x as its output gradient.
static void transposedConv2DRule(nn::Conv2DInputGradOp op, Adjoint &d) {
  Value x = op.getDy(), w = op.getW(), dy = d.dy();
  if (d.wants(x))
    d.give(x, nn::Conv2DOp::create(d.builder(), d.loc(), x.getType(), dy, d.save(w), op.getStrides(), op.getPads(),
                                   op.getDilations(), op.getGroups(), op.getLayer(), Product::InputGradient,
                                   op.getPrecision(), op.getReason()));
  if (d.wants(w))
    d.give(w, nn::Conv2DWeightGradOp::create(d.builder(), d.loc(), w.getType(), dy, d.save(x), op.getStrides(),
                                             op.getPads(), op.getDilations(), op.getGroups(), op.getLayer(),
                                             Product::WeightGradient, op.getPrecision(), op.getReason()));
}

void rules::attachContractionRules(MLIRContext *context) {
  attachRule<nn::MatMulOp, matMulRule>(context);
  attachRule<nn::Conv2DOp, conv2DRule>(context);
  attachRule<nn::Conv2DInputGradOp, transposedConv2DRule>(context);
  attachNone<isDerivative, nn::Conv2DWeightGradOp>(context);
}
