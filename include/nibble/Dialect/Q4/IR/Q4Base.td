//===- Q4Base.td - the q4 dialect: four-bit numbers -----------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_Q4_IR_Q4BASE_TD
#define NIBBLE_DIALECT_Q4_IR_Q4BASE_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "nibble/Interfaces/ContractionInterface.td"
include "nibble/Dialect/NN/IR/NNAttrs.td"

def Q4_Dialect : Dialect {
  let name = "q4";
  let cppNamespace = "::nibble::q4";
  let summary = "Four-bit numbers, their conversions, and exact products of them";
  let description = [{
    Element types say which codes a tensor holds; what a code is worth is said by SSA values: a scale (`tensor<f32>`) and,
    for int4, a zero point (`tensor<i32>`), both fresh every round. value = (code − zero point) · scale, where the
    "code" of a logarithmic element is ±radix^(e−1) as a whole number. All arithmetic is `Numerics` (numerics.md).
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::mlir::arith::ArithDialect"];
  let useDefaultTypePrinterParser = 1;
}

#endif
