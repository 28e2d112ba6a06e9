//===- Differentiable.td - what an op tells about its derivative ----*- tablegen -*-===//
#ifndef NIBBLE_INTERFACES_DIFFERENTIABLE_TD
#define NIBBLE_INTERFACES_DIFFERENTIABLE_TD

include "mlir/IR/OpBase.td"

def DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::nibble";
  let description = [{
    The derivative of an op, in reverse mode. An op either has a rule (`buildAdjoint`) or says why it has none
    (`getNoGradientReason`); the list of ops that implement this interface is the list of ops that can stand between a
    loss and a trained weight. Implementations are external models, attached by the room Differentiate
    (`registerDifferentiableModels`), so that the dialects do not depend on it.
  }];
  let methods = [
    InterfaceMethod<[{
      Appends to the backward part: from the gradients of the results (`adjoint.dy()`) the gradients of those operands for
      which `adjoint.wants(operand)`, handed over with `adjoint.give(operand, gradient)`. Forward values are asked for with
      `adjoint.save(value)`. Called only where some result has a gradient, some operand is wanted and the op has a rule.
    }], "void", "buildAdjoint", (ins "::nibble::Adjoint &":$adjoint)>,
    InterfaceMethod<"Why the op has no gradient; empty where it has a rule.",
                    "::llvm::StringRef", "getNoGradientReason", (ins)>
  ];
}
#endif
