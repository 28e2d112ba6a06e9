//===- NNAttrs.td - attributes of nn --------------------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNATTRS_TD
#define NIBBLE_DIALECT_NN_IR_NNATTRS_TD
include "nibble/Dialect/NN/IR/NNBase.td"
include "nibble/Dialect/NN/IR/NNEnums.td"

def NN_ProductAttr : EnumAttr<NN_Dialect, Nibble_Product, "product"> {
  let cppNamespace = "::nibble::nn";
  let assemblyFormat = "`<` $value `>`";
}
def NN_PrecisionAttr : EnumAttr<NN_Dialect, Nibble_Precision, "precision"> {
  let cppNamespace = "::nibble::nn";
  let assemblyFormat = "`<` $value `>`";
}
def NN_ComparisonAttr : EnumAttr<NN_Dialect, NN_Comparison, "cmp"> {
  let cppNamespace = "::nibble::nn";
  let assemblyFormat = "`<` $value `>`";
}
#endif
