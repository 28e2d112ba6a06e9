//===- GradientFunction.cpp - the gradient of a function alone ------------------------===//
#include "nibble/Differentiate/GradientFunction.h"

#include "StepFunction.h"

#include "nibble/Differentiate/Adjoint.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace nibble;

FailureOr<func::FuncOp> nibble::buildGradientFunction(func::FuncOp forward,
                                                      ArrayRef<unsigned> differentiable) {
  OpBuilder builder(forward.getContext());
  builder.setInsertionPointAfter(forward);
  SmallVector<Type> inputs(forward.getArgumentTypes()), outputs;
  for (Type type : forward.getResultTypes())
    if (cast<ShapedType>(type).getElementType().isF32())
      inputs.push_back(type);
  for (unsigned index : differentiable)
    outputs.push_back(forward.getArgumentTypes()[index]);
  auto gradient =
      func::FuncOp::create(builder, forward.getLoc(), (forward.getSymName() + "_gradient").str(),
                           builder.getFunctionType(inputs, outputs));
  Block *block = gradient.addEntryBlock();
  builder.setInsertionPointToEnd(block);

  IRMapping mapping;
  for (BlockArgument argument : forward.getArguments())
    mapping.map(argument, block->getArgument(argument.getArgNumber()));
  for (Operation &op : forward.getBody().front().without_terminator())
    builder.clone(op, mapping);
  SmallVector<Value> leaves;
  for (unsigned index : differentiable)
    leaves.push_back(block->getArgument(index));
  ReverseMode mode(builder, *block, leaves);
  unsigned weight = forward.getNumArguments();
  for (Value result : forward.getBody().front().getTerminator()->getOperands())
    if (cast<ShapedType>(result.getType()).getElementType().isF32())
      mode.seed(mapping.lookup(result), block->getArgument(weight++));
  if (failed(mode.run())) {
    gradient.erase();
    return failure();
  }
  SmallVector<Value> results;
  for (Value leaf : leaves) {
    Value found = mode.gradientOf(leaf);
    if (!found)
      found =
          arith::ConstantOp::create(builder, forward.getLoc(), builder.getZeroAttr(leaf.getType()));
    results.push_back(found);
  }
  func::ReturnOp::create(builder, forward.getLoc(), results);
  eraseUnused(*block);
  return gradient;
}
