//===- ContractionInterface.td - what every product of two tensors tells ------===//
#ifndef NIBBLE_INTERFACES_CONTRACTIONINTERFACE_TD
#define NIBBLE_INTERFACES_CONTRACTIONINTERFACE_TD

include "mlir/IR/OpBase.td"
include "nibble/Interfaces/ContractionEnums.td"

def ContractionOpInterface : OpInterface<"ContractionOpInterface"> {
  let cppNamespace = "::nibble";
  let description = [{
    A product of two tensors: matrix product, convolution, or one of their gradients. All such ops carry the
    attributes `layer` (the ONNX node's name; the same for the three products of a layer), `product`,
    `precision` and `reason` (why the precision is not int4; empty where it is).
    Left and right are in the order of numerics.md: forward X·W, input gradient dY·W, weight gradient X·dY.
  }];
  let methods = [
    InterfaceMethod<"The left operand: X, dY, X.", "::mlir::Value", "getLeft", (ins), [{}],
                    [{ return $_op->getOperand(0); }]>,
    InterfaceMethod<"The right operand: W, W, dY.", "::mlir::Value", "getRight", (ins), [{}],
                    [{ return $_op->getOperand(1); }]>,
    InterfaceMethod<"The layer's name.", "::llvm::StringRef", "getLayerName", (ins), [{}], [{
      auto name = $_op->template getAttrOfType<::mlir::StringAttr>("layer");
      return name ? name.getValue() : ::llvm::StringRef();
    }]>,
    InterfaceMethod<"Which of the layer's three products.", "::nibble::Product", "getProductKind", (ins), [{}], [{
      return $_op.getProduct();
    }]>,
    InterfaceMethod<"The numbers that it multiplies.", "::nibble::Precision", "getPrecisionKind", (ins), [{}], [{
      return $_op.getPrecision();
    }]>,
    InterfaceMethod<"Number of terms of one output's sum (padding included).", "int64_t", "getContractionLength">,
    InterfaceMethod<"Multiply-adds of the direct algorithm.", "int64_t", "getMultiplyAdds">
  ];
}
#endif
